"""Waits on GitHub that end early: when nobody is to listen any more, or the capacity changes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import trio

from scaler_github.runner import LOOKS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from scaler import Context

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How long the listener waits, in seconds. Tests make it quicker; nobody else should.

    Attributes:
        first, largest: Of the growing pauses after failures.
        idle: The least time between polls that brought nothing new.
        garbage: From, to: the pause after an answer that is no message.
        raised: A poll is repeated for a higher capacity at most this often.
        lowered: And for a lower one: what GitHub believes we can run must not outlast the truth.
        alarm: A message that could not be handled is shown for at least so long, and then until
            a message is handled well.
        unheard: After so long without a message, though jobs wait, the cursor is doubted.
        person: Between looks at what only a person can mend.
        ended: Before each look whether GitHub removes a runner by itself that had its job.
        leftover: Between tries to open a session while one of ours, of which a crash took the id,
            has yet to expire.
        farewell: For closing the session.
        request: How long a hook waits for the scale set to be known.
        moving: Before the first look whether nothing is left at a scale set that is to be left;
            later ones are less often.
    """

    first: float = 1.0
    largest: float = 30.0
    idle: float = 0.5
    garbage: tuple[float, float] = (1.0, 5.0)
    raised: float = 1.0
    lowered: float = 0.1
    alarm: float = 3600.0
    unheard: float = 300.0
    person: float = 60.0
    ended: tuple[float, ...] = LOOKS
    leftover: float = 2.0
    farewell: float = 10.0
    request: float = 20.0
    moving: float = 2.0


class Waits:
    """The one wait that a listener is in. Its two watchers run beside the listener."""

    def __init__(self, context: Context[Any, Any], profile: str, pace: Pace) -> None:
        self._context = context
        self._profile = profile
        self._pace = pace
        self._scope: trio.CancelScope | None = None
        self._grace = 0.0
        self._polled: tuple[float, int] | None = None  # since when, with which capacity
        self._ended = False
        self._closed = False
        self._pausing = trio.CancelScope()  # the last pause
        self._watched = trio.CancelScope()  # the watch over the last poll's capacity

    @property
    def stopping(self) -> bool:
        """Whether nothing new is to be started."""
        return self._ended or self._context.stopping.is_set()

    def capacity(self) -> int:
        """How many runners GitHub is to be told that there may be."""
        return 0 if self._closed else self._context.ceiling(self._profile)

    def close(self) -> None:
        """Tell GitHub from now on that there may be none: it is to assign nothing more."""
        self._closed = True
        if self._polled is not None and self._scope is not None:
            self._scope.cancel()

    def end(self) -> None:
        """Leave the wait in hand, and start nothing new: as when the scaler stops."""
        self._ended = True
        if self._scope is not None:
            self._scope.deadline = trio.current_time() + self._grace

    async def until_stopping(
        self, call: Callable[[], Awaitable[T]], *, grace: float = 0.0
    ) -> T | None:
        """What `call` answers; None when it was left because the scaler stops.

        Args:
            grace: Seconds that it is given after that, for a call whose effect would be lost.
        """
        if self.stopping:
            return None
        with trio.CancelScope() as self._scope:
            self._grace = grace
            try:
                return await call()
            finally:
                self._scope = None
        return None

    async def poll(self, capacity: int, call: Callable[[], Awaitable[T]]) -> tuple[bool, T | None]:
        """As `until_stopping`, and also left when `capacity` is no longer what it is to be.

        Returns:
            Whether the call came to its end, and what it answered.
        """

        async def ended() -> tuple[bool, T | None]:
            return True, await call()

        self._polled = trio.current_time(), capacity
        self._watched.cancel()
        try:
            return await self.until_stopping(ended) or (False, None)
        finally:
            self._polled = None

    async def pause(self, seconds: float) -> None:
        """Sleep, unless the scaler stops."""
        if seconds > 0:
            with trio.CancelScope() as self._pausing:
                await self.until_stopping(partial(trio.sleep, seconds))
        else:
            await trio.lowlevel.checkpoint()

    def hurry(self) -> None:
        """Let the pause end here; without one there is nothing to do."""
        self._pausing.cancel()

    async def watch_stopping(self) -> None:
        """Leave the wait in hand when the scaler stops."""
        await self._context.stopping.wait()
        self.end()

    async def watch_ceiling(self) -> None:
        """Repeat the poll in flight when the ceiling changes; a burst of changes is one."""
        while True:
            with trio.CancelScope() as self._watched:  # left when another poll begins
                if self._polled is not None and not self._closed:
                    await self._watch(self._polled)
                await trio.sleep_forever()

    async def _watch(self, poll: tuple[float, int]) -> None:
        since, capacity = poll
        while self._polled is poll:
            # Held against what this poll told, not against what was seen last: between two polls
            # the ceiling may have gone to and fro
            seen = await self._context.ceiling_changed(self._profile, capacity)
            least = self._pace.lowered if seen < capacity else self._pace.raised
            if trio.current_time() < since + least:
                with trio.move_on_at(since + least):
                    await self._context.ceiling_changed(self._profile, seen)
            elif self._polled is poll and self._scope is not None:
                self._scope.cancel()
                return
