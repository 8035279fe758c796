"""The list of one account's runners: read at most so often, and never taken for newer than it is.

The core takes a runner for gone when two lists lack it. One list that is told twice is not two: so
what the last two lists do not both lack is told, and of a list that is told again only the names.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import trio

from scaler_github.client import GitHubError, Kind, Verdict
from scaler_github.client.runners import RestRunner

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from scaler_github.registrar.background import Background

_LONGEST = 120.0  # seconds for all pages of a list
_WAITS = 45.0  # for whoever asks for it, since the core waits for a minute


@dataclass(eq=False)
class _Flight:
    """A list that is being read.

    Attributes:
        journal: What became of runners since it began, as far as it was done here: one that was
            registered, or None where one was removed.
    """

    began: float
    journal: dict[str, RestRunner | None] = field(default_factory=dict)
    over: trio.Event = field(default_factory=trio.Event)
    landed: bool = False
    error: Exception | None = None


class Listing:
    """The runners of one account, by name.

    Args:
        read: Reads them all.
        kept: For how many seconds after it was read a list is told again.
        oldest: How long ago the reading of a list may have begun, however new it is.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[dict[str, RestRunner]]],
        kept: Callable[[], float],
        oldest: Callable[[], float],
        background: Background,
    ) -> None:
        self._read = read
        self._kept = kept
        self._oldest = oldest
        self._background = background
        self._began = self._landed = -math.inf
        self._told = False
        self._last: dict[str, RestRunner] = {}
        self._before: dict[str, RestRunner] = {}
        self._flight: _Flight | None = None

    async def runners(self) -> list[RestRunner]:
        """All of them; without `status` and `busy` where that is no news.

        Raises:
            GitHubError: They could not be read.
        """
        now = trio.current_time()
        if now < self._landed + self._kept() and now < self._began + self._oldest():
            await trio.lowlevel.checkpoint()
        else:
            with trio.move_on_after(_WAITS) as scope:
                await self._refresh()
            if scope.cancelled_caught:
                raise _late(f"the list of runners is still being read, for more than {_WAITS:g} s")
        last = self._last.values()
        found = [_unknown(each) for each in last] if self._told else list(last)
        self._told = True
        found += [_unknown(one) for name, one in self._before.items() if name not in self._last]
        return found

    def is_busy(self, name: str) -> bool:
        """Whether the last list says that a runner is busy."""
        known = self._last.get(name)
        return known is not None and bool(known.busy)

    def added(self, name: str, number: int) -> None:
        """A runner was registered from here."""
        runner = RestRunner(id=number, name=name)
        self._last[name] = runner
        if self._flight is not None:
            self._flight.journal[name] = runner

    def removed(self, name: str) -> None:
        """A runner is gone."""
        self._last.pop(name, None)
        self._before.pop(name, None)
        if self._flight is not None:
            self._flight.journal[name] = None

    async def _refresh(self) -> None:
        """Read them, or wait for the reading that is under way."""
        while True:
            flight = self._flight
            if flight is None:
                flight = self._flight = _Flight(trio.current_time())
                if not self._background.start(self._fly, flight):
                    await self._fly(flight)
            await flight.over.wait()
            if isinstance(flight.error, GitHubError):
                raise GitHubError(flight.error.verdict)
            if flight.error is not None:
                raise flight.error
            if flight.landed:
                return
            # It was broken off, since the service ends: then it is read within the call

    async def _fly(self, flight: _Flight) -> None:
        try:
            with trio.fail_after(_LONGEST):
                found = await self._read()
            for name, runner in flight.journal.items():
                if runner is None:
                    found.pop(name, None)
                else:
                    found.setdefault(name, runner)
            self._before, self._last = self._last, found
            self._began, self._landed = flight.began, trio.current_time()
            self._told = False
            flight.landed = True
        except trio.TooSlowError:
            flight.error = _late(f"the list of runners was not read within {_LONGEST:g} s")
        except Exception as error:  # whoever waits for the list is told
            flight.error = error
        finally:
            self._flight = None
            flight.over.set()


def _late(text: str) -> GitHubError:
    return GitHubError(Verdict(Kind.RETRY, text))


def _unknown(runner: RestRunner) -> RestRunner:
    return msgspec.structs.replace(runner, status="", busy=None)
