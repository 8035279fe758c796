"""Guests, known by their secret or their address: what each may fetch, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaler.errors import GuestUnknown

if TYPE_CHECKING:
    from scaler.context import Guest
    from scaler.engine.state import State


class Guests:
    """Who asks, and what it is given."""

    def __init__(self, state: State) -> None:
        self._state = state

    def find(self, address: str, secret: str | None) -> Guest:
        """See `Context.guest`."""
        raise GuestUnknown("no machine is known by this address")
