"""The world of one scenario: a source, a hypervisor, guests, watchers, and scalers that die."""

from __future__ import annotations

import random
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio
from tests.crash.guests import Machines
from tests.crash.oracles import Left, Oracles, Outcome
from tests.crash.scalers import TOKEN, Scaler, ledger

from scaler_github.testing import Simulator
from scaler_libvirt.testing import PrivateLibvirtd
from scaler_libvirt.testing_watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from scaler_github.testing import Job
    from scaler_libvirt.testing_watcher import Life

PATIENCE = 120.0  # seconds for a scenario; one that takes longer has failed
LOG_LINES = 60  # of every start's log in a failure's message
SESSION = 3.0  # seconds after which the source frees a queue that nobody asks

SETTINGS = """
[scaler]
name = "{name}"
state_dir = "{folder}"
tick = "1s"
shutdown_grace = "5s"

[plugins.github]
url = "{url}"
token = {{ env = "{token}" }}

[plugins.actions-queue]

[plugins.libvirt]
hosts = [{{ name = "here", uri = "{uri}", memory = "256G", vcpus = 256 }}]

[profiles.linux]
labels = ["self-hosted-image:linux"]
max_count = {most}
target_count = 0
resources = {{ memory = "1G", vcpus = 1 }}
[profiles.linux.actions-queue]
scale_set = "{scale_set}"
[profiles.linux.libvirt]
"""


@dataclass(kw_only=True)
class World:
    """Everything that a scenario touches. Made by `world`."""

    folder: Path
    seed: str
    simulator: Simulator
    daemon: PrivateLibvirtd
    watcher: Watcher
    machines: Machines
    oracles: Oracles
    most: int
    starts: list[Scaler] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    flow: str = "assigned"

    def __post_init__(self) -> None:
        self.chance = random.Random(f"world {self.seed}")

    # --- scalers

    def state_dir(self, name: str = "crash") -> Path:
        """Where a scaler keeps its ledger."""
        return self.folder / f"state-{name}"

    def settings(
        self, name: str = "crash", *, scale_set: str = "linux", state_dir: Path | None = None
    ) -> Path:
        """Write the settings of one scaler."""
        path = self.folder / f"{name}-{scale_set}.toml"
        text = SETTINGS.format(
            name=name,
            folder=state_dir or self.state_dir(name),
            url=self.simulator.url,
            token=TOKEN,
            uri=self.daemon.uri,
            most=self.most,
            scale_set=scale_set,
        )
        path.write_text(text)
        return path

    async def start(
        self, *, at: str = "", bug: str = "", settings: Path | None = None, name: str = "crash"
    ) -> Scaler:
        """Start a scaler, perhaps one that dies at a point."""
        self.names.add(name)
        number = len(self.starts) + 1
        environ = {TOKEN: self.simulator.token, "CRASH_SEED": f"{self.seed} {number}"}
        if at:
            environ |= {"CRASH_AT": at, "CRASH_LOG": str(self.folder / "deaths")}
        if bug:
            environ["CRASH_BUG"] = bug
        path = settings or self.settings(name)
        scaler = await Scaler.start(path, self.folder / f"start-{number}.log", environ)
        self.oracles.tell(f"start {number}{f', to die at {at}' if at else ''}")
        self.starts.append(scaler)
        return scaler

    async def death(self, scaler: Scaler, *, kill: bool = False) -> None:
        """Wait for a scaler's death by SIGKILL; by ours where `kill` is given."""
        if kill:
            scaler.kill()
        with self._watched():
            code = await scaler.dies()
        self.oracles.tell(f"start {self.starts.index(scaler) + 1} ends: {code}")
        assert code == -9, f"it ended by itself, with {code}"

    def deaths(self) -> list[str]:
        """The points at which scalers died, in order."""
        path = self.folder / "deaths"
        return path.read_text().split() if path.exists() else []

    # --- what is looked at

    def _watched(self) -> Any:
        return trio.fail_after(PATIENCE)

    def check(self) -> None:
        """Nothing went wrong so far."""
        assert not self.oracles.wrong, "\n".join(self.oracles.wrong)

    async def until(self, what: Callable[[], Any], seconds: float = PATIENCE) -> None:
        """Wait until something is true, and nothing wrong meanwhile."""
        with trio.fail_after(seconds):
            while not what():
                self.check()
                await trio.sleep(0.02)
        self.check()

    async def listens(self, scaler: Scaler) -> None:
        """Wait until a scaler that was just started asks for messages."""
        polls = self.simulator.count("poll")
        await self.until(lambda: self.simulator.count("poll") > polls or not scaler.runs)
        assert scaler.runs, "it ended by itself"

    def queue(self, count: int = 1, **more: Any) -> list[Job]:
        """Queue jobs."""
        return self.simulator.queue_jobs(more.pop("scale_set", "linux"), count, **more)

    def done(self) -> bool:
        """Whether every job is over."""
        return all(job.state == "completed" for job in self.simulator.jobs)

    def rows(self) -> list[dict[str, Any]]:
        """Every runner in every ledger."""
        return [row for name in self.names for row in ledger(self.state_dir(name))["runners"]]

    def machines_made(self) -> list[Life]:
        """Every machine that there was, in order."""
        return [life for life in self.watcher.lives if life.identity]

    def idle(self) -> bool:
        """Whether nothing is left of any runner."""
        if not self.done() or self.simulator.agents:
            return False
        if any(life.ended is None for life in self.machines_made()):
            return False
        return not self.rows()

    async def left(self, *, stopped: bool = True) -> Left:
        """What there is."""
        with_session = [one for one in self.simulator.scale_sets if one.session is not None]
        domains = await self.watcher.listing()
        return Left(
            domains=[f"{uuid} of {its.runner_name}" for uuid, its in domains.items()],
            registrations=[agent.name for agent in self.simulator.agents],
            rows=[f"{row['runner']['name']} ({row['runner']['state']})" for row in self.rows()],
            sessions=[one.name for one in with_session] if stopped else [],
        )

    def outcomes(self) -> list[Outcome]:
        """What became of every job."""
        return [
            Outcome(job=job.job_id, state=job.state, result=job.result)
            for job in self.simulator.jobs
        ]

    # --- the end

    async def finish(self, *scalers: Scaler, seconds: float = PATIENCE) -> None:
        """See everything done, stop the scalers cleanly, and judge."""
        try:
            await self.until(self.idle, seconds)
        except trio.TooSlowError:
            await self.judge(stopped=False)
            raise
        for scaler in scalers:
            with trio.fail_after(15):
                code = await scaler.stop()
            self.oracles.tell(f"start {self.starts.index(scaler) + 1} was stopped: {code}")
            assert code == 0, f"a clean stop ended with {code}"
        await self.judge()

    async def judge(self, *, stopped: bool = True) -> None:
        """All oracles of the end."""
        self.oracles.judge_jobs(self.outcomes())
        self.oracles.judge_end(await self.left(stopped=stopped))
        self.check()

    def report(self) -> str:
        """Everything that is known, for whoever has to find out what went wrong."""
        parts = [f"--- seed {self.seed!r}", "--- what happened", *self.oracles.story]
        for number, scaler in enumerate(self.starts, 1):
            messages = scaler.messages()
            parts += [f"--- log of start {number} ({len(messages)} lines)", *messages[-LOG_LINES:]]
        rows = [f"{row['runner']['name']}: {row}" for row in self.rows()]
        return "\n".join([*parts, "--- rows of the ledger", *rows])


@asynccontextmanager
async def world(
    folder: Path,
    *,
    seed: str,
    flow: str = "assigned",
    poweroff: float = 0.5,
    most: int = 4,
    patience: float = PATIENCE,
    options: Mapping[str, Any] | None = None,
) -> AsyncIterator[World]:
    """A world for one scenario; all of it ends with the block.

    Args:
        folder: For settings, ledgers and logs.
        seed: Every choice of the world's hangs on it.
        flow: As the simulator's.
        poweroff: The share of machines that power off after their job.
        most: `max_count`.
        patience: Seconds for the whole scenario.
        options: More of the simulator's.
    """
    error: BaseException | None = None
    oracles = Oracles()
    with PrivateLibvirtd() as daemon:
        async with trio.open_nursery() as nursery:
            machines = Machines(oracles, nursery, seed, poweroff)
            more: dict[str, Any] = {"session_timeout": SESSION, "poll_seconds": 5.0}
            simulator = Simulator(flow=flow, guests=machines, **(more | dict(options or {})))  # type: ignore[arg-type]
            machines.simulator = simulator
            machines.watcher = Watcher(daemon.uri, machines.started, machines.stopped)
            await nursery.start(simulator.serve)
            await nursery.start(machines.watcher.run)
            here = World(
                folder=folder,
                seed=seed,
                simulator=simulator,
                daemon=daemon,
                watcher=machines.watcher,
                machines=machines,
                oracles=oracles,
                most=most,
                flow=flow,
            )
            try:
                with trio.fail_after(patience):
                    yield here
            except (Exception, trio.Cancelled) as raised:
                raised.add_note(here.report())
                error = raised
            finally:
                for scaler in here.starts:
                    scaler.kill()
                for scaler in here.starts:
                    with trio.CancelScope(shield=True):
                        await scaler.dies()
                nursery.cancel_scope.cancel()
    if error is not None:
        raise error
