"""What is replaced of hypercorn is still what hypercorn calls."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from hypercorn.events import RawData
from hypercorn.protocol.h11 import H11Protocol

from scaler_monitor.serving.connection import Connection
from scaler_monitor.serving.protocol import Protocol

ONE = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("name", ["_send_h11_event", "_send_error_response"])
def test_hypercorn_has_what_is_replaced(name: str) -> None:
    theirs, ours = (vars(each)[name] for each in (H11Protocol, Protocol))
    assert list(inspect.signature(theirs).parameters) == list(inspect.signature(ours).parameters)


@pytest.mark.parametrize("said", [ONE, b"nonsense\r\n\r\n"], ids=["a request", "no request"])
async def test_a_head_and_its_body_leave_together(
    serving: Any, monkeypatch: Any, said: bytes
) -> None:
    """Both replaced methods at work: apart, a client's system would wait for the second part."""
    sent = []
    real = Connection._send

    async def seen(self: Connection, event: Any) -> None:
        if isinstance(event, RawData):
            sent.append(event.data)
        await real(self, event)

    monkeypatch.setattr(Connection, "_send", seen)
    async with serving() as served:
        heard = await served.say(said)
    assert sent == [heard]
    head, _, body = heard.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 ")
    assert body == b'{"ok": true}' or b'"request_id"' in body


@pytest.mark.parametrize("name", ["_send_h11_event", "_send_error_response"])
async def test_a_rename_would_be_noticed(serving: Any, monkeypatch: Any, name: str) -> None:
    """Without one of them it is seen in what is sent."""
    monkeypatch.delattr(Protocol, name)
    sent = []
    real = Connection._send

    async def seen(self: Connection, event: Any) -> None:
        if isinstance(event, RawData) and event.data:
            sent.append(event.data)
        await real(self, event)

    monkeypatch.setattr(Connection, "_send", seen)
    async with serving() as served:
        heard = await served.say(ONE if name == "_send_h11_event" else b"nonsense\r\n\r\n")
    assert len(sent) > 1 or b'"request_id"' not in heard
