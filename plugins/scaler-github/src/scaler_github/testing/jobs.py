"""How jobs find runners, in both flows of GitHub.

`assigned` is what github.com does: a job goes straight to a scale set that has room under
its last advertised capacity. `offered` is what Enterprise Server does: a job is offered to
every scale set that fits, and belongs to the first client that acquires it.
"""

from __future__ import annotations

import itertools
import uuid
from functools import partial
from typing import TYPE_CHECKING

from scaler_github.testing import records, render
from scaler_github.testing.records import Agent, Job, ScaleSet

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scaler_github.testing.state import World

#: GitHub gives a job to a scale set again this often after an assignment has lapsed.
MAX_LAPSES = 3


def serves(scope: str, repository: str) -> bool:
    """Whether runners of `scope` may run jobs of `repository`."""
    wanted, have = scope.lower(), repository.lower()
    return wanted.startswith("enterprises/") or have == wanted or have.startswith(f"{wanted}/")


class JobFlow:
    """Every job, from its queueing to its end."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._ids = itertools.count(1001)
        self._runs = itertools.count(9_000_000_001)
        #: By request id, in the order of queueing.
        self.jobs: dict[int, Job] = {}
        self._waiting: dict[tuple[str, str | None, tuple[str, ...]], dict[int, Job]] = {}

    def queue(
        self,
        target: str | None,
        count: int,
        labels: Sequence[str],
        repository: str,
        *,
        event: str = "push",
        workflow: str = "ci.yml",
        display_name: str = "build",
        run_time: float | None = None,
    ) -> list[Job]:
        """Queue `count` jobs of one workflow run; see `Simulator.queue_jobs`."""
        world = self._world
        run_id = next(self._runs)
        jobs = []
        for _ in range(count):
            number = next(self._ids)
            job = Job(
                request_id=number,
                job_id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"job {number}")),
                run_id=run_id,
                scope=world.scope,
                target=target,
                labels=tuple(labels) or (target or "",),
                repository=repository,
                event=event,
                workflow=f"{repository}/.github/workflows/{workflow}@refs/heads/main",
                display_name=display_name,
                run_time=run_time,
                queued_at=world.now(),
            )
            self.jobs[number] = job
            jobs.append(job)
            self._wait(job)
        self.place(jobs)
        world.changed.ring()
        return jobs

    def place(self, jobs: Iterable[Job] | None = None, only: ScaleSet | None = None) -> None:
        """Find scale sets or runners for waiting jobs: all of them, or these."""
        world = self._world
        chosen = [only] if only is not None else list(world.scale_sets.values())
        if jobs is None and world.options.flow == "assigned" and not world.idle_rest_agents:
            chosen = [one for one in chosen if one.room]
            if not chosen:
                return
        for key, waiting in list(self._waiting.items()):
            rows = waiting.values() if jobs is None else [j for j in jobs if _key(j) == key]
            fitting = [one for one in chosen if self._fits(one, key)]
            for job in list(rows):
                self._place_one(job, fitting)
                if (
                    jobs is None
                    and world.options.flow == "assigned"
                    and not any(one.room for one in fitting)
                ):
                    break
            if not waiting:
                self._waiting.pop(key, None)

    def _fits(self, one: ScaleSet, key: tuple[str, str | None, tuple[str, ...]]) -> bool:
        repository, target, labels = key
        if not one.enabled or not serves(one.scope, repository):
            return False
        if target is not None:
            return one.name.lower() == target.lower()
        return one.label_names.issuperset(label.lower() for label in labels)

    def _place_one(self, job: Job, fitting: list[ScaleSet]) -> None:
        agent = self._rest_agent_for(job)
        if agent is not None:
            self._start(job, agent)
            return
        for one in fitting:
            if self._world.options.flow == "offered":
                self._offer(job, one)
            elif one.room:
                self._stop_waiting(job)
                self._assign(job, one)
                return

    def _rest_agent_for(self, job: Job) -> Agent | None:
        if job.target is not None:
            return None
        wanted = {label.lower() for label in job.labels}
        for agent in self._world.idle_rest_agents.values():
            if serves(agent.scope, job.repository) and wanted <= {
                str(label["name"]).lower() for label in agent.labels
            }:
                return agent
        return None

    def _offer(self, job: Job, one: ScaleSet) -> None:
        if one.id in job.offers:
            return
        job.offers.add(one.id)
        job.state = records.OFFERED
        one.offered[job.request_id] = job
        url = self._world.acquire_url(one)
        self._tell(one, render.job_message("JobAvailable", job, acquireJobUrl=url))

    def acquire(self, one: ScaleSet, ids: list[int]) -> list[int]:
        """Give offered jobs to a scale set; returns those that were still to be had."""
        world = self._world
        limit = world.options.acquire_limit
        got: list[int] = []
        for number in ids:
            job = one.offered.get(number)
            if job is None or (limit is not None and len(got) >= limit):
                continue
            self._withdraw(job)
            self._stop_waiting(job)
            job.state = records.ACQUIRED
            job.scale_set_id = one.id
            one.acquired[number] = job
            got.append(number)
        for number in got:
            world.timers.after(world.options.assign_delay, partial(self._acquired, number))
        world.changed.ring()
        return got

    def _acquired(self, number: int) -> None:
        job = self.jobs.get(number)
        if job is None or job.state != records.ACQUIRED or job.scale_set_id is None:
            return
        one = self._world.scale_sets.get(job.scale_set_id)
        if one is not None:
            one.acquired.pop(number, None)
            self._assign(job, one)

    def _assign(self, job: Job, one: ScaleSet) -> None:
        world = self._world
        job.state = records.ASSIGNED
        job.scale_set_id = one.id
        job.assigned_at = world.now()
        one.assigned[job.request_id] = job
        self._tell(one, render.job_message("JobAssigned", job))
        if one.idle:
            self._start(job, next(iter(one.idle.values())))
        elif world.options.assign_timeout is not None:
            number, lapses = job.request_id, job.lapses
            world.timers.after(world.options.assign_timeout, lambda: self._lapse(number, lapses))

    def _lapse(self, number: int, lapses: int) -> None:
        job = self.jobs.get(number)
        if job is None or job.state != records.ASSIGNED or job.lapses != lapses:
            return
        if lapses >= MAX_LAPSES:
            self.finish(job, "canceled")
            return
        one = self._leave(job)
        if one is not None:
            told = render.job_message(
                "JobCompleted", job, result="canceled", runnerId=0, runnerName=""
            )
            self._tell(one, told)
        del self.jobs[number]
        job.lapses += 1
        job.request_id = next(self._ids)
        self.jobs[job.request_id] = job
        self.requeue(job)

    def runner_ready(self, agent: Agent) -> None:
        """An agent came online or became free: give it a job, or let it wait for one."""
        world = self._world
        if agent.scale_set_id is None:
            world.idle_rest_agents[agent.name] = agent
            self.place()
            return
        one = world.scale_sets.get(agent.scale_set_id)
        if one is None:
            return
        if one.assigned:
            self._start(next(iter(one.assigned.values())), agent)
        else:
            one.idle[agent.name] = agent

    def _start(self, job: Job, agent: Agent) -> None:
        world = self._world
        self._stop_waiting(job)
        self._withdraw(job)
        one = self._leave(job)
        job.state = records.RUNNING
        job.started_at = world.now()
        job.runner_id, job.runner_name = agent.id, agent.name
        agent.job = job
        world.idle_rest_agents.pop(agent.name, None)
        if one is not None:
            one.idle.pop(agent.name, None)
            one.running[job.request_id] = job
            self._tell(
                one,
                render.job_message("JobStarted", job, runnerId=agent.id, runnerName=agent.name),
            )
        seconds = world.run_time(job)
        if seconds is not None:
            world.timers.after(seconds, lambda: self._done(job))
        world.changed.ring()

    def _done(self, job: Job) -> None:
        if job.state == records.RUNNING:
            self.finish(job, "succeeded")

    def finish(self, job: Job, result: str) -> None:
        """End a job, wherever it is; its runner (if any) is used up."""
        world = self._world
        if job.state == records.COMPLETED:
            return
        known = [world.scale_sets[i] for i in job.offers if i in world.scale_sets]
        self._stop_waiting(job)
        self._withdraw(job)
        one = self._leave(job)
        job.state = records.COMPLETED
        job.result = result
        job.finished_at = world.now()
        told = render.job_message(
            "JobCompleted",
            job,
            result=result,
            runnerId=job.runner_id,
            runnerName=job.runner_name,
        )
        for listener in [one] if one is not None else known:
            self._tell(listener, told)
        agent = world.agents.get(job.runner_id)
        if agent is not None and agent.job is job:
            world.retire_agent(agent)
        if world.options.flow == "assigned":
            self.place()
        world.changed.ring()

    def requeue(self, job: Job) -> None:
        """Put an unstarted job back in line, as if it had just been queued."""
        self._withdraw(job)
        self._leave(job)
        job.state = records.QUEUED
        job.scale_set_id = None
        job.assigned_at = None
        self._wait(job)
        self.place([job])

    def withdraw_from(self, one: ScaleSet) -> None:
        """A scale set goes away: what it has not started returns to the queue."""
        for job in [*one.offered.values()]:
            one.offered.pop(job.request_id)
            job.offers.discard(one.id)
            job.state = records.OFFERED if job.offers else records.QUEUED
        for job in [*one.acquired.values(), *one.assigned.values()]:
            self.requeue(job)

    def _tell(self, one: ScaleSet, message: dict[str, object]) -> None:
        one.news.append(message)
        one.bell.ring()

    def _wait(self, job: Job) -> None:
        self._waiting.setdefault(_key(job), {})[job.request_id] = job

    def _stop_waiting(self, job: Job) -> None:
        self._waiting.get(_key(job), {}).pop(job.request_id, None)

    def _withdraw(self, job: Job) -> None:
        for number in job.offers:
            one = self._world.scale_sets.get(number)
            if one is not None:
                one.offered.pop(job.request_id, None)
        job.offers.clear()

    def _leave(self, job: Job) -> ScaleSet | None:
        if job.scale_set_id is None:
            return None
        one = self._world.scale_sets.get(job.scale_set_id)
        if one is not None:
            for table in (one.acquired, one.assigned, one.running):
                table.pop(job.request_id, None)
        return one


def _key(job: Job) -> tuple[str, str | None, tuple[str, ...]]:
    return (job.repository, job.target, job.labels)
