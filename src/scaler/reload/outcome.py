"""What became of a reload, for people."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaler.control.place import by_itself
from scaler.records import RunnerState

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from scaler.engine.state import State
    from scaler.reload.compare import Changes

log = logging.getLogger("scaler.reload")

_SPARE = (RunnerState.PLANNED, RunnerState.REGISTERED, RunnerState.BOOTING, RunnerState.IDLE)


@dataclass(frozen=True, kw_only=True)
class Reloaded:
    """What became of one reload.

    Attributes:
        time: When it was (Unix seconds).
        ok: Whether the file was good; where it was not, nothing has changed.
        applied: What counts now, a text each.
        restart: What counts only after a restart, as `key path: why`.
        problems: What is wrong in the file.
    """

    time: float
    ok: bool
    applied: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def write_down(became: Reloaded) -> None:
    """Put it into the log."""
    for text in became.problems:
        log.error("%s", text)
    if not became.ok:
        log.error("the settings are wrong: what runs stays as it is")
        return
    for text in became.applied:
        log.info("new settings: %s", text)
    for text in became.restart:
        when = "not yet" if by_itself(text) else "after a restart"
        log.warning("new settings: %s: %s", when, text)
    if not became.applied:
        log.info("the settings were read anew: nothing changed")


def spares(state: State) -> frozenset[int]:
    """The ids of runners that wait for a job."""
    return frozenset(row.runner.id for row in state.rows.values() if row.runner.state in _SPARE)


def notes(state: State, changes: Changes, before: Collection[int]) -> Iterator[str]:
    """What is worth knowing of runners and jobs that are there.

    Args:
        before: The ids of runners that waited when the settings changed.
    """
    there = [row.runner for row in state.rows.values() if row.runner.id in before]
    for name in sorted(changes.remade):
        spare = sum(runner.profile == name and runner.state in _SPARE for runner in there)
        if spare:
            runners = "1 runner that waits was" if spare == 1 else f"{spare} runners that wait were"
            yield f"profiles.{name}: {runners} made with the earlier settings"
    if state.override is not None:
        for name in sorted(changes.counted):
            yield f"profiles.{name}: an override is active: its counts stand until that ends"
    for name in sorted(changes.leaving):
        if owed := state.leaving_profiles.get(name, 0):
            jobs = "1 job of it is" if owed == 1 else f"{owed} jobs of it are"
            yield f"profiles.{name}: {jobs} still owed: do not restart before they are done"
