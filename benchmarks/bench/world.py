"""What the stand-in holds: scale sets with their queues, jobs, runners, and the guests' lives."""

from __future__ import annotations

import asyncio
import itertools
import random
import resource
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from bench import wire

BATCH = 50  # job messages in one message, at most
Answer = Callable[[bytes], None]


@dataclass(frozen=True)
class Options:
    """How the stand-in behaves; times in seconds.

    Attributes:
        flow: `assigned` as github.com, `offered` as an Enterprise Server.
        delay: Added to every answer.
        poll: How long a poll without news is held.
        boot: Until a guest is online.
        boot_from: What that counts from: `config`, the answer with the JIT configuration, or
            `machine`, the news that the runner's machine exists.
        work: How long a job takes, at least and at most.
        seed: Makes the choices repeatable.
    """

    flow: str = "assigned"
    delay: float = 0.0
    poll: float = 50.0
    boot: float = 0.05
    boot_from: str = "machine"
    work: tuple[float, float] = (0.05, 0.1)
    seed: int = 1


@dataclass(slots=True)
class Job:
    """A job, and when (monotonic) it was queued, started and finished."""

    number: int
    queued: float
    started: float = 0.0
    finished: float = 0.0
    text: dict[bytes, object] = field(default_factory=dict)


@dataclass(slots=True)
class Agent:
    """A registered runner; `name` is quoted for JSON."""

    id: int
    name: bytes
    scale_set: ScaleSet
    online: bool = False
    job: Job | None = None


@dataclass(slots=True)
class Poll:
    """A poll that is held; it is over once `timer` is cancelled."""

    answer: Answer
    cursor: int
    timer: asyncio.TimerHandle


@dataclass(slots=True, eq=False)
class ScaleSet:
    """A scale set and its queue."""

    id: int
    name: str
    labels: list[str]
    capacity: int = 0
    session: str = ""
    news: deque[bytes] = field(default_factory=deque)
    unacknowledged: dict[int, bytes] = field(default_factory=dict)
    polls: list[Poll] = field(default_factory=list)
    ringing: bool = False
    waiting: deque[Job] = field(default_factory=deque)
    offered: dict[int, Job] = field(default_factory=dict)
    assigned: dict[int, Job] = field(default_factory=dict)
    running: dict[int, Job] = field(default_factory=dict)
    agents: dict[bytes, Agent] = field(default_factory=dict)
    idle: dict[bytes, Agent] = field(default_factory=dict)

    def statistics(self) -> bytes:
        """The seven totals; the assigned ones hold the running ones."""
        running = len(self.running)
        return wire.statistics(
            len(self.offered), 0, len(self.assigned) + running, running,
            len(self.agents), running, len(self.idle),
        )  # fmt: skip


@dataclass(frozen=True)
class Mark:
    """What was spent when something was reached: monotonic seconds, CPU seconds, requests."""

    at: float
    cpu: float
    requests: Counter[str]


class World:
    """Everything, and the time that it takes."""

    def __init__(self, options: Options, loop: asyncio.AbstractEventLoop) -> None:
        self.options = options
        self.loop = loop
        self.sets: dict[int, ScaleSet] = {}
        self.agents: dict[int, Agent] = {}
        self.named: dict[bytes, Agent] = {}
        self.jobs: list[Job] = []
        self.machines: set[bytes] = set()
        self.requests: Counter[str] = Counter()
        self.marks: dict[str, Mark] = {}
        self.waiters: list[tuple[str, Answer]] = []
        self._unstarted = 0
        self._unfinished = 0
        self._random = random.Random(options.seed)
        self._numbers = itertools.count(1001)
        self._messages = itertools.count(100_000_001)
        self._agent_ids = itertools.count(901)
        self._set_ids = itertools.count(7)

    # --- scale sets and their queues

    def scale_set(self, name: str) -> ScaleSet | None:
        """The scale set of this name."""
        return next((one for one in self.sets.values() if one.name == name), None)

    def create(self, name: str, labels: list[str]) -> ScaleSet:
        """Make a scale set."""
        one = ScaleSet(next(self._set_ids), name, labels)
        self.sets[one.id] = one
        return one

    def advertise(self, one: ScaleSet, capacity: int) -> None:
        """A poll says how many runners there may be in all."""
        one.capacity = capacity
        if one.waiting and self.options.flow == "assigned":
            self._assign_waiting(one)

    def fetch(self, one: ScaleSet, cursor: int) -> bytes | None:
        """The message that a poll with this cursor gets now, as an answer."""
        for number, entries in one.unacknowledged.items():
            if number > cursor:
                return wire.message(number, entries, one.statistics())
        if not one.news:
            return None
        news = one.news
        entries = b",".join([news.popleft() for _ in range(min(BATCH, len(news)))])
        number = next(self._messages)
        one.unacknowledged[number] = entries
        return wire.message(number, entries, one.statistics())

    def hold(self, one: ScaleSet, cursor: int, answer: Answer) -> Poll:
        """Keep a poll until there is news, or its time is over."""
        poll = Poll(answer, cursor, self.loop.call_later(self.options.poll, answer, wire.ACCEPTED))
        one.polls.append(poll)
        self.reached("polling")
        return poll

    def _tell(self, one: ScaleSet, entry: bytes, job: Job, **more: object) -> None:
        job.text.update({key.encode(): value for key, value in more.items()})
        one.news.append(entry % job.text)
        if one.polls and not one.ringing:
            # Later in this round of the loop: what happens at once comes in one message
            one.ringing = True
            self.loop.call_soon(self._ring, one)

    def _ring(self, one: ScaleSet) -> None:
        one.ringing = False
        polls, one.polls = one.polls, []
        for poll in polls:
            if not poll.timer.cancelled():
                poll.timer.cancel()
                answer = self.fetch(one, poll.cursor)
                poll.answer(wire.ACCEPTED if answer is None else answer)

    # --- jobs

    def queue(self, one: ScaleSet, count: int) -> None:
        """Queue jobs; what is spent counts from here."""
        now, moment = time.monotonic(), wire.stamp()
        self.requests.clear()
        self.marks = {"queued": self._mark(now)}
        self.jobs = []
        self._unstarted = self._unfinished = count
        name = one.name.encode()
        for _ in range(count):
            job = Job(next(self._numbers), now)
            job.text = {
                b"request": job.number,
                b"job": b"00000000-0000-4000-8000-%012d" % job.number,
                b"set": name,
                b"queued": moment,
                b"assigned": wire.ZERO_TIME,
                b"started": wire.ZERO_TIME,
                b"finished": wire.ZERO_TIME,
            }
            self.jobs.append(job)
            if self.options.flow == "offered":
                one.offered[job.number] = job
                self._tell(one, wire.AVAILABLE, job, url=b"/acquirejobs")
            else:
                one.waiting.append(job)
        self._assign_waiting(one)

    def _assign_waiting(self, one: ScaleSet) -> None:
        while one.waiting and len(one.assigned) + len(one.running) < one.capacity:
            self._assign(one, one.waiting.popleft())

    def acquire(self, one: ScaleSet, numbers: list[int]) -> list[int]:
        """Give offered jobs to who asks for them; those that were still to be had."""
        got = [one.offered.pop(number) for number in numbers if number in one.offered]
        for job in got:
            self._assign(one, job)
        return [job.number for job in got]

    def _assign(self, one: ScaleSet, job: Job) -> None:
        one.assigned[job.number] = job
        self._tell(one, wire.ASSIGNED, job, assigned=wire.stamp())
        if one.idle:
            self._start(one, job, next(iter(one.idle.values())))

    def _start(self, one: ScaleSet, job: Job, agent: Agent) -> None:
        del one.assigned[job.number]
        one.idle.pop(agent.name, None)
        one.running[job.number] = job
        agent.job = job
        job.started = time.monotonic()
        self._tell(
            one, wire.STARTED, job, started=wire.stamp(), runner_id=agent.id, runner=agent.name
        )
        self.loop.call_later(
            self._random.uniform(*self.options.work), self._finish, one, job, agent
        )
        self._unstarted -= 1
        if self._unstarted == 0:
            self.reached("started")

    def _finish(self, one: ScaleSet, job: Job, agent: Agent) -> None:
        del one.running[job.number]
        job.finished = time.monotonic()
        self._tell(one, wire.COMPLETED, job, finished=wire.stamp())
        agent.job = None
        self.forget(agent)
        self._assign_waiting(one)
        self._unfinished -= 1
        if self._unfinished == 0:
            self.reached("done")
        self.look_for_clean()

    # --- runners and their guests

    def register(self, one: ScaleSet, name: bytes) -> Agent | None:
        """A new runner; None where its name is taken."""
        if name in self.named:
            return None
        agent = Agent(next(self._agent_ids), name, one)
        self.agents[agent.id] = self.named[name] = one.agents[name] = agent
        if self.options.boot_from == "config":
            self.loop.call_later(self.options.delay + self.options.boot, self._online, name)
        return agent

    def forget(self, agent: Agent) -> None:
        """Its registration is gone."""
        one = agent.scale_set
        agent.online = False
        self.agents.pop(agent.id, None)
        self.named.pop(agent.name, None)
        one.agents.pop(agent.name, None)
        one.idle.pop(agent.name, None)
        self.look_for_clean()

    def machine(self, name: bytes, exists: bool) -> None:
        """The runner's machine was made, or is gone."""
        if not exists:
            self.machines.discard(name)
            self.look_for_clean()
        elif name not in self.machines:
            self.machines.add(name)
            if self.options.boot_from == "machine":
                self.loop.call_later(self.options.boot, self._online, name)

    def _online(self, name: bytes) -> None:
        agent = self.named.get(name)
        if agent is None or agent.online:
            return
        agent.online = True
        one = agent.scale_set
        if one.assigned:
            self._start(one, next(iter(one.assigned.values())), agent)
        else:
            one.idle[name] = agent

    # --- what was reached, and what it took

    def look_for_clean(self) -> None:
        """Whether all is done and nothing is left of it."""
        if not self._unfinished and not self.agents and not self.machines:
            self.reached("clean")

    def reached(self, what: str) -> None:
        """Note it, the first time, and tell who waits for it."""
        if what not in self.marks:
            self.marks[what] = self._mark(time.monotonic())
        for waiter in [each for each in self.waiters if each[0] == what]:
            self.waiters.remove(waiter)
            waiter[1](wire.ok(b"{}"))

    def is_true(self, what: str) -> bool:
        """Whether it holds now."""
        if what == "polling":
            return any(
                not poll.timer.cancelled() for one in self.sets.values() for poll in one.polls
            )
        return what in self.marks

    def _mark(self, now: float) -> Mark:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return Mark(now, used.ru_utime + used.ru_stime, self.requests.copy())
