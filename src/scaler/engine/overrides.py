"""The policy override: asked for, kept, ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from scaler.errors import Unavailable

if TYPE_CHECKING:
    from scaler.engine.state import State


class Overrides:
    """Begins and ends the one override that may be active."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def begin(self, counts: Mapping[str, int], by: str) -> Mapping[str, int]:
        """See `Context.override`."""
        raise Unavailable("not yet")

    async def end(self, by: str) -> Mapping[str, int] | None:
        """See `Context.override`."""
        raise Unavailable("not yet")
