"""Reservations: idle runners promised, all or none, and taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaler.errors import Unavailable

if TYPE_CHECKING:
    import trio

    from scaler.engine.state import State
    from scaler.records import Reservation, Runner, Selection, SelectionRequest


class Reserving:
    """Reserves, answers again what was answered, and releases."""

    def __init__(self, state: State, nursery: trio.Nursery) -> None:
        self._state = state
        self._nursery = nursery

    async def select(self, request: SelectionRequest) -> Selection:
        """See `Context.select`."""
        raise Unavailable("not yet")

    async def take(
        self, selection: Selection, reservation: Reservation, wait: float
    ) -> tuple[Runner, ...]:
        """See `Context.take`."""
        raise Unavailable("not yet")
