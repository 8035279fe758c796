"""A whole scaler in one simulated world, on a clock that jumps: how the rows C1 to C29 are tested.

What is real: the core with its ledger, the plugins `github` and `actions-queue` (with
`acquirable=True` also `acquirable-jobs`), the HTTP client down to h11, and the simulator of GitHub
with its own HTTP server. What is not: TCP (`network.Network`), machines and guests
(`machines.Machines`), threads, and time. Everything has its pace of production.

A test takes the fixtures `autojump_clock` (pytest-trio sees a clock only where the test itself asks
for it) and `faults`::

    async def test_c01_reset(autojump_clock: MockClock, faults: Faults, flow: Flow) -> None:
        async with faults(flow=flow) as world:           # the simulator runs
            async with world.scaler():                   # and a scaler, which is stopped at the end
                world.queue(2, run_time=120)
                world.simulator.faults.add("poll", kind="reset", times=5)
                await world.until(lambda: not world.simulator.faults.pending)
                await world.recovers()                   # I9: counted from now
                await world.settled()                    # all jobs are over, nothing moves
        # leaving the world judges: I1 to I5, I7, I8, and what `recovers` saw

`faults(...)` takes the settings (`target`, `most`, `acquirable`, `tick`, `github`: more lines of
`[plugins.github]`, `credential`: its token or app, `profile`: more lines of the profile, `more`:
more lines of its part for the queue, and below), how long things take in machines
(`times=Times(boot=60)`), `failures={"route": 12}` where a route may fail more often in 10 s (see
`oracle.FAILURES`), and whatever `Simulator` and its `Options` take. One `seed` is one run.

To make trouble there are `world.simulator.faults` (answers and connections of single calls),
`world.network` (`cut()`, `lose()`, `muted`, `black_hole`, `fault`), `world.machines` (`script`,
`stop`, `times`, `room`), `world.ledger_fails`, and `await world.crash()`. `world.scaler()` may be
entered again after a crash or a stop: the state folder and the machines stay.

To look there are `world.view()`, `world.report("actions-queue")`, `world.said` and `world.wells()`
(what the reports said and when), `world.logged`, `world.calls("poll", since)`, `world.times(...)`,
`world.per_minute(...)` and `world.oracle`.

A violation names its invariant. A test that plants one says so: `world.expect("I4")`; then just
this must be found.
"""

from __future__ import annotations

import itertools
import json
import logging
import sqlite3
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import trio
from tests.faults.machines import Machines, Times
from tests.faults.oracle import Oracle, densest, plain

from scaler import Report, Running, View, load_settings, serve
from scaler_github.testing import Simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.faults.network import Network

    from scaler_github.testing import Exchange, Job

NAME = "host-1"
TOKEN = "TEST_TOKEN"
SOURCE = "actions-queue"

SETTINGS = """
[scaler]
name = "{name}"
state_dir = "{folder}/state"
tick = "{tick}"

[plugins.github]
url = "{url}"
{credential}
{github}
[plugins.actions-queue]
{acquirable}
[plugins.vm]
{plugins}
[profiles.linux]
labels = ["self-hosted-image:linux"]
target_count = {target}
max_count = {most}
resources = {{ memory = "4G", vcpus = 2 }}
{profile}
[profiles.linux.actions-queue]
{more}
"""


@dataclass(frozen=True)
class Said:
    """A report that differed from the one before it."""

    at: float
    plugin: str
    profile: str
    ok: bool
    text: str


class World:
    """Everything in one test. Made by the fixture `faults`."""

    def __init__(
        self,
        folder: Path,
        network: Network,
        nursery: trio.Nursery,
        *,
        target: int = 0,
        most: int = 3,
        acquirable: bool = False,
        tick: str = "30s",
        github: str = "",
        more: str = "",
        profile: str = "",
        credential: str = f'token = {{ env = "{TOKEN}" }}',
        plugins: dict[str, type[Any]] | None = None,
        times: Times | None = None,
        failures: dict[str, int] | None = None,
        **options: Any,
    ) -> None:
        self.folder = folder
        self.network = network
        self.target = target
        self.most = most
        self.said: list[Said] = []
        self.logged: list[logging.LogRecord] = []
        self.ledger_fails = False
        self.oracle = Oracle(most, failures or {})
        self.machines = Machines(self.oracle, nursery, times or Times(), NAME)
        self.simulator = Simulator(guests=self.machines, **options)
        self.machines.simulator = self.simulator
        self.running: Running | None = None
        self._nursery = nursery
        self._plugins = {"vm": self.machines.plugin(), **(plugins or {})}
        self._format: dict[str, Any] = {
            "target": target,
            "most": most,
            "tick": tick,
            "more": more,
            "profile": profile,
            "credential": credential,
            "github": github,
        }
        self._format["acquirable"] = "[plugins.acquirable-jobs]\n" if acquirable else ""
        self._expected: set[str] = set()
        self._resumptions: list[tuple[float, dict[str, int]]] = []
        self._scope: trio.CancelScope | None = None

    # -- the scaler

    def settings(self) -> Path:
        """Write the settings."""
        path = self.folder / "scaler.toml"
        others = "".join(f"[plugins.{name}]\n" for name in self._plugins if name != "vm")
        values = {"name": NAME, "plugins": others, **self._format}
        path.write_text(SETTINGS.format(folder=self.folder, url=self.simulator.url, **values))
        return path

    @asynccontextmanager
    async def scaler(self) -> AsyncIterator[Running]:
        """A scaler for as long as the block lasts; then it is stopped, unless it crashed."""
        environ = {TOKEN: self.simulator.token}
        loaded = load_settings(self.settings(), extra=self._plugins, environ=environ)
        self.ledger_fails = False
        async with trio.open_nursery() as nursery:
            self._scope = nursery.cancel_scope
            self.running = await nursery.start(partial(serve, *loaded))
            self.oracle.tell("the scaler runs")
            nursery.start_soon(self._watch, self.running)
            yield self.running
            self.running.stop()
            with trio.fail_after(60):
                await self.running.stopped.wait()
            self.oracle.tell("the scaler stopped")
            nursery.cancel_scope.cancel()
        self.running = None

    async def crash(self) -> None:
        """End the scaler here and now: it writes nothing more, and no answer reaches it.

        The block of `scaler` is left with this call.
        """
        self.oracle.tell("the scaler crashes")
        self.ledger_fails = True
        self.network.cut()
        assert self._scope is not None, "no scaler runs"
        self.machines.context = None
        self._scope.cancel()
        await trio.lowlevel.checkpoint()

    async def _watch(self, running: Running) -> None:
        last: dict[tuple[str, str], Report] = {}
        known = None
        view = running.view()
        while True:
            for each in view.reports:
                before = last.get((each.plugin, each.profile))
                if each is not before:
                    last[each.plugin, each.profile] = each
                    self._heard(each, before)
            for event in reversed(view.events):  # the newest first
                if event is known:
                    break
                self.oracle.said("event", event.text)
            known = view.events[-1] if view.events else None
            for text in (*view.waiting.values(), *(each.why for each in view.profiles.values())):
                self.oracle.said("view", text)
            view = await running.next_view(view)

    def _heard(self, report: Report, before: Report | None) -> None:
        if before is None or report.facts != before.facts or report.text != before.text:
            self.oracle.said("report", f"{report.text} {plain(dict(report.facts))}")
        if before is None or (report.ok, report.text) != (before.ok, before.text):
            now = (report.plugin, report.profile, report.ok, report.text)
            self.oracle.tell(f"report: {now}")
            self.said.append(Said(trio.current_time(), *now))

    # -- what is asked for

    def queue(self, count: int = 1, **more: Any) -> list[Job]:
        """Queue jobs for the profile."""
        return self.simulator.queue_jobs("linux", count, **more)

    async def online(self, count: int = 1) -> None:
        """Wait until so many runners work."""
        await self.until(lambda: len(self.simulator.jobs_in("running")) >= count)

    async def listens(self) -> None:
        """Wait until a poll waits at GitHub."""
        await self.until(lambda: self._polled())

    def _polled(self) -> bool:
        sessions = [one.session for one in self.simulator.scale_sets]
        return any(session is not None and session.waiting for session in sessions)

    # -- what is seen

    def view(self) -> View:
        """What the scaler shows."""
        assert self.running is not None, "no scaler runs"
        return self.running.view()

    def report(self, plugin: str = SOURCE, profile: str = "linux") -> Report | None:
        """What a plugin reports now."""
        for each in self.view().reports:
            if (each.plugin, each.profile) == (plugin, profile):
                return each
        return None

    def wells(self, plugin: str = SOURCE, profile: str = "linux") -> list[bool]:
        """Whether a plugin reported to be well, whenever that changed."""
        told = [each.ok for each in self.said if (each.plugin, each.profile) == (plugin, profile)]
        return [ok for ok, _ in itertools.groupby(told)]

    def degraded(self) -> bool:
        """Whether anything is reported as not well."""
        return not all(each.ok for each in self.view().reports)

    def calls(self, route: str, since: float = 0.0) -> list[Exchange]:
        """The calls of a route that began at or after a time of trio's clock."""
        return [
            each for each in self.simulator.history.of(route) if self.when(each) >= since - 1e-6
        ]

    def when(self, call: Exchange) -> float:
        """When a call came, on trio's clock."""
        return call.at - self.simulator.now + trio.current_time()

    def times(self, route: str, since: float = 0.0) -> list[float]:
        """When the calls of a route came, on trio's clock."""
        return [self.when(each) for each in self.calls(route, since)]

    def per_minute(self, route: str, since: float = 0.0) -> int:
        """The most calls of a route in any one minute."""
        return densest(self.times(route, since), 60)

    def rows(self) -> set[str]:
        """The names of all runners in the ledger's file."""
        path = self.folder / "state" / "ledger.sqlite3"
        if not path.exists():
            return set()
        with closing(sqlite3.connect(path)) as connection:
            rows = [json.loads(row) for (row,) in connection.execute("SELECT row FROM runners")]
        return {row["runner"]["name"] for row in rows}

    # -- time

    async def until(self, what: Callable[[], Any], seconds: float = 600) -> None:
        """Let time pass until something is true."""
        end = trio.current_time() + seconds
        while not what():
            if trio.current_time() > end:  # (what comes true at the very end may come after a look)
                raise AssertionError(f"not true within {seconds:g} s: {what!r}")
            await trio.sleep(0.25)

    async def recovers(self, *, probe: bool = True) -> None:
        """The fault is over: from now on progress must resume (I9). Waits until it has, or not.

        Args:
            probe: Where no job waits, queue one to see.
        """
        over = trio.current_time()
        self.oracle.tell("the fault is over")
        waiting = self.simulator.jobs_in("queued", "offered", "acquired", "assigned")
        if not waiting and probe:
            waiting = self.queue(1, run_time=5)
        jobs = {job.job_id: job.request_id for job in waiting}
        self._resumptions.append((over, jobs))
        wanted = min(self.most, len(jobs))
        end = over + 91

        def resumed() -> bool:
            now = trio.current_time()
            return now > end or sum(job in self.oracle.started_at for job in jobs) >= wanted

        await self.until(resumed)

    async def settled(self, seconds: float = 3600) -> None:
        """Wait until every job is over and nothing moves, with a scaler that runs.

        It does not fail where that does not come: the verdict tells what is left.
        """
        calm = 0.0
        end = trio.current_time() + seconds
        while calm < 3 and trio.current_time() < end:
            calm = calm + 0.5 if self._calm() else 0.0
            await trio.sleep(0.5)

    def _calm(self) -> bool:
        if any(job.state != "completed" for job in self.simulator.jobs):
            return False
        names = {box.machine.runner_name for box in self.machines.boxes.values()}
        agents = self._agents()
        rows = {runner.name for runner in self.view().runners}
        online = all(agent.online for agent in self.simulator.agents if agent.name in agents)
        return names == agents == rows and len(rows) == self.target and online

    def _agents(self) -> set[str]:
        mine = f"@{NAME}"
        return {agent.name for agent in self.simulator.agents if agent.name.endswith(mine)}

    # -- the verdict

    def expect(self, *invariants: str) -> None:
        """This test breaks these invariants: the verdict is to say so, and nothing else."""
        self._expected = set(invariants)

    def verdict(self) -> None:
        """Judge everything. Raises AssertionError with the story of the world."""
        oracle = self.oracle
        oracle.judge_jobs(self.simulator.jobs)
        oracle.judge_left(
            self.target,
            machines={box.machine.runner_name for box in self.machines.boxes.values()},
            registrations=self._agents(),
            rows=self.rows(),
        )
        for record in self.logged:
            oracle.said("the log", formatted(record))
        oracle.judge_texts(self._secrets())
        oracle.judge_calls(self.simulator.history.exchanges)
        for over, jobs in self._resumptions:
            oracle.judge_resumption(over, jobs)
        found = {invariant for invariant, _ in oracle.wrong}
        if found != self._expected:
            wanted = f"{sorted(self._expected)} was planted, and " if self._expected else ""
            texts = [f"{invariant}: {text}" for invariant, text in oracle.wrong] or ["nothing"]
            raise AssertionError("\n".join([f"{wanted}found were:", *texts, "", *oracle.story]))

    def _secrets(self) -> set[str]:
        """Every token there ever was, in all its forms."""
        known = self.simulator._tokens._known.values()
        return {text for token in known for text in (token.text, token.ticket)}


def formatted(record: logging.LogRecord) -> str:
    """A record with all that hangs on it."""
    below = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
    return f"{record.getMessage()}\n{below}"
