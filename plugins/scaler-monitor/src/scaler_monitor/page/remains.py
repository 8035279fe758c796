"""Who ended of late, and what was kept of it: in memory alone, since runners go."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scaler import Event, Kept, Runner, View

MOST = 20  # runners of each kind that are remembered
FAILURE = "reason.txt"  # what is kept of those alone that failed

_EMPTY: Mapping[Any, Any] = MappingProxyType({})
_STATE = re.compile(r"\S+ is (\w+): ")  # what the core's event of a state begins with


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A runner that came to its end: it failed, or its job did, or all went well.

    Attributes:
        time: When that was seen (Unix seconds).
        why: For people.
        kept: Names of what was kept of it, oldest first.
    """

    id: int
    name: str
    profile: str
    time: float
    why: str
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Remains:
    """What is left of runners and of failures.

    Attributes:
        failed: Runners, the last one first.
        ended: Runners that are gone and did not fail, the last one first.
        profiles: Names of what was kept of each profile's last image that could not be made.
    """

    failed: tuple[Ended, ...] = ()
    ended: tuple[Ended, ...] = ()
    profiles: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _EMPTY)


class Memory:
    """Remembers the last runners that failed or ended, also those that are gone.

    Args:
        kept: `Context.kept`.
    """

    def __init__(self, kept: Callable[[int | str], tuple[Kept, ...]]) -> None:
        self._kept = kept
        self._known: dict[int, Ended] = {}
        self._view: View | None = None
        self._remains = Remains()

    def look(self, view: View) -> Remains:
        """See who has failed since the last look; whatever is kept later makes another view."""
        if view is not self._view:
            self._remains = self._look(view)
            self._view = view
        return self._remains

    def _look(self, view: View) -> Remains:
        there = {each.id for each in view.runners}
        for runner in view.runners:
            if not runner.failed:
                self._known.pop(runner.id, None)  # it had its job after all, though nobody told
            elif runner.id not in self._known:
                self._known[runner.id] = _seen(runner)
        ended: list[Ended] = []
        for number, events in _by_runner(view.events).items():
            # who is there and has not failed has nothing kept; who is gone may never have been seen
            if number in there or number in self._known or not (names := self._names(number)):
                continue
            if FAILURE in names:
                self._known[number] = _told(number, events)
            else:
                ended.append(replace(_told(number, events), kept=names))
        last = _last(self._known.values())
        self._known = {each.id: each for each in last}
        profiles = {name: self._names(name) for name in view.profiles}
        return Remains(
            failed=tuple(replace(each, kept=self._names(each.id)) for each in last),
            ended=tuple(_last(ended)),
            profiles={name: names for name, names in profiles.items() if names},
        )

    def _names(self, subject: int | str) -> tuple[str, ...]:
        return tuple(each.name for each in self._kept(subject))


def _last(ended: Iterable[Ended]) -> list[Ended]:
    return sorted(ended, key=lambda each: (-each.time, -each.id))[:MOST]


def _seen(runner: Runner) -> Ended:
    return Ended(
        id=runner.id,
        name=runner.name,
        profile=runner.profile,
        time=runner.since,
        why=runner.reason,
    )


def _told(number: int, events: list[Event]) -> Ended:
    """A runner that is gone: the first event of its end says why it came to it."""
    ends = [each for each in events if _state(each) in ("held", "retiring")]
    event = ends[0] if ends else events[-1]
    return Ended(
        id=number,
        name=f"{event.profile}.{number}",
        profile=event.profile,
        time=event.time,
        why=_STATE.sub("", event.text, count=1),
    )


def _state(event: Event) -> str:
    found = _STATE.match(event.text)
    return found[1] if found else ""


def _by_runner(events: Iterable[Event]) -> dict[int, list[Event]]:
    found: dict[int, list[Event]] = {}
    for each in events:
        if each.runner is not None:
            found.setdefault(each.runner, []).append(each)
    return found
