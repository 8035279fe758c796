"""A scaler of fake plugins that runs on a real clock, and callers of its socket."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from tests.engine.conftest import World

from scaler.control import client, server
from scaler.control.connections import Connections
from scaler.control.place import address


class Caller:
    """One connection, with nothing between a test and its bytes."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._buffer = b""

    async def send(self, request: Any) -> None:
        """Send a request, or bytes as they are."""
        line = request if isinstance(request, bytes) else json.dumps(request).encode() + b"\n"
        await self.stream.send_all(line)

    async def line(self, limit: float = 5) -> bytes:
        """The next line; empty where the other side closed."""
        with trio.fail_after(limit):
            while b"\n" not in self._buffer:
                try:
                    data = await self.stream.receive_some()
                except trio.BrokenResourceError:
                    data = b""
                if not data:
                    return b""
                self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    async def ask(self, request: Any) -> dict[str, Any]:
        """Send, and read the answer."""
        await self.send(request)
        return await self.answer()

    async def answer(self, limit: float = 5) -> dict[str, Any]:
        """The next answer."""
        line = await self.line(limit)
        assert line, "it closed instead of answering"
        found: dict[str, Any] = json.loads(line)
        return found

    async def is_closed(self, limit: float = 5) -> bool:
        """Whether the other side closes, without another word."""
        return await self.line(limit) == b""


@asynccontextmanager
async def calling(folder: Path) -> AsyncIterator[Caller]:
    """Connect to the scaler of this state folder."""
    with address(folder) as path:
        stream = await trio.open_unix_socket(path)
    async with stream:
        yield Caller(stream)


async def ask(folder: Path, request: Any) -> dict[str, Any]:
    """Connect, ask one thing, go."""
    async with calling(folder) as caller:
        return await caller.ask(request)


async def result(folder: Path, command: str, **options: Any) -> dict[str, Any]:
    """What a command comes to, which is to go well."""
    answer = await ask(folder, {"command": command, **options})
    assert answer["ok"], answer
    found: dict[str, Any] = answer["result"]
    return found


async def error(folder: Path, command: str, **options: Any) -> dict[str, Any]:
    """What a command is refused by."""
    answer = await ask(folder, {"command": command, **options})
    assert not answer["ok"], answer
    found: dict[str, Any] = answer["error"]
    return found


async def blocking(folder: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Ask as the command line does."""
    return await trio.to_thread.run_sync(partial(client.ask, folder, request, timeout=5))


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Connections]:
    """Whom the control socket of each scaler of this test serves."""
    found: list[Connections] = []

    class Seen(Connections):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            found.append(self)

    monkeypatch.setattr(server, "Connections", Seen)
    return found


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Fake plugins, on a real clock, with the ledger's own thread."""
    return World(tmp_path)
