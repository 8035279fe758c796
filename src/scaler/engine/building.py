"""Machines that make images: they have no runner, but guests that ask, and screens."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from scaler.engine.state import State
    from scaler.records import Machine

REMEMBERED = 600.0  # seconds for which what was told counts more than a list that began before


class Building:
    """Keeps `state.builders` as lists and provisioners tell it."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._told: dict[tuple[str, str], float] = {}

    def told(self, plugin: str, machine: Machine) -> None:
        """A provisioner says how its builder is now."""
        self._told[plugin, machine.id] = self._state.clock.now()
        self._put({(plugin, machine.id): machine})

    def listed(
        self, plugin: str, machines: Iterable[Machine], began: float, *, whole: bool
    ) -> None:
        """A list is there that began at this time; `whole` where it lacks nothing."""
        old = self._state.clock.now() - REMEMBERED
        self._told = {key: at for key, at in self._told.items() if at > old}
        found: dict[tuple[str, str], Machine | None] = {}
        if whole:
            found = {key: None for key in self._state.builders if key[0] == plugin}
        found |= {(plugin, each.id): each for each in machines if each.runner is None}
        self._put(
            {key: each for key, each in found.items() if self._told.get(key, -math.inf) < began}
        )

    def _put(self, found: Mapping[tuple[str, str], Machine | None]) -> None:
        builders = self._state.builders
        before = dict(builders)
        for key, machine in found.items():
            if machine is not None and machine.state == "running":
                builders[key] = machine
            else:
                builders.pop(key, None)
                self._state.asked.pop(key[1], None)
        if builders != before:
            self._state.shown()
