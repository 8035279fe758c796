"""The loop that makes the world look like the plan."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

import trio

from scaler.engine.state import LEAVING
from scaler.ledger.ledger import LedgerError, Transaction
from scaler.model import orders
from scaler.model.demand import settle
from scaler.model.holding import awaits_result
from scaler.model.jobs import KnownJob, committed, forgotten
from scaler.model.lifecycle import wakes
from scaler.model.plan import Make, Situation, plan
from scaler.model.row import Retire, Row, Tick
from scaler.records import Profile, RoomState, RunnerState

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler.engine.intake import Intake
    from scaler.engine.orders import Orders
    from scaler.engine.overrides import Overrides
    from scaler.engine.state import State
    from scaler.engine.steps import Steps

log = logging.getLogger("scaler.reconciler")

RETRY = 1.0  # seconds until a ledger that cannot be written is tried again
TIMES = 1.0  # seconds between two looks at whose time is over
SHARE = 9.0  # a look is followed by a rest of so many times its length, so that changes gather
LONGEST_REST = 0.05  # seconds
# Seconds that news may wait for the look that they cause: others want the loop just then, such as
# who asked for what became news and has no answer yet. Cheap looks wait less.
MOMENT = 0.01


class Reconciler:
    """Looks at the state whenever it changed, and at least on every tick; plans; acts.

    Attributes:
        looked: When the last look ended (trio's clock).
    """

    def __init__(
        self,
        state: State,
        steps: Steps,
        intake: Intake,
        overrides: Overrides,
        orders: Orders,
        tick: Callable[[], float],
    ) -> None:
        self._state = state
        self._steps = steps
        self._intake = intake
        self._overrides = overrides
        self._orders = orders
        self._tick = tick
        self.looked = trio.current_time()
        self._planned_anew = trio.Event()
        self._acquiring: set[str] = set()
        self._written = True
        self._times_due = 0.0
        self._rows_wake: float | None = None  # when time alone changes a row
        # the same of each, as it was looked at, and by which profile
        self._due: dict[int, tuple[Row, Profile | None, float]] = {}

    async def run(self, nursery: trio.Nursery) -> None:
        """Reconcile for ever; what is started runs in `nursery`."""
        while True:
            news = self._state.news
            began = trio.current_time()
            await self.once(nursery)
            self.looked = looked = trio.current_time()
            rest = min(LONGEST_REST, SHARE * (looked - began)) if self._written else RETRY
            deadline = self._wake()
            with trio.move_on_at(self._state.clock.deadline(deadline)):
                await news.wait()
            moment = min(rest, MOMENT)
            await trio.sleep_until(max(looked + rest, trio.current_time() + moment))

    async def once(self, nursery: trio.Nursery) -> None:
        """One look: time passes, jobs are forgotten, the plan is made, written and begun."""
        state = self._state
        transaction = Transaction()
        lost = self._lost_jobs(transaction) if self._pass_time() else []
        self._overrides.look(transaction)
        self._orders.look(transaction)
        before, state.plan = state.plan, plan(self._situation())
        if state.plan.ceilings != before.ceilings:
            state.plan_changed()
        if (
            state.plan.why != before.why
            or state.plan.cures != before.cures
            or state.plan.targets != before.targets
        ):
            state.shown()
        made = [] if state.stopping else [self._planned(each) for each in state.plan.make]
        if not state.stopping:
            for runner_id in state.plan.retire:
                state.apply(runner_id, Retire(self._surplus(runner_id)))
        self._planned_anew.set()
        self._planned_anew = trio.Event()
        written = await self._write(transaction)
        if written:
            self._overrides.written()
            self._orders.written()
            self._forget(lost)
        for row in made:
            if written:
                state.announce(row)
                self._steps.make(row.runner.id)
            else:  # nothing may be begun that is not durable: plan it again later
                self._steps.unclaim(row.runner.id)
                state.withdraw(row)
        # cleaning up goes on, also on a full disk: what a crash forgets of it is found again
        for runner_id in list(state.leaving):
            self._steps.retire(state.rows[runner_id])
        if written:
            for profile in state.profiles:
                self._acquire(profile, nursery)

    # -- before the plan

    def _pass_time(self) -> bool:
        """Let time pass, once a second; whether it did."""
        state = self._state
        now = state.clock.now()
        if now < self._times_due:
            self._rows_wake = self._times_due  # rows changed since they were looked at
            return False
        self._times_due = now + TIMES
        wake = math.inf
        known, self._due = self._due, {}
        for runner_id, row in list(state.rows.items()):
            seen = known.get(runner_id)
            profile = state.profiles.get(row.runner.profile)
            if seen is None or seen[0] is not row or seen[1] is not profile or seen[2] <= now:
                after = state.apply(runner_id, Tick(profile)) or row
                due = wakes(after, profile)
                seen = after, profile, math.inf if due is None else due
            self._due[runner_id] = seen
            if now < seen[2] < wake:
                wake = seen[2]
        self._rows_wake = None if math.isinf(wake) else wake
        for name, demand in state.demand.items():
            state.demand[name] = settle(demand, now)
        return True

    def _lost_jobs(self, transaction: Transaction) -> list[KnownJob]:
        """The jobs that nothing confirms any more; the ledger is to forget them."""
        state = self._state
        now = state.clock.now()
        served = {
            row.runner.job for row in state.rows.values() if row.runner.state is RunnerState.BUSY
        }
        lost: list[KnownJob] = []
        for profile, jobs in state.jobs.items():
            if jobs and profile in state.demand:
                lost += forgotten(jobs.values(), state.demand[profile], served, now)
        for known in lost:
            transaction.job(known.job.profile, known.job.id, None)
        return lost

    def _forget(self, lost: list[KnownJob]) -> None:
        for known in lost:
            profile, job_id = known.job.profile, known.job.id
            jobs = self._state.jobs.get(profile, {})
            if jobs.get(job_id) is not known:
                continue  # heard of again while the ledger was written, or all of them are dropped
            del jobs[job_id]
            self._state.event(
                f"job {job_id} was not heard of any more, and is forgotten",
                profile=profile,
                job=job_id,
                level=logging.WARNING,
            )
            self._state.changed()

    def _situation(self) -> Situation:
        state = self._state
        drained = orders.drained(state.orders)
        return Situation(
            profiles=state.profiles,
            rows=state.rows.values(),
            demand=state.demand,
            committed={
                name: committed(jobs.values(), self._lives) for name, jobs in state.jobs.items()
            },
            offered={
                name: sum(
                    known.job.state == "offered" and not known.job.declined
                    for known in jobs.values()
                )
                for name, jobs in state.jobs.items()
            },
            rooms=orders.applied(state.rooms, drained),
            backoff=state.backoffs.profiles,
            halts=state.backoffs.halts,
            avoid=state.backoffs.rooms,
            override=state.override.targets if state.override is not None else {},
            paused={name: order for (kind, name), order in state.orders.items() if kind == "pause"},
            leaving=state.leaving_profiles,
            unserved=state.unserved,
            untold=state.untold,
            drained=drained,
            unlisted=state.unlisted,
            now=state.clock.now(),
            ids_known=state.ids_known,
            stopping=state.stopping,
        )

    def _lives(self, name: str) -> bool:
        row = self._state.by_name(name)
        return row is not None and row.runner.state not in LEAVING and not awaits_result(row)

    # -- after the plan

    async def planned(self) -> None:
        """Wait for the next plan: it goes by everything that is known now."""
        await self._planned_anew.wait()

    def _surplus(self, runner_id: int) -> str:
        """Why the plan gives this runner up, for people."""
        state = self._state
        runner = state.rows[runner_id].runner
        if ("pause", runner.profile) in state.orders:
            return f"{runner.profile} is paused"
        if ("drain", orders.place(runner.provisioner, runner.room)) in state.orders:
            return f"{runner.room or runner.provisioner} is being drained"
        for room in state.rooms.get(runner.provisioner) or ():
            if room.name == runner.room and room.state is RoomState.DRAINING:
                return f"{runner.room or runner.provisioner} is draining"
        return "there are more runners than needed"

    def _planned(self, make: Make) -> Row:
        row = self._state.new_row(self._state.profiles[make.profile], make.provisioner, make.room)
        self._steps.claim(row.runner.id)
        return row

    async def _write(self, transaction: Transaction) -> bool:
        """Write every row that changed since it was last written; whether it went well."""
        try:
            await self._state.keep(*self._state.unkept(), transaction=transaction)
        except LedgerError as error:
            self._written = False
            log.error("%s; nothing new is begun", error)
            return False
        self._written = True
        return True

    def _acquire(self, profile: str, nursery: trio.Nursery) -> None:
        """Acquire what was offered earlier, if there is room for it now."""
        state = self._state
        if profile in self._acquiring or state.stopping:
            return
        now = state.clock.now()
        jobs = state.jobs.get(profile, {}).values()
        due = any(
            known.job.state == "offered" and not known.job.declined and known.retry_at <= now
            for known in jobs
        )
        room = state.plan.ceilings.get(profile, 0) - state.plan.demand.get(profile, 0)
        if due and room > 0:
            self._acquiring.add(profile)
            nursery.start_soon(self._acquire_waiting, profile, name=f"acquire for {profile}")

    async def _acquire_waiting(self, profile: str) -> None:
        try:
            await self._intake.acquire_waiting(profile)
        except LedgerError as error:
            log.error("%s", error, extra={"profile": profile})
        finally:
            self._acquiring.discard(profile)

    def _wake(self) -> float:
        """When to look again without any news."""
        now = self._state.clock.now()
        times = [now + self._tick(), self._steps.wake(), self._state.plan.wake, self._rows_wake]
        times += [self._state.override.ends] if self._state.override is not None else []
        times += [
            known.retry_at
            for jobs in self._state.jobs.values()
            for known in jobs.values()
            if known.job.state == "offered" and known.retry_at > now
        ]
        return max(now + 0.01, min(each for each in times if each is not None))
