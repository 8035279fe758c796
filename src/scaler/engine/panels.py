"""The plugins' panels, asked for while someone looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from scaler.errors import Unavailable

if TYPE_CHECKING:
    from scaler.engine.state import State
    from scaler.records import Panel, View


class Panels:
    """Asks every plugin for its panel, at most once a second."""

    def __init__(self, state: State, view: Callable[[], View]) -> None:
        self._state = state
        self._view = view

    async def ask(self) -> Mapping[str, Panel | None]:
        """See `Context.panels`."""
        raise Unavailable("not yet")
