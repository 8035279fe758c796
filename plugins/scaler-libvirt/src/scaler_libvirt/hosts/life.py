"""Machines that stand still: who is helped on, who is left alone, who is given up. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Pause = Literal["", "space", "person"]

AGAIN = 30.0  # seconds between attempts to let a machine go on that had no disk space
GIVEN_UP = 600.0  # seconds without disk space after which it will not come to anything any more

WORDS: Mapping[Pause, str] = {
    "space": "it stands still: the host has no space for what it writes to its disk",
    "person": "it stands still: someone paused it",
}
WHY_GIVEN_UP = "its disk had no space for 10 min"


@dataclass(frozen=True, kw_only=True)
class _Standing:
    why: Pause
    since: float
    tried: float
    given_up: bool = False


@dataclass(frozen=True, kw_only=True)
class Due:
    """What is to be done now: whom to let go on, and who has just been given up."""

    resume: tuple[str, ...] = ()
    given_up: tuple[str, ...] = ()


class Standstills:
    """Which machines stand still, and since when. Times are seconds on any clock."""

    def __init__(self) -> None:
        self._standing: dict[str, _Standing] = {}
        self._went_on: dict[str, tuple[float, float]] = {}  # since when it stood, and until when

    def why(self, uuid: str) -> Pause:
        """Why a machine stands still; empty where it does not."""
        found = self._standing.get(uuid)
        return "" if found is None else found.why

    def given_up(self, uuid: str) -> bool:
        """Whether it stood still for too long: it counts as stopped, whatever comes."""
        found = self._standing.get(uuid)
        return found is not None and found.given_up

    def set(self, uuid: str, why: Pause, now: float) -> bool:
        """A machine stands still, or (empty) goes on. Answers whether that is new."""
        before = self._standing.get(uuid)
        if before is not None and before.given_up:
            return False
        if not why:
            if before is not None and before.why == "space":
                self._went_on[uuid] = (before.since, now)
            return self._standing.pop(uuid, None) is not None
        if before is not None and before.why == why:
            return False
        since, until = self._went_on.pop(uuid, (now, now))
        if why != "space" or now - until >= AGAIN:
            since = now  # (else it was let go on, and had no space at once again)
        self._standing[uuid] = _Standing(why=why, since=since, tried=now)
        return True

    def gone(self, uuid: str) -> None:
        """A machine ended."""
        self._standing.pop(uuid, None)
        self._went_on.pop(uuid, None)

    def due(self, now: float) -> Due:
        """What is to be done now; asked again, it is not answered twice."""
        resume, given_up = [], []
        for uuid, standing in list(self._standing.items()):
            if standing.why != "space" or standing.given_up:
                continue
            if now - standing.since >= GIVEN_UP:
                self._standing[uuid] = replace(standing, given_up=True)
                given_up.append(uuid)
            elif now - standing.tried >= AGAIN:
                self._standing[uuid] = replace(standing, tried=now)
                resume.append(uuid)
        return Due(resume=tuple(resume), given_up=tuple(given_up))

    def count(self, why: Pause) -> int:
        """How many stand still for this reason."""
        return sum(standing.why == why for standing in self._standing.values())
