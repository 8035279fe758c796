"""What sources deliver: jobs, demand and cursor, taken in together and durable together."""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import TYPE_CHECKING

import trio

from scaler.errors import HookFault, Outcome
from scaler.hooks import SPEC
from scaler.ledger.ledger import LedgerError, Transaction
from scaler.model.demand import report
from scaler.model.evolve import evolve
from scaler.model.jobs import KnownJob, in_order, merge
from scaler.model.lifecycle import supplies
from scaler.model.row import Fact, JobDone, JobStarted, Row
from scaler.records import Job, Message, RunnerState

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from scaler.engine.state import State

log = logging.getLogger("scaler.jobs")

REMEMBERED = 1000  # message ids per source and profile
ENDED = 10_000  # jobs whose end is remembered, so that a late message cannot bring them back
LONGEST = 60.0  # seconds until offered jobs are tried again, at most


class Intake:
    """Takes messages in, one at a time per profile."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._locks: dict[str, trio.Lock] = {}
        self._seen: dict[tuple[str, str], OrderedDict[str, None]] = {}
        self._ended: OrderedDict[tuple[str, str], None] = OrderedDict()

    def lock(self, profile: str) -> trio.Lock:
        """Held while something of a profile's is taken in."""
        return self._locks.setdefault(profile, trio.Lock())

    async def deliver(self, plugin: str, message: Message) -> None:
        """See `Context.deliver`."""
        self._state.hooks.tell(SPEC.on_message, message=message)
        if message.profile is None:
            for part in self._by_labels(message):
                await self._take(plugin, part)
            if message.cursor is not None:  # the last of all: what came before may come again
                transaction = Transaction()
                transaction.fact(plugin, "cursor/", message.cursor)
                await self._state.keep(transaction=transaction)
                self._state.facts[plugin, "cursor/"] = message.cursor
        elif message.profile in self._state.profiles:
            await self._take(plugin, message)
        else:
            raise LookupError(f"no profile {message.profile!r} in the settings")

    async def acquire_waiting(self, profile: str) -> None:
        """Acquire jobs that were offered earlier, as far as there is room for them now."""
        async with self.lock(profile):
            if profile not in self._state.profiles:
                return  # it has left
            now = self._state.clock.now()
            known = self._state.jobs[profile]
            due = [
                each.job
                for each in known.values()
                if each.job.state == "offered" and not each.job.declined and each.retry_at <= now
            ]
            after, vain = await self._acquired(profile, due, self._state.demand[profile].owed, {})
            if after:
                await self._commit(profile, after, vain, Transaction(), self._state.clock.now(), ())

    def _by_labels(self, message: Message) -> list[Message]:
        """One message per profile, for a source that knows only labels."""
        parts: dict[str, list[Job]] = {}
        for job in message.jobs:
            profile = self.match(job.labels)
            if profile is None:
                self._state.event(
                    f"job {job.id} is served by no profile: none has all of its labels"
                    f" ({', '.join(job.labels) or 'it has none'})",
                    job=job.id,
                    level=logging.WARNING,
                )
            else:
                parts.setdefault(profile, []).append(job)
        return [
            evolve(
                message, profile=profile, jobs=tuple(jobs), demand=None, waiting=None, cursor=None
            )
            for profile, jobs in parts.items()
        ]

    def match(self, labels: tuple[str, ...]) -> str | None:
        """The first profile whose labels (with `self-hosted`) include all of these."""
        wanted = {label.lower() for label in labels}
        for name, profile in self._state.profiles.items():
            if wanted and wanted <= {"self-hosted", *(label.lower() for label in profile.labels)}:
                return name
        return None

    async def _take(self, plugin: str, message: Message) -> None:
        profile = message.profile or ""
        now = self._state.clock.now()  # when it came, also if it waits here: for jobs and demand
        async with self.lock(profile):
            if profile not in self._state.profiles:  # (it may have left meanwhile)
                raise LookupError(f"no profile {profile!r} in the settings")
            seen = self._seen.setdefault((plugin, profile), OrderedDict())
            if message.id and message.id in seen:
                log.info("%s was delivered again: nothing to do", message.id)
                return
            transaction = Transaction()
            after = self._forgotten(profile) if message.reset else {}
            after |= self._merged(profile, message.jobs, after)
            await self._consult(profile, after)
            offered = [
                job
                for job in after.values()
                if job is not None and job.state == "offered" and not job.declined
            ]
            owed = self._state.demand[profile].owed if message.demand is None else message.demand
            acquired, vain = await self._acquired(profile, offered, owed, after)
            after |= acquired
            before = self._state.demand[profile]
            if message.demand is not None:
                demand = report(before, message.demand, message.waiting, now)
                transaction.demand(profile, demand)
                # at once with what it says of runners: else another is made for a job that is over
                self._state.demand[profile] = demand
            cursor = f"cursor/{profile}"
            if message.cursor is not None:
                transaction.fact(plugin, cursor, message.cursor)
            try:
                await self._commit(profile, after, vain, transaction, now, message.jobs)
            except LedgerError:
                # it is told again, and that must not count as a second report
                self._state.demand[profile] = before
                raise
            if message.cursor is not None:
                self._state.facts[plugin, cursor] = message.cursor
            if message.id:
                seen[message.id] = None
                if len(seen) > REMEMBERED:
                    seen.popitem(last=False)

    def _forgotten(self, profile: str) -> dict[str, Job | None]:
        """The jobs that a new place knows nothing of."""
        known = self._state.jobs[profile].values()
        return {each.job.id: None for each in known if each.job.state in ("offered", "assigned")}

    def _merged(
        self, profile: str, jobs: tuple[Job, ...], gone: Container[str]
    ) -> dict[str, Job | None]:
        """What the message's jobs are after it; None for those that are forgotten."""
        after: dict[str, Job | None] = {}
        for job in in_order(jobs):
            if (profile, job.id) in self._ended:
                after[job.id] = None  # whatever is said of it: its end may not be durable yet
                continue
            known = None if job.id in gone else self._state.jobs[profile].get(job.id)
            before = after.get(job.id) or (known.job if known else None)
            if before is None and job.state == "running" and not self._runs_here(job):
                log.info("job %s runs on %r, which is not here: ignored", job.id, job.runner_name)
                continue
            after[job.id] = evolve(merge(before, job), profile=profile)
        return after

    def _runs_here(self, job: Job) -> bool:
        row = self._state.by_name(job.runner_name)
        return row is not None and row.runner.state is not RunnerState.RETIRING

    async def _consult(self, profile: str, after: dict[str, Job | None]) -> None:
        """Let plugins object to jobs that are seen for the first time."""
        new = [
            job
            for job in after.values()
            if job is not None
            and job.id not in self._state.jobs[profile]
            and job.state in ("offered", "assigned")
        ]
        if not new or self._state.stopping:
            return
        if not self._state.hooks.implementers(SPEC.on_job_available):
            return

        async def ask(job: Job) -> None:
            objections = await self._state.hooks.vote(SPEC.on_job_available, job=job)
            if objections:
                plugin, decline = objections[0]
                why = f"{plugin}: {decline.reason}"
                after[job.id] = evolve(job, declined=why)
                held = "it is not acquired" if job.state == "offered" else "it is assigned already"
                self._state.event(
                    f"job {job.id} was declined by {why}; {held}",
                    profile=profile,
                    job=job.id,
                    level=logging.WARNING,
                )

        async with trio.open_nursery() as nursery:
            for job in new:
                nursery.start_soon(ask, job, name=f"on_job_available {job.id}")

    async def _acquired(
        self, profile: str, offered: list[Job], owed: int, after: Mapping[str, Job | None]
    ) -> tuple[dict[str, Job | None], frozenset[str]]:
        """Acquire as many of these jobs as the ceiling has room for.

        `after` is what the message in hand says. The answer is what became of the jobs that were
        asked for, and which of them were asked for in vain.
        """
        state = self._state
        nothing: frozenset[str] = frozenset()
        if not offered or state.stopping:
            return {}, nothing
        known = {job_id: each.job for job_id, each in state.jobs[profile].items()} | dict(after)
        ours = sum(
            job is not None and job.state in ("assigned", "running") for job in known.values()
        )
        plugin = state.profiles[profile].source
        supply = sum(
            row.runner.state is RunnerState.BUSY and supplies(row)
            for row in state.rows.values()
            if row.runner.profile == profile
        )
        room = state.plan.ceilings.get(profile, 0) - max(owed, ours, supply)
        if room <= 0 or plugin not in state.hooks.implementers(SPEC.acquire_jobs):
            return {}, nothing
        asked = offered[:room]
        try:
            answer = await state.hooks.route(
                plugin, None, SPEC.acquire_jobs, profile=state.profiles[profile], jobs=asked
            )
        except (Outcome, HookFault) as error:
            # perhaps they are ours now; then the source will say that they are assigned
            log.warning("acquiring %d jobs: %s", len(asked), error, extra={"profile": profile})
            return {job.id: job for job in asked}, frozenset(job.id for job in asked)
        mine = {job.id for job in answer}
        for job in asked:
            if job.id not in mine:
                log.info("job %s went to someone else", job.id, extra={"profile": profile})
        became = {
            job.id: evolve(job, state="assigned") if job.id in mine else None for job in asked
        }
        return became, nothing

    async def _commit(
        self,
        profile: str,
        after: dict[str, Job | None],
        vain: Container[str],
        transaction: Transaction,
        now: float,
        said: tuple[Job, ...],
    ) -> None:
        """Make it so in memory, then in the ledger; runners learn what the messages say of them."""
        state = self._state
        jobs = state.jobs[profile]
        for job_id, job in after.items():
            before = jobs.get(job_id)
            # (an assignment that lapsed is cancelled, and may be given to us again)
            lapsed = job is not None and job.result == "canceled" and not job.runner_name
            if job is not None and job.state == "done" and not lapsed:
                self._ended[profile, job_id] = None
                if len(self._ended) > ENDED:
                    self._ended.popitem(last=False)
            if job is None or job.state == "done":
                jobs.pop(job_id, None)
                transaction.job(profile, job_id, None)
            else:
                known = KnownJob(job=job, heard=now)
                if before and job.state == before.job.state:
                    known = evolve(known, tried=before.tried, retry_at=before.retry_at)
                if job_id in vain:
                    tried = known.tried + 1
                    wait = min(LONGEST, 2.0 ** min(tried, 10))
                    known = evolve(known, tried=tried, retry_at=now + wait)
                jobs[job_id] = known
                transaction.job(profile, job_id, known)
            self._tell(before.job if before else None, job)
        rows = self._runners(said)
        state.changed()
        await state.keep(*rows, transaction=transaction)

    def _runners(self, said: tuple[Job, ...]) -> list[Row]:
        """Fold what messages say of runners into their rows; the rows that it concerns."""
        rows: dict[int, Row] = {}
        for job in in_order(said):
            row = self._state.by_name(job.runner_name) if job.runner_name else None
            if row is None:
                continue
            fact: Fact
            if job.state in ("running", "done"):
                self._state.backoffs.worked(row.runner.profile)
            if job.state == "running":
                fact = JobStarted(job.id)
            elif job.state == "done":
                fact = JobDone(job.id, job.result)
            else:
                continue
            after = self._state.apply(row.runner.id, fact)
            if after is not None:
                rows[after.runner.id] = after
        return list(rows.values())

    def _tell(self, before: Job | None, job: Job | None) -> None:
        if job is None or job == before:
            return
        if job.state == "done":
            self._state.finished.append(job)
        if before is None or before.state != job.state:
            where = f" on {job.runner_name}" if job.runner_name else ""
            how = f": {job.result}" if job.result else ""
            self._state.event(
                f"job {job.id} ({job.name or 'no name'}) is {job.state}{where}{how}",
                profile=job.profile,
                job=job.id,
            )
        self._state.hooks.tell(SPEC.on_job_changed, job=job, before=before)
