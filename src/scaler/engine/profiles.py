"""Profiles that come, change and leave while everything runs."""

from __future__ import annotations

import logging
from types import MappingProxyType
from typing import TYPE_CHECKING

from scaler.ledger.ledger import LedgerError, Transaction
from scaler.model.demand import Demand
from scaler.model.jobs import committed

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from scaler.engine.intake import Intake
    from scaler.engine.state import State
    from scaler.records import Profile

log = logging.getLogger("scaler")

QUIET = 5.0  # seconds for which a source told of no jobs, until that is believed of who leaves
UNHEARD = 30.0  # seconds that a source which has told nothing yet has to tell of jobs


class Profiles:
    """Changes which profiles there are. A profile that leaves stays until nothing of it is left."""

    def __init__(self, state: State, intake: Intake) -> None:
        self._state = state
        self._intake = intake
        self._since: dict[str, float] = {}  # when each of those that leave began to

    def replace(
        self,
        profiles: Mapping[str, Profile],
        *,
        leaving: Collection[str],
        added: Collection[str],
        untold: Collection[tuple[str, str]],
    ) -> None:
        """Go by these from now on.

        Args:
            profiles: All of them, those that leave, too.
            leaving: Those that get no new job: only what is owed now is still served.
            added: Those that are new: nothing is made for them until all of their plugins know.
            untold: Plugins that do not know yet that a profile is theirs, by plugin and profile.
        """
        state = self._state
        now = state.clock.now()
        state.profiles = MappingProxyType(dict(profiles))
        for name in profiles:
            state.jobs.setdefault(name, {})
            state.demand.setdefault(name, Demand())
        for name in leaving:
            if name not in state.leaving_profiles:
                state.leaving_profiles[name] = self._owed(name)
                self._since[name] = now
        for name in state.leaving_profiles.keys() - set(leaving):
            self._forget(name)
        state.unserved |= dict.fromkeys(added, "")
        self.told(untold, {})
        state.changed()

    def told(
        self, untold: Collection[tuple[str, str]], waits: Mapping[tuple[str, str], str]
    ) -> None:
        """See who is served: runners can be made where every plugin knows, and none waits.

        Args:
            untold: Plugins that do not know yet that a profile is theirs, by plugin and profile.
            waits: Sources that know it, but wait before they serve it: whom for.
        """
        state = self._state
        awaited = {name for _, name in untold}
        unserved = {
            name: waits.get((state.profiles[name].source, name), "")
            for name in state.unserved
            if name in state.profiles
        }
        unserved = {name: why for name, why in unserved.items() if why or name in awaited}
        if unserved != state.unserved or untold != state.untold:
            state.unserved, state.untold = unserved, frozenset(untold)
            state.changed()

    def look(self) -> list[str]:
        """See how far those that leave have come; those of which nothing is left."""
        state = self._state
        if not state.leaving_profiles:
            return []
        there = {row.runner.profile for row in state.rows.values()}
        now = state.clock.now()
        done = []
        for name, owed in list(state.leaving_profiles.items()):
            over = now >= self._until(name) or (name not in there and self._is_quiet(name))
            left = 0 if over else min(owed, self._owed(name))
            if left != owed:
                state.leaving_profiles[name] = left
                state.changed()
            heard = state.demand[name].reported or now >= self._since[name] + UNHEARD
            if not left and heard and name not in there:
                done.append(name)
        return done

    def _is_quiet(self, name: str) -> bool:
        """Whether its source told of no jobs lately, and none is known."""
        demand, now = self._state.demand[name], self._state.clock.now()
        since = max(self._since[name], demand.lower_since or 0.0)
        return (
            demand.reported and not demand.owed and now >= since + QUIET and not self._known(name)
        )

    def _until(self, name: str) -> float:
        """When its jobs are waited for no longer."""
        return self._since[name] + self._state.profiles[name].max_lifetime

    async def drop(self, name: str) -> None:
        """Forget a profile that has left. Its plugins have let it go already."""
        state = self._state
        async with self._intake.lock(name):
            # (what it owes stays high for a while after its jobs are done)
            waiting = max(state.demand.get(name, Demand()).owed, self._known(name))
            transaction = Transaction()
            for job_id in state.jobs.get(name, {}):
                transaction.job(name, job_id, None)
            transaction.demand(name, Demand())
            state.profiles = MappingProxyType(
                {key: profile for key, profile in state.profiles.items() if key != name}
            )
            state.jobs.pop(name, None)
            state.demand.pop(name, None)
            self._forget(name)
            state.unserved.pop(name, None)
            state.untold = frozenset(each for each in state.untold if each[1] != name)
            state.reports = {key: said for key, said in state.reports.items() if key[1] != name}
            backoffs = state.backoffs
            backoffs.profiles.pop(name, None)
            backoffs.halts.pop(name, None)
            backoffs.rooms = {key: at for key, at in backoffs.rooms.items() if key[0] != name}
            self._tell(name, waiting)
            try:
                await state.keep(transaction=transaction)
            except LedgerError as error:  # then it is remembered in vain
                log.error("%s", error, extra={"profile": name})

    def _tell(self, name: str, waiting: int) -> None:
        state = self._state
        text = f"profile {name} has left"
        if waiting:
            text += (
                f"; {waiting} {'job waits' if waiting == 1 else 'jobs wait'} for it at the other "
                "side, and nobody serves that any more"
            )
        level = logging.WARNING if waiting else logging.INFO
        state.event(text, profile=name, level=level)
        state.changed()

    def _forget(self, name: str) -> None:
        del self._state.leaving_profiles[name]
        del self._since[name]

    def _owed(self, name: str) -> int:
        """The jobs that are ours and wait for a runner, or have one.

        What a source tells runs ahead or behind by a message, so one that is lower is not believed
        at once.
        """
        return max(self._state.demand.get(name, Demand()).kept, self._known(name))

    def _known(self, name: str) -> int:
        state = self._state
        return committed(
            state.jobs.get(name, {}).values(), lambda runner: state.by_name(runner) is not None
        )
