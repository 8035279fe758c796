"""The plugins' panels, asked for while someone looks."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from scaler.engine.flights import Flight
from scaler.hiding import hidden
from scaler.hooks import SPEC

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scaler.engine.state import State
    from scaler.records import Panel, View

REST = 1.0  # seconds until the panels are asked for anew


class Panels:
    """Asks every plugin for its panel, at most once a second.

    Args:
        state: The world.
        view: What there is.
        hide: Puts `***` in place of secrets: whatever a panel shows, anybody may see.
    """

    def __init__(
        self, state: State, view: Callable[[], View], hide: Callable[[str], str] = str
    ) -> None:
        self._state = state
        self._hide = hide
        self._view = view
        self._flight = Flight(self._gather, REST)

    async def ask(self) -> Mapping[str, Panel | None]:
        """See `Context.panels`."""
        return await self._flight.ask()

    async def _gather(self) -> Mapping[str, Panel | None]:
        hooks = self._state.hooks
        gathered = await hooks.gather(SPEC.render_dashboard, view=self._view())
        panels: dict[str, Panel | None] = {}
        for plugin in hooks.implementers(SPEC.render_dashboard):
            if plugin in gathered.failures:
                panels[plugin] = None
            elif (panel := gathered.answers[plugin]) is not None:  # None: it has none to show
                panels[plugin] = replace(
                    panel,
                    title=self._hide(panel.title),
                    data=hidden(panel.data, self._hide),
                    html=self._hide(panel.html),
                )
        return MappingProxyType(panels)
