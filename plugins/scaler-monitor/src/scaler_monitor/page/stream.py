"""Server-sent events: one task makes them, and everybody who listens is sent the same bytes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable

    from scaler_monitor.page.fragment import Fragment

BEAT = 5.0  # seconds without news, after which a listener is told that the connection lives
MOST = 300  # listeners at a time: the rest of the connections are for others


class Hub:
    """Hands fragments to listeners: to a slow one the latest alone, to all others what changed.

    Args:
        make: Gives the dashboard now; None where it cannot be had.
        changed: Waits until there may be another.
        stopping: Ends it, and every listener.
    """

    def __init__(
        self,
        make: Callable[[], Awaitable[Fragment | None]],
        changed: Callable[[], Awaitable[None]],
        stopping: trio.Event,
    ) -> None:
        self._make = make
        self._changed = changed
        self._stopping = stopping
        self._listeners = 0
        self._wanted = trio.Event()
        self._news = trio.Event()
        self._now: Fragment | None = None
        self._number = 0  # of the fragment
        self._step = b""  # the event from the fragment before
        self._whole = b""  # the event for who has seen none, once somebody needs it
        self._ended = False
        self._waiting = trio.CancelScope()  # until there is another

    @property
    def full(self) -> bool:
        """Whether nobody else may listen."""
        return self._listeners >= MOST

    async def run(self) -> None:
        """Make events while somebody listens, until the scaler stops."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._publish, name="monitor: events")
                await self._stopping.wait()
                nursery.cancel_scope.cancel()
        finally:
            self._ended = True
            self._tell()

    async def listen(self) -> AsyncGenerator[bytes, None]:
        """Events for one listener, until the scaler stops; the first has every part."""
        self._listeners += 1
        self._wanted.set()
        try:
            seen = -1
            yield b"retry: 2000\n\n"
            while not (self._ended or self._stopping.is_set()):
                news = self._news
                if self._now is not None and seen != self._number:
                    follows = seen == self._number - 1
                    seen = self._number
                    yield self._step if follows and self._step else self._all()
                    continue
                waited = True
                with trio.move_on_after(BEAT):
                    await news.wait()
                    waited = False
                if waited:
                    yield b"event: beat\ndata:\n\n"
        finally:
            self._listeners -= 1
            if not self._listeners:
                self._forget()

    async def _publish(self) -> None:
        while True:
            await self._wanted.wait()
            made = await self._make()
            if not self._listeners:
                continue
            before = self._now
            if made is not None and (before is None or made.etag != before.etag):
                self._step = b"" if before is None else event(made, before)
                self._now = made
                self._whole = b""
                self._number += 1
                self._tell()
            with trio.CancelScope() as self._waiting:
                await self._changed()

    def _forget(self) -> None:
        """Nobody listens: who comes next, perhaps in hours, is shown what is then."""
        self._wanted = trio.Event()
        self._now = None
        self._step = self._whole = b""
        self._waiting.cancel()

    def _all(self) -> bytes:
        assert self._now is not None
        self._whole = self._whole or event(self._now, None)
        return self._whole

    def _tell(self) -> None:
        self._news.set()
        self._news = trio.Event()


def event(made: Fragment, before: Fragment | None) -> bytes:
    """A fragment as an event, with the parts that are not as they were before."""
    parts: Iterable[tuple[str, str]] = made.parts.items()
    if before is not None:
        parts = ((name, text) for name, text in parts if before.parts.get(name) != text)
    data = {
        "version": made.version,
        "time": made.time,
        "title": made.title,
        "level": made.level,
        "etag": made.etag,
        "parts": dict(parts),
    }
    return b"event: parts\ndata: " + json.dumps(data).encode() + b"\n\n"
