"""Which of our machines a host is known to hold. Pure: no libvirt, no trio."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from scaler_libvirt.hosts.reasons import UNSEEN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scaler_libvirt.hosts.driver import Seen

_ENDED_KEPT = 4096


class Roster:
    """What is known between two looks, so that an event or a look tells only what is new.

    UUIDs are never used twice. So a machine that ended stays ended, also when a look that began
    before its end reports it afterwards.
    """

    def __init__(self) -> None:
        self._machines: dict[str, Seen] = {}
        self._by_runner: dict[int, str] = {}
        self._ended: OrderedDict[str, tuple[str, Seen | None]] = OrderedDict()

    def uuids(self) -> frozenset[str]:
        """The machines that are known to run."""
        return frozenset(self._machines)

    def knows(self, uuid: str) -> bool:
        """Whether this machine is known to run."""
        return uuid in self._machines

    def machines(self) -> list[Seen]:
        """The machines that are known to run."""
        return list(self._machines.values())

    def get(self, uuid: str) -> Seen | None:
        """A machine that is known to run."""
        return self._machines.get(uuid)

    def was(self, uuid: str) -> Seen | None:
        """A machine that ended lately, as it was; None where that is not known."""
        return self._ended.get(uuid, ("", None))[1]

    def uuid_of(self, runner: int) -> str | None:
        """The machine of a runner, where it is known."""
        return self._by_runner.get(runner)

    def why_ended(self, uuid: str) -> str | None:
        """Why a machine stopped, if it did so lately; None where that is not known."""
        return self._ended[uuid][0] if uuid in self._ended else None

    def saw(self, seen: Seen) -> bool:
        """A machine runs. Answers whether that is new."""
        if seen.uuid in self._machines:
            return False
        if seen.uuid in self._ended:  # before it was known: now it is known what it was
            why, was = self._ended[seen.uuid]
            self._ended[seen.uuid] = (why, was or seen)
            return False
        self._machines[seen.uuid] = seen
        if seen.identity.runner is not None:
            self._by_runner[seen.identity.runner] = seen.uuid
        return True

    def ended(self, uuid: str, why: str) -> Seen | None:
        """A domain stopped. Answers the machine, where it was known to run."""
        seen = self._machines.pop(uuid, None)
        self._ended[uuid] = (why, seen or self.was(uuid))
        while len(self._ended) > _ENDED_KEPT:
            self._ended.popitem(last=False)
        runner = None if seen is None else seen.identity.runner
        if runner is not None and self._by_runner.get(runner) == uuid:
            del self._by_runner[runner]
        return seen

    def compare(
        self, listing: Iterable[Seen], before: frozenset[str]
    ) -> tuple[list[Seen], list[tuple[Seen, str]]]:
        """Take in a complete look; answer what appeared, and what ended and why.

        Args:
            listing: What was seen.
            before: `uuids()` as it was before the look began: nothing younger is missed in it.
        """
        by_uuid = {seen.uuid: seen for seen in listing}
        appeared = [seen for seen in by_uuid.values() if seen.running and self.saw(seen)]
        ended: list[tuple[Seen, str]] = []
        for uuid in sorted(before):
            there = by_uuid.get(uuid)
            if uuid not in self._machines or (there is not None and there.running):
                continue  # (an event came first, and knows better why)
            why = UNSEEN if there is None else there.why
            if (seen := self.ended(uuid, why)) is not None:
                ended.append((seen, why))
        return appeared, ended
