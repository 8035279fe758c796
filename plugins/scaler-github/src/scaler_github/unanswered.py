"""Runners that were asked for without an answer: they may be there though no list shows them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import trio

from scaler import Unavailable
from scaler_github.client import GitHubError, Kind
from scaler_github.client.runners import Unusable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

# GitHub's lists show a new runner after so many seconds at the latest
SHOWN = 120.0
_SHOWN_SOON = 10.0  # until it is looked for again
# After these nobody knows whether it is there, or it is, with a configuration that nobody has
_PERHAPS_THERE = {Kind.RETRY, Kind.EXISTS}
# After these it is not known whether its name is free
_NOT_SEEN = {Kind.RETRY, Kind.WAIT, Kind.REFRESH, Kind.CREDENTIAL}


class _Runner(Protocol):
    @property
    def id(self) -> int: ...


class _Made(Protocol):
    @property
    def runner(self) -> _Runner: ...


MadeT = TypeVar("MadeT", bound=_Made)


@dataclass(slots=True)
class _Asked(Generic[MadeT]):
    """A name that was asked for.

    Attributes:
        generate: Asks for it.
        at: When that was done last, on trio's clock; for ever while it is being done.
        number: What was made, where that is known by now.
    """

    generate: Callable[[], Awaitable[MadeT]]
    at: float = -math.inf
    number: int | None = None


class Unanswered(Generic[MadeT]):
    """One account's names that were asked for without an answer (yet)."""

    def __init__(self) -> None:
        self._asked: dict[str, _Asked[MadeT]] = {}

    async def ask(self, name: str, generate: Callable[[], Awaitable[MadeT]]) -> MadeT:
        """Register a runner by `generate`, and remember its name unless it is answered for.

        Raises:
            GitHubError: As `generate` does.
        """
        asked = self._asked.setdefault(name, _Asked(generate))
        # What was there before may be gone by now, and another one made
        asked.generate, asked.number = generate, None
        try:
            made = await self._ask(asked)
        except GitHubError:
            if asked.at == -math.inf:  # it was refused, and so was each attempt before
                self.forget(name)
            raise
        self.forget(name)
        return made

    def forget(self, name: str) -> None:
        """There is no runner of this name, or one whose number is known."""
        self._asked.pop(name, None)

    async def number(self, name: str) -> int | None:
        """The number of a runner that no list shows, though it may have been registered.

        New runners are shown late. But their names are taken at once: where the name is free, the
        runner is not there. The one that is registered to see this is the one to be removed; its
        name is to be forgotten once that is done.

        Raises:
            Unavailable: It is there, and its number is not to be had yet.
            GitHubError: GitHub cannot be asked now.
        """
        asked = self._asked.get(name)
        if asked is None or (asked.number is None and trio.current_time() > asked.at + SHOWN):
            return None
        if asked.number is None:
            before = asked.at
            try:
                asked.number = (await self._ask(asked)).runner.id
            except GitHubError as error:
                if asked.number is not None:
                    return asked.number
                if error.kind is Kind.EXISTS:
                    asked.at = min(asked.at, before)  # this look has made nothing new
                    text = f"{name} is registered, but GitHub does not show it yet"
                    raise Unavailable(text, _SHOWN_SOON) from None
                if error.kind in _NOT_SEEN:
                    raise
        return asked.number  # None: that way nothing can be learnt

    async def _ask(self, asked: _Asked[MadeT]) -> MadeT:
        before, asked.at = asked.at, math.inf
        ended = True
        try:
            return await asked.generate()
        except GitHubError as error:
            ended = error.kind in _PERHAPS_THERE
            if isinstance(error, Unusable):
                asked.number = error.number
            raise
        finally:
            asked.at = trio.current_time() if ended else before
