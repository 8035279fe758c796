"""Everything that is known, in memory. It changes between awaits only."""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from scaler.engine.backoffs import Backoffs
from scaler.engine.index import Index
from scaler.engine.story import Stories
from scaler.errors import NoRoom, Unavailable
from scaler.hooks import SPEC
from scaler.ledger.ledger import Transaction
from scaler.model.demand import Demand
from scaler.model.evolve import evolve
from scaler.model.lifecycle import advance, came_to_nothing, is_suspect, stopped_unused, works
from scaler.model.names import parse_runner_name, runner_name
from scaler.model.plan import Plan
from scaler.model.row import Fact, Row
from scaler.records import Event, Job, Machine, Order, Profile, Report, Room, Runner, RunnerState

if TYPE_CHECKING:
    from scaler.clock import Clock
    from scaler.dispatch import Dispatcher
    from scaler.ledger import Ledger, Stored
    from scaler.model.grant import Grant
    from scaler.model.jobs import KnownJob
    from scaler.model.override import Active

log = logging.getLogger("scaler")

EVENTS = 200  # recent events kept for the dashboard
FINISHED = 100  # finished jobs kept for the dashboard
# states that nothing is waited for in: told to the log only where it wants every step
PASSING = (RunnerState.PLANNED, RunnerState.REGISTERED, RunnerState.GONE)
LEAVING = (RunnerState.RETIRING, RunnerState.GONE)
REMEMBERED = 10_000  # runners whose end is remembered, so that a slow list cannot bring them back


class State:
    """The one record of the world that every part of the engine reads and changes.

    Args:
        scaler: This scaler's name.
        profiles: Every profile by its key.
        stored: What the ledger held.

    Attributes:
        leaving: The ids of those that are being retired.
        orders: What people told, by kind and name; see `scaler.engine.orders`.
        leaving_profiles: Profiles that the settings have no more, and how many jobs of each were
            owed when they went, or are since.
        unserved: Profiles that the settings have just got: whom their source waits for before it
            serves them, or empty while their plugins are being told.
        untold: Plugins that do not know yet that a profile is theirs, too: by plugin and profile.
        restart: What the settings say that counts only after a restart.
        unlisted: Whose list was not complete when it was last asked for, and why; by plugin and
            hook.
        override: The policy override that is active.
        builders: The machines that run and make images, by plugin and the machine's id.
        asked: What guests have asked for, by their machine's id.
        index: Runners by what they are asked for by.
        stories: What runners went through.
        grants: What was answered to whoever asked for runners, by unique_id, oldest first.
    """

    def __init__(
        self,
        scaler: str,
        profiles: Mapping[str, Profile],
        stored: Stored,
        ledger: Ledger,
        hooks: Dispatcher,
        clock: Clock,
    ) -> None:
        self.scaler = scaler
        self.profiles = profiles
        self.ledger = ledger
        self.hooks = hooks
        self.clock = clock
        # (how long somebody is held does not go by the clock on the wall)
        self.rows: dict[int, Row] = {
            i: self._dated(self._timed(row)) for i, row in stored.rows.items()
        }
        self.index = Index(self.rows.values())
        self.override: Active | None = None
        self.orders: dict[tuple[str, str], Order] = dict(stored.orders)
        self.leaving_profiles: dict[str, int] = {}
        self.unserved: dict[str, str] = {}
        self.untold: frozenset[tuple[str, str]] = frozenset()
        self.restart: tuple[str, ...] = ()
        self.unlisted: dict[tuple[str, str], str] = {}
        self.builders: dict[tuple[str, str], Machine] = {}
        self.asked: dict[str, frozenset[str]] = {}
        self.stories = Stories()
        self.grants: OrderedDict[str, Grant] = OrderedDict(
            sorted(stored.grants.items(), key=lambda item: item[1].since)
        )
        self.jobs: dict[str, dict[str, KnownJob]] = {name: {} for name in profiles}
        for (profile, job_id), known in stored.jobs.items():
            self.jobs.setdefault(profile, {})[job_id] = known
        self.demand: dict[str, Demand] = {
            # (a time without reports is no sign that they had become fewer)
            name: replace(stored.demand.get(name, Demand()), reported=False, lower_since=None)
            for name in profiles
        }
        self.rooms: dict[str, Sequence[Room] | None] = {}
        self.backoffs = Backoffs()
        self.plan = Plan()
        self.facts = dict(stored.facts)
        self.reports: dict[tuple[str, str], Report] = {}
        self.faults: dict[tuple[str, str], Report] = {}
        self.events: deque[Event] = deque(maxlen=EVENTS)
        self.finished: deque[Job] = deque(maxlen=FINISHED)
        self.gone: OrderedDict[int, float] = OrderedDict()
        self.next_id = max(int(stored.meta.get("next_id", 1)), 1 + max(self.rows, default=0))
        self.ids_known = "next_id" in stored.meta
        self.stopping = False
        self.version = 0
        self._unkept: dict[int, None] = {}  # whose row is not durable as it is, oldest change first
        self.leaving = {i: None for i, row in self.rows.items() if row.runner.state in LEAVING}
        self.news = trio.Event()
        self.planned = trio.Event()
        self.watched = trio.Event()

    def shut(self, profile: str) -> bool:
        """Whether this profile may have no new runner now, whatever the last plan says."""
        return (
            ("pause", profile) in self.orders
            or profile in self.leaving_profiles
            or profile in self.unserved
        )

    def plan_changed(self) -> None:
        """There is a new plan, perhaps with other ceilings."""
        self.planned.set()
        self.planned = trio.Event()

    def changed(self) -> None:
        """Something changed: whoever waits for news looks again."""
        self.news.set()
        self.news = trio.Event()
        self.shown()

    def shown(self) -> None:
        """Something that is only shown changed: nothing to plan anew for."""
        self.version += 1
        self.watched.set()
        self.watched = trio.Event()

    # -- runners

    def new_row(
        self, profile: Profile, provisioner: str, room: str, runner_id: int | None = None
    ) -> Row:
        """Add a row in its first state; `announce` or `withdraw` must follow.

        `runner_id` is given where something by that id was found.
        """
        if runner_id is None:
            runner_id = self.next_id
        self.next_id = max(self.next_id, runner_id + 1)
        now = self.clock.now()
        wall = self.clock.wall()
        row = Row(
            runner=Runner(
                id=runner_id,
                name=runner_name(profile.name, runner_id, self.scaler),
                profile=profile.name,
                state=RunnerState.PLANNED,
                created=wall,
                since=wall,
                source=profile.source,
                provisioner=provisioner,
                room=room,
                resources=profile.resources,
            ),
            born=now,
            entered=now,
            told=now,
            hold=profile.hold_failed,
            max_lifetime=profile.max_lifetime,
            start_timeout=profile.start_timeout,
        )
        self.rows[runner_id] = row
        self.index.follow(None, row)
        self._unkept[runner_id] = None
        return row

    def announce(self, row: Row) -> None:
        """Tell of a new row, once it is durable: what is told of it later has had a beginning."""
        self._step(None, row)

    def withdraw(self, row: Row) -> None:
        """Take a new row back that could not be made durable; nobody has heard of it."""
        self.index.follow(self.rows.pop(row.runner.id, None), None)
        self._unkept.pop(row.runner.id, None)

    def apply(self, runner_id: int, fact: Fact) -> Row | None:
        """Fold a fact into a row; the row afterwards, or None where there is no such runner.

        The change is in memory when this returns; `keep` makes it durable.
        """
        before = self.rows.get(runner_id)
        if before is None:
            return None
        now = self.clock.now()
        row = advance(before, fact, now)
        if row is before:
            return row
        if row.runner.state is not before.runner.state:
            row = evolve(row, runner=evolve(row.runner, since=self.clock.wall()))
        if row.runner.state is not before.runner.state or row.hold != before.hold:
            row = self._dated(row)
        self.rows[runner_id] = row
        self.index.follow(before, row)
        self._unkept[runner_id] = None
        if row.runner.state in LEAVING:
            self.leaving[runner_id] = None
        else:
            self.leaving.pop(runner_id, None)
        had, has = before.runner.machine, row.runner.machine
        if had is not None and (has is None or has.id != had.id):
            self.asked.pop(had.id, None)
        if row.runner != before.runner:
            self._step(before, row)
        if works(before, row):
            self.backoffs.worked(row.runner.profile)
            if row.served and not before.served:
                self._served(row)
        if is_suspect(before, row):
            text = f"{row.runner.name} stopped, and whether it had its job is being asked"
            self.backoffs.suspect(row.runner.profile, text, now)
        if came_to_nothing(before, row):
            self.start_failed(row, row.runner.reason, unused=stopped_unused(before, row))
        return row

    def _dated(self, row: Row) -> Row:
        """The row whose runner says until when it is held, if it is."""
        until = None
        if row.runner.state is RunnerState.HELD:
            until = self.clock.wall() + row.entered + row.hold - self.clock.now()
        return (
            row
            if until == row.runner.until
            else evolve(row, runner=evolve(row.runner, until=until))
        )

    def _timed(self, row: Row) -> Row:
        """The row with the times of its profile, where an older scaler has not kept them."""
        profile = self.profiles.get(row.runner.profile)
        if profile is None or row.max_lifetime:
            return row
        return evolve(row, max_lifetime=profile.max_lifetime, start_timeout=profile.start_timeout)

    def by_name(self, name: str) -> Row | None:
        """The row of the runner with this name."""
        parsed = parse_runner_name(name, self.scaler)
        row = self.rows.get(parsed[1]) if parsed else None
        return row if row is not None and row.runner.name == name else None

    def drop(self, row: Row) -> None:
        """Forget a runner that is gone."""
        self.index.follow(self.rows.pop(row.runner.id, None), None)
        self._unkept.pop(row.runner.id, None)
        self.leaving.pop(row.runner.id, None)
        self.stories.drop(row.runner.id)
        if row.runner.machine is not None:
            self.asked.pop(row.runner.machine.id, None)
        self.gone[row.runner.id] = self.clock.now()
        while len(self.gone) > REMEMBERED:
            self.gone.popitem(last=False)
        self.changed()

    def unkept(self) -> list[Row]:
        """The rows that changed since they were last made durable."""
        return [self.rows[runner_id] for runner_id in self._unkept]

    async def keep(self, *rows: Row, transaction: Transaction | None = None) -> None:
        """Make rows durable, as they are now, with what else is in the transaction.

        Raises:
            LedgerError: They are not, or that is not known.
        """
        transaction = transaction or Transaction()
        for row in rows:
            transaction.row(row)
        if rows:
            self.stamp(transaction)
        if transaction.changes:  # nothing in the ledger lies ahead of its clock
            transaction.meta("clock", self.clock.save())
        await self.ledger.write(transaction)
        for row in rows:
            if self.rows.get(row.runner.id) is row:  # it may have changed meanwhile
                self._unkept.pop(row.runner.id, None)

    def stamp(self, transaction: Transaction) -> None:
        """Keep the next id, too; not before all lists told which ids there are."""
        if self.ids_known:
            transaction.meta("next_id", self.next_id)

    def start_failed(
        self, row: Row, text: str, error: Exception | None = None, *, unused: bool = False
    ) -> None:
        """A runner came to nothing: back off, the longer the more in a row did.

        `unused`: its machine started, and stopped again without a job.
        """
        runner = row.runner
        # (a stop is judged later, and counts from when it was)
        now = row.entered if row.suspect else self.clock.now()
        told = error.retry_after if isinstance(error, Unavailable) else None
        backoff = self.backoffs.failed(runner.profile, text, now, row.born, told or 0.0)
        if isinstance(error, NoRoom) or (error is not None and runner.registration is not None):
            self.backoffs.avoid(runner.profile, runner.provisioner, runner.room, now)
        before = self.backoffs.halts.get(runner.profile)
        halt = self.backoffs.stopped(runner.profile, text, now, row.born) if unused else before
        until = max(backoff.until, halt.until if halt is not None else 0.0)
        self.event(
            f"{runner.name} came to nothing ({backoff.failures} in a row),"
            f" next try in {round(max(0.0, until - self.clock.now()), 1):g} s: {text}",
            profile=runner.profile,
            runner=runner.id,
            level=logging.WARNING,
        )
        if halt is not None and halt.stopped and halt is not before:
            self.event(
                f"{runner.profile} is stopped: {halt.why(self.clock.now())}",
                profile=runner.profile,
                level=logging.ERROR,
            )

    def _served(self, row: Row) -> None:
        """Tell of a runner that had a job which nobody told of."""
        how = "came and went: its job is over"
        if not row.removed:
            how = "ran a job when its machine stopped"
        runner = row.runner
        self.event(f"{runner.name} {how}", profile=runner.profile, runner=runner.id)

    def _step(self, before: Row | None, row: Row) -> None:
        runner = row.runner
        if before is None or runner.state is not before.runner.state:
            self.stories.step(runner)
            self.event(
                f"{runner.name} is {runner.state}"
                + (f": {runner.reason}" if runner.reason else ""),
                profile=runner.profile,
                runner=runner.id,
                job=runner.job,
                # (that it is busy with a job is also told of the job)
                level=logging.DEBUG
                if runner.state in PASSING or (runner.state is RunnerState.BUSY and runner.job)
                else logging.INFO,
            )
        self.hooks.tell(
            SPEC.on_runner_changed, runner=runner, before=before.runner if before else None
        )
        self.changed()

    # -- for people

    def event(
        self,
        text: str,
        *,
        profile: str = "",
        runner: int | None = None,
        job: str = "",
        level: int = logging.INFO,
    ) -> None:
        """Something happened: into the log and onto the dashboard."""
        log.log(level, "%s", text, extra={"profile": profile, "runner": runner, "job": job})
        event = Event(time=self.clock.wall(), text=text, profile=profile, runner=runner, job=job)
        self.events.append(event)
        self.stories.event(event)
