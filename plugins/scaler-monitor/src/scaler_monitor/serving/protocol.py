"""HTTP/1.1 on one connection: hypercorn's, stricter, and with answers that say what was wrong."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

import h11
from hypercorn.events import RawData
from hypercorn.protocol.h11 import H11Protocol

from scaler_monitor.serving.headers import SAFE, named
from scaler_monitor.serving.strict import TEXTS, Strict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hypercorn.typing import H11SendableEvent

_TOGETHER = 64 << 10  # bytes that are copied rather than sent by themselves


class Protocol(H11Protocol):
    """Never upgraded, neither to HTTP/2 nor to a websocket.

    Two methods are replaced that hypercorn keeps to itself, since it has no other place for what
    they do: every answer leaves through the one, and what is no request is answered by the other.
    Under other names they would be called by nobody: tests/serving/test_protocol.py sees that.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.connection = Strict()
        self._held = b""

    async def _send_h11_event(self, event: H11SendableEvent) -> None:
        """Send it; a head whose body follows at once goes with that."""
        try:
            data = self.connection.send(event) or b""
        except h11.LocalProtocolError:
            if self.connection.their_state is not h11.ERROR:
                raise
            return
        if len(data) <= _TOGETHER:
            data = self._held + data
        elif self._held:
            await self.send(RawData(self._held))
        self._held = b""
        if isinstance(event, h11.Response) and _is_whole(event):
            self._held = data
        elif data:
            await self.send(RawData(data))

    async def _send_error_response(self, status_code: int) -> None:
        headers, body = refusal(status_code, TEXTS.get(status_code, ""))
        listed = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self._send_h11_event(h11.Response(status_code=status_code, headers=listed))
        await self._send_h11_event(h11.Data(data=body))
        await self._send_h11_event(h11.EndOfMessage())


def _is_whole(head: h11.Response) -> bool:
    """Whether nothing is waited for before its body, as a stream of events does."""
    return any(name == b"content-length" for name, _ in head.headers)


def refusal(status: int, text: str) -> tuple[Mapping[str, str], bytes]:
    """The headers and the body of an answer to what is no request of the application's."""
    name = secrets.token_hex(8)
    told = {"message": text} if text else {}
    body = json.dumps({"error": named(status), **told, "request_id": name}).encode()
    headers = {
        **SAFE,
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "X-Request-ID": name,
        "Connection": "close",
    }
    return headers, body
