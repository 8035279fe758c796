"""Pictures of machines' screens: in the background, and at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaler.errors import Unavailable

if TYPE_CHECKING:
    from scaler.engine.state import State
    from scaler.records import Machine, Picture


class Pictures:
    """Takes them and keeps the last of each."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def take(self, machine: Machine) -> Picture:
        """See `Context.screenshot`."""
        raise Unavailable("not yet")

    def last(self, subject: int | str) -> Picture | None:
        """See `Context.picture`."""
        return None
