"""HTTP/1.1 on one connection: hypercorn's, stricter, and with answers that say what was wrong."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

import h11
from hypercorn.protocol.h11 import H11Protocol

from scaler_monitor.serving.headers import SAFE, named
from scaler_monitor.serving.strict import TEXTS, Strict

if TYPE_CHECKING:
    from collections.abc import Mapping


class Protocol(H11Protocol):
    """Never upgraded, neither to HTTP/2 nor to a websocket."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.connection = Strict()

    async def _send_error_response(self, status_code: int) -> None:
        headers, body = refusal(status_code, TEXTS.get(status_code, ""))
        listed = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self._send_h11_event(h11.Response(status_code=status_code, headers=listed))
        await self._send_h11_event(h11.Data(data=body))
        await self._send_h11_event(h11.EndOfMessage())


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
