"""A profile that gets another scale set: the old one is served until nothing is assigned there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio

from scaler import Busy, Registration, Unavailable
from scaler_github.client import GitHubError
from scaler_github.outcomes import outcomes
from scaler_github.patience import HOOK, patience
from scaler_github.queue.runners import left_behind

if TYPE_CHECKING:
    from scaler import Context
    from scaler_github.client.types import Statistics
    from scaler_github.queue.alarms import Alarms
    from scaler_github.queue.lines import Line
    from scaler_github.queue.runners import Runners
    from scaler_github.queue.waits import Pace

MOVING = "moving"  # the alarm's name
LARGEST = 15.0  # seconds between two looks, at most
LOOKING = 5.0  # seconds for one: a stop waits for it


class Leaving:
    """Sees an old line through to its end.

    GitHub tells the jobs of a scale set to whoever listens there, and to nobody else: they would
    wait for ever.

    Args:
        alarms: Where it is shown while it lasts.
    """

    def __init__(self, context: Context[Any, Any], alarms: Alarms, pace: Pace) -> None:
        self._context = context
        self._alarms = alarms
        self._pace = pace

    def owed(self, profile: str, line: Line) -> int | None:
        """How many jobs are assigned there, as far as was told; None where that is not known.

        Nothing is ours where the scale set was never found, or another one listens.
        """
        if line.listener.state.counts is not None:
            return _ours(line.listener.state.counts)
        view = self._context.view().profiles.get(profile)
        if line.listener.state.rival or view is None or not view.demand:
            return 0
        return None

    async def until_empty(self, profile: str, line: Line) -> None:
        """Wait until nothing is assigned there; or until the line has ended otherwise."""
        line.close()
        pause = self._pace.moving
        while True:
            with trio.move_on_after(pause):
                await line.over.wait()
            if line.over.is_set() or await self._is_empty(profile, line):
                return
            pause = min(LARGEST, pause * 1.5)

    async def _is_empty(self, profile: str, line: Line) -> bool:
        state, owed, why = line.listener.state, self.owed(profile, line), ""
        if state.rival or (owed == 0 and state.scale_set is None):
            return True
        if owed == 0 and state.scale_set is not None:
            # Messages tell what was so; this, what is so since GitHub was told of no room
            try:
                with patience(LOOKING, f"look at scale set {line.terms.scale_set}"):
                    async with line.account.open() as account:
                        found = await account.actions.get_scale_set(state.scale_set)
            except (GitHubError, Unavailable) as error:
                why = f" ({error})"
            else:
                if found is None or not (owed := _ours(found.statistics)):
                    return True
        text = f"{told(line, owed)}{why}"
        if self._alarms.tell(profile, MOVING, text):
            self._context.log.warning("%s: %s", profile, text)
        return False

    async def clear(self, profile: str, line: Line, runners: Runners) -> None:
        """Remove a profile's spare runners from the scale set that it has left.

        No job would ever come to them, and the core would take them for a new job's. GitHub itself
        keeps whoever is busy.
        """
        removed = 0
        async with line.account.open():
            for runner in left_behind(self._context.view().runners, profile, self._context.name):
                ref = runner.registration.ref if runner.registration else ""
                try:
                    with patience(HOOK, f"remove runner {runner.name}"), outcomes:
                        await runners.remove(runner.name, ref)
                except (Busy, Unavailable) as error:
                    text = "%s stays at scale set %s: %s"
                    self._context.log.warning(text, runner.name, line.terms.scale_set, error)
                    continue
                gone = Registration(name=runner.name, ref=ref, gone=True)
                self._context.registration_changed(gone)
                removed += 1
        if removed:
            text = "%s: %d spare runners of scale set %s were removed"
            self._context.log.info(text, profile, removed, line.terms.scale_set)


def told(line: Line, owed: int | None) -> str:
    """What people are told while a line is left, and so many jobs are assigned there."""
    count = "not known how many" if owed is None else f"{owed or 'perhaps some'}"
    return (
        f"scale set {line.terms.scale_set} is left by itself, for the one of the settings, once no"
        f" job is assigned there ({count} now): do not restart before"
    )


def _ours(counts: Statistics | None) -> int:
    return 0 if counts is None else max(counts.total_assigned_jobs, counts.total_acquired_jobs)
