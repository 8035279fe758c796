"""The application, guarded against what Quart does with clients that send much, or leave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio

from scaler_monitor.limits import BODY
from scaler_monitor.serving.protocol import refusal

if TYPE_CHECKING:
    from hypercorn.typing import ASGIFramework

_LAST = (
    30.0  # seconds for the last part of an answer; a client that does not read is cut off sooner
)


class Guarded:
    """An ASGI application around Quart's.

    A body that comes in pieces and never ends is cut off: Quart 0.23 keeps all of it until its end,
    and only then looks how long it is.

    The last part of an answer gets out although the request's own task is being cancelled:
    quart-trio 0.12 cancels a request when hypercorn ends it, in the middle of hypercorn's own end;
    the task and its socket would stay for ever.

    A client that has left is no fault: Quart 0.23 raises an error for each.
    """

    def __init__(self, app: ASGIFramework) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request, as ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = _Request(receive, send)
        try:
            await self._app(scope, request.receive, request.send)
        except* _TooLargeError:
            await request.refuse()
        except* Exception as group:
            _, other = group.split(_is_of_a_leaver) if request.left else (None, group)
            if other is not None:
                raise other from None


class _Request:
    def __init__(self, receive: Any, send: Any) -> None:
        self._receive = receive
        self._send = send
        self._size = 0
        self._answered = False
        self.left = False

    async def receive(self) -> Any:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.left = True
        else:
            self._size += len(message.get("body", b""))
            if self._size > BODY:
                raise _TooLargeError
        return message

    async def send(self, message: Any) -> None:
        self._answered = True
        if message["type"] == "http.response.body" and not message.get("more_body"):
            with trio.move_on_after(_LAST, shield=True):
                await self._send(message)
        else:
            await self._send(message)

    async def refuse(self) -> None:
        """Say that it is too much, unless an answer has begun."""
        if self._answered:
            return
        headers, body = refusal(413, f"a body has {BODY} bytes at most")
        listed = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": 413, "headers": listed})
        await self.send({"type": "http.response.body", "body": body})


class _TooLargeError(Exception):
    """More of a body has come than anything here asks for."""


def _is_of_a_leaver(error: BaseException) -> bool:
    # by its name: Quart 0.22 has none
    return type(error).__name__ == "ClientDisconnectedError"
