"""What must hold whatever goes wrong at GitHub: the invariants I1 to I9, and who broke them."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import trio

from scaler_github.testing import jit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from scaler import Machine
    from scaler_github.testing import Exchange, Job

RESUMES = 90.0  # seconds from a fault's end until jobs start again
SHORTEST_SECRET = 16
WINDOW = 10.0  # seconds in which failures of one route are counted
# Full jitter pauses 0.5 to 2, 4, 8, 16 and 30 s after a failure, the first lost connection none at
# all, and a good answer starts anew. Half of that at every turn would be 8 in 10 s.
FAILURES = 8
# What is asked for each runner may fail for each of them, and twice as often: to look, and to act
PER_RUNNER = {
    *("jitconfig", "get-agent", "list-agents", "delete-agent"),
    *("rest-jitconfig", "rest-runner", "rest-runners", "rest-delete-runner"),
}
POLLS = 72 + 8  # an hour without news: one in 50 s, and some that a change of the ceiling ended


@dataclass
class Oracle:
    """Told what happens, it says what was wrong.

    Attributes:
        most: `max_count`.
        failures: How many failures of a route may come in 10 s, where not `FAILURES`.
        born: When the world began, on trio's clock.
        wrong: Every violation, by its invariant: `("I4", "…")`.
        story: What happened, with its time.
        texts: Everything that was said to people or plugins, by who said it.
        steps: The largest number of failures in 10 s, by route.
    """

    most: int
    failures: dict[str, int] = field(default_factory=dict)
    born: float = field(default_factory=trio.current_time)
    wrong: list[tuple[str, str]] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    texts: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    steps: dict[str, int] = field(default_factory=dict)
    starts: Counter[str] = field(default_factory=Counter)
    started_at: dict[str, float] = field(default_factory=dict)
    _configs: dict[str, str] = field(default_factory=dict)  # digest: the machine that has it
    _secrets: set[str] = field(default_factory=set)

    def tell(self, text: str) -> None:
        """Something happened that is worth reading afterwards."""
        self.story.append(f"{trio.current_time() - self.born:10.2f}  {text}")

    def blame(self, invariant: str, text: str) -> None:
        """Something must not have happened."""
        self.tell(f"WRONG {invariant}: {text}")
        self.wrong.append((invariant, text))

    def said(self, who: str, text: str) -> None:
        """Something was said where it may be read."""
        self.texts[who].add(text)

    # -- what happens

    def registered(self, name: str, there: int) -> None:
        """A runner was registered, and now there are so many."""
        self.tell(f"{name} is registered")
        if there > self.most:
            self.blame("I2", f"{there} registrations, and max_count is {self.most}")

    def made(self, machine: Machine, config: str, there: int) -> None:
        """A machine was made, and now there are so many of its profile."""
        self.tell(f"{machine.id} of {machine.runner_name} is made")
        self._secrets.add(config)
        if there > self.most:
            self.blame("I2", f"{there} machines, and max_count is {self.most}")
        digest = hashlib.sha256(config.encode()).hexdigest()
        if (holder := self._configs.setdefault(digest, machine.id)) != machine.id:
            self.blame("I5", f"{machine.id} has the config of {holder}")
        try:
            whose = jit.decode(config)["AgentName"]
        except ValueError as error:
            whose = f"nobody ({error})"
        if whose != machine.runner_name:
            self.blame("I5", f"{machine.id} of {machine.runner_name} has the config of {whose}")

    def job_started(self, job: Job) -> None:
        """A runner took a job."""
        self.tell(f"job {job.job_id[:8]} starts on {job.runner_name}")
        self.starts[job.job_id] += 1
        self.started_at[job.job_id] = trio.current_time()

    # -- the end

    def judge_jobs(self, jobs: Iterable[Job]) -> None:
        """I1: each job that nobody cancelled ran once, and succeeded."""
        for job in jobs:
            times = self.starts[job.job_id]
            cancelled = job.result == "canceled" and job.lapses == 0
            if times > 1 or (not cancelled and (job.result, times) != ("succeeded", 1)):
                text = f"job {job.job_id[:8]} is {job.state}, {job.result}, started {times} times"
                self.blame("I1", text)

    def judge_left(
        self, target: int, *, machines: set[str], registrations: set[str], rows: set[str]
    ) -> None:
        """I3: the same runners everywhere, as many as there should be."""
        if not machines == registrations == rows or len(rows) != target:
            text = f"of {target}: machines {sorted(machines)}, registrations"
            self.blame("I3", f"{text} {sorted(registrations)}, rows {sorted(rows)}")

    def judge_texts(self, secrets: Iterable[str]) -> None:
        """I7: no secret in anything that was said."""
        known = {one for one in {*secrets, *self._secrets} if len(one) >= SHORTEST_SECRET}
        for who, texts in self.texts.items():
            said = "\n".join(texts)
            if any(secret in said for secret in known):
                text = next(t for t in texts if any(secret in t for secret in known))
                self.blame("I7", f"a secret in what {who} says: {text[:500]}")

    def judge_calls(self, exchanges: Iterable[Exchange]) -> None:
        """I8: failures are not answered by haste, and polls without news are few."""
        failed: dict[str, list[float]] = defaultdict(list)
        empty: list[float] = []
        for each in exchanges:
            if each.fault or each.status == 0 or (each.status or 0) >= 400:
                failed[each.route].append(each.at)
            elif each.route == "poll" and each.status == 202:
                empty.append(each.at)
        for route, times in failed.items():
            self.steps[route] = densest(times, WINDOW)
            bound = self.failures.get(route, FAILURES)
            if route in PER_RUNNER and route not in self.failures:
                bound *= max(1, self.most)
            if self.steps[route] > bound:
                text = f"{self.steps[route]} failed calls of {route} in {WINDOW:g} s, not {bound}"
                self.blame("I8", text)
        if (polls := densest(empty, 3600.0)) > POLLS:
            self.blame("I8", f"{polls} polls without news in an hour, not {POLLS}")

    def judge_resumption(self, over: float, jobs: Mapping[str, int]) -> None:
        """I9: of the jobs that waited at a fault's end, so many started in time after it."""
        wanted = min(self.most, len(jobs))
        started = [
            self.started_at[job]
            for job in jobs
            if over <= self.started_at.get(job, math.inf) <= over + RESUMES
        ]
        if len(started) < wanted:
            text = f"{len(started)} of {wanted} jobs started within {RESUMES:g} s of {over:.0f}"
            self.blame("I9", text)


def pauses(times: Iterable[float]) -> list[float]:
    """How long it was from each of these times to the next."""
    return [after - before for before, after in itertools.pairwise(times)]


def densest(times: Iterable[float], window: float) -> int:
    """The most of these times that lie within one window."""
    ordered = sorted(times)
    most, first = 0, 0
    for last, at in enumerate(ordered):
        while ordered[first] <= at - window:
            first += 1
        most = max(most, last - first + 1)
    return most


def plain(value: object) -> str:
    """A report's facts as text."""
    return msgspec.json.encode(value, enc_hook=repr).decode()
