"""What is free in each room, and where the next machine goes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from scaler.records import RoomState
from scaler.units import Size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler.records import Resources, Room


class Free:
    """What is left of one room while a plan is being made."""

    __slots__ = ("count", "left", "provisioner", "room")

    def __init__(self, provisioner: str, room: Room) -> None:
        self.provisioner = provisioner
        self.room = room
        self.left = dict(room.total)
        self.count = 0

    def charge(self, resources: Resources) -> None:
        """Take a machine's resources out; what is overcommitted goes below zero."""
        self.count += 1
        for name in self.left:
            self.left[name] -= resources.get(name, 0)

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

    def fits(self, resources: Resources) -> bool:
        """Whether a machine fits; the quick form of `lacks`."""
        if self.room.state is not RoomState.UP:
            return False
        left = self.left
        return all(
            wanted <= 0 or name not in left or left[name] >= wanted
            for name, wanted in resources.items()
        )

    def emptiness(self, resources: Resources) -> tuple[float, int]:
        """The larger, the better a place for the next machine: its scarcest share left."""
        total: Mapping[str, int] = self.room.total
        share = math.inf
        for name, wanted in resources.items():
            if wanted > 0 and total.get(name, 0) > 0:
                share = min(share, (self.left[name] - wanted) / total[name])
        return share, -self.count


def place(rooms: list[Free], resources: Resources) -> Free | None:
    """The emptiest of these rooms that takes a machine; it is charged. None where none does."""
    best: Free | None = None
    best_score = (-math.inf, 0)
    for room in rooms:
        if room.fits(resources):
            score = room.emptiness(resources)
            if best is None or score > best_score:
                best, best_score = room, score
    if best is not None:
        best.charge(resources)
    return best


def _amount(name: str, amount: int) -> str:
    return str(Size(amount)) if name == "memory" else str(amount)
