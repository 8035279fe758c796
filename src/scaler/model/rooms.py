"""What is free in each room, and where the next machine goes."""

from __future__ import annotations

import copy
import heapq
import math
from typing import TYPE_CHECKING

from scaler.records import RoomState
from scaler.units import Size

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from scaler.records import Profile, Resources, Room

ROOMS_TOLD = 8  # rooms that are named where no room has a place
LOOKS = 3  # rooms that are weighed anew for one machine, of those charged since the last time


class Free:
    """What is left of one room while a plan is being made."""

    __slots__ = ("count", "left", "provisioner", "room")

    def __init__(self, provisioner: str, room: Room) -> None:
        self.provisioner = provisioner
        self.room = room
        self.left = dict(room.total)
        self.count = 0

    def charge(self, resources: Resources, machines: int = 1) -> None:
        """Take machines' resources out; what is overcommitted goes below zero."""
        self.count += machines
        left = self.left
        for name in left:
            left[name] -= resources.get(name, 0) * machines

    def refusal(self, profile: str) -> str:
        """Why it takes none of this profile at all, in words; empty where it does."""
        why = self.room.refuses.get(profile, "")
        return f"{self.room.name or 'its room'}: {why}" if why else ""

    def lacks(self, resources: Resources) -> str:
        """Why a machine does not fit, in words; empty where it does."""
        if self.room.state is not RoomState.UP:
            return f"{self.room.name} is {self.room.state}"
        short = [
            f"{name} ({_amount(name, wanted)} wanted, {_amount(name, max(0, left))} free)"
            for name, wanted in resources.items()
            if wanted > 0 and (left := self.left.get(name, wanted)) < wanted
        ]
        return f"{self.room.name or 'its room'} lacks {', '.join(short)}" if short else ""


class Ranking:
    """One provisioner's rooms, the emptiest first for machines of one size.

    The emptiest room is the one whose scarcest resource has the largest share left. While a plan
    is made rooms only get fuller, so a room is weighed anew only when it comes first, and only a
    few for one machine: where many rooms are in use by several sizes, nearly the emptiest will do.

    Attributes:
        rooms: All of them, also those in which nothing fits.
        refusing: Rooms that are not among them, since they take none of these machines.
    """

    __slots__ = (
        *("_all", "_order", "_plenty", "_resources", "_wanted"),
        *("provisioner", "refusing", "rooms"),
    )

    def __init__(self, provisioner: str, rooms: Sequence[Free], resources: Resources) -> None:
        self.provisioner = provisioner
        self.rooms = self._all = rooms
        self.refusing: Sequence[Free] = ()
        self._resources = resources
        self._plenty: int | None = None  # about how many machines still fit in all rooms
        self._wanted = [(name, wanted) for name, wanted in resources.items() if wanted > 0]
        # the fuller, the larger; where rooms are alike the one with fewer machines, then the first
        up, weigh = RoomState.UP, self._fullness
        self._order = [
            (fullness, free.count, index)
            for index, free in enumerate(rooms)
            if free.room.state is up and (fullness := weigh(free)) is not None
        ]
        heapq.heapify(self._order)

    def without(self, refused: Container[str], avoided: Container[str]) -> Ranking:
        """The same, but for the rooms of these names; those avoided stay where no other is left.

        Much quicker than weighing every room once more for each profile that differs.
        """
        other = copy.copy(self)
        other.refusing = [free for free in self._all if free.room.name in refused]
        other.rooms = [free for free in self._all if free.room.name not in refused]
        if good := [free for free in other.rooms if free.room.name not in avoided]:
            other.rooms = good
        stay = {id(free) for free in other.rooms}
        other._order = [each for each in self._order if id(self._all[each[2]]) in stay]
        heapq.heapify(other._order)
        other._plenty = None  # it was counted with the rooms that refuse
        return other

    def take(self, most: int = 1, sharers: int = 1) -> tuple[Free, int] | None:
        """Charge the emptiest room with a machine; None where none fits anywhere.

        Args:
            most: Charge it with up to so many at once, but with a small part of what is free only,
                so that taking turns stays fair.
            sharers: How many take turns at these rooms.

        Returns:
            The room and the number of machines.
        """
        order, looks = self._order, 0
        while order:
            _, count, index = order[0]
            free = self._all[index]
            if count != free.count:  # it was charged since it was weighed
                fullness = self._fullness(free)
                if fullness is None:
                    heapq.heappop(order)
                    continue
                heapq.heapreplace(order, (fullness, free.count, index))
                looks += 1
                if looks < LOOKS:
                    continue
            machines = 1 if most == 1 else self._part(free, most, sharers)
            free.charge(self._resources, machines)
            return free, machines
        return None

    def _fullness(self, free: Free) -> float | None:
        """The share of its scarcest resource that one more machine leaves, negated, or None."""
        least = math.inf
        left, total = free.left, free.room.total
        for name, wanted in self._wanted:
            if name in left:
                rest = left[name] - wanted
                if rest < 0:
                    return None
                share = rest / total[name]
                if share < least:  # quicker than min(): this is where a plan's time goes
                    least = share
        return -least

    def _part(self, free: Free, most: int, sharers: int) -> int:
        """Half of this room, or of everyone's share in all rooms; all where nothing limits."""
        fit = self._fit(free)
        if fit is None:
            return most
        if self._plenty is None:
            self._plenty = sum(self._fit(each) or 0 for each in self.rooms)
        part = min(most, max(1, min(fit // 2, self._plenty // (2 * sharers))))
        self._plenty -= part
        return part

    def _fit(self, free: Free) -> int | None:
        """How many more fit into a room; None where nothing limits them."""
        fits = [free.left[name] // wanted for name, wanted in self._wanted if name in free.left]
        if not fits:
            return None
        return max(0, min(fits)) if free.room.state is RoomState.UP else 0


def no_room(profile: Profile, rankings: Sequence[Ranking]) -> str:
    """Why no room takes one more machine of a profile, in words."""
    told = [
        text
        for ranking in rankings
        for each in ranking.refusing
        if (text := each.refusal(profile.name))
    ]
    rooms = [free for ranking in rankings for free in ranking.rooms]
    if told and not rooms:
        return _together(told, 0)
    room = max(0, ROOMS_TOLD - len(told))
    told += [text for free in rooms[:room] if (text := free.lacks(profile.resources))]
    return f"no room: {_together(told, len(rooms[room:])) or 'there is none'}"


def _together(told: list[str], more: int) -> str:
    more += len(told[ROOMS_TOLD:])
    rest = [f"and {more} more rooms have none either"] if more else []
    return "; ".join(told[:ROOMS_TOLD] + rest)


def refusals(rooms: Iterable[Room]) -> dict[str, frozenset[str]]:
    """For each profile that is refused anywhere, the names of those rooms."""
    found: dict[str, set[str]] = {}
    for room in rooms:
        for profile, why in room.refuses.items():
            if why:
                found.setdefault(profile, set()).add(room.name)
    return {profile: frozenset(names) for profile, names in found.items()}


def _amount(name: str, amount: int) -> str:
    return str(Size(amount)) if name == "memory" else str(amount)
