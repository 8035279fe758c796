"""A core that remembers, and a scaler of two plugins that talks to the simulator."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
import trio

from scaler import Context, Job, Message, Profile, Registration, Runner, RunnerState, SecretSource
from scaler_github.connection import GitHub
from scaler_github.queue import ActionsQueue
from scaler_github.queue.waits import Pace
from scaler_github.testing import Simulator

T = TypeVar("T")
QUICK = Pace(
    first=0.005,
    largest=0.05,
    idle=0.0,
    garbage=(0.005, 0.01),
    raised=0.05,
    lowered=0.0,
    unheard=0.1,
    farewell=1.0,
    leftover=0.02,
    person=0.02,
    ended=(0.0, 0.02, 0.02),
    request=0.7,
    moving=0.02,
)


class FakeCore:
    """What the core does for a source, in memory."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.store: dict[str, Any] = {}
        self.reports: list[tuple[str, str, bool, str, Mapping[str, Any]]] = []
        self.ceilings: dict[str, int] = {}
        self.siblings: dict[type[Any], Any] = {}
        self.deliver_hook: Callable[[Message], Any] | None = None
        self.registrations: list[Registration] = []
        self.changed = trio.Event()

    def ring(self) -> None:
        self.changed.set()
        self.changed = trio.Event()

    async def until(self, predicate: Callable[[], T], timeout: float = 5) -> T:
        with trio.fail_after(timeout):
            while not (value := predicate()):
                await self.changed.wait()
        return value

    async def deliver(self, plugin: str, message: Message) -> None:
        if self.deliver_hook is not None:
            await self.deliver_hook(message)
        self.messages.append(message)
        if message.cursor is not None:
            self.store[f"cursor/{message.profile}"] = message.cursor
        self.ring()

    async def load(self, plugin: str, key: str) -> Any:
        return self.store.get(key)

    async def save(self, plugin: str, key: str, value: Any) -> None:
        if value is None:
            self.store.pop(key, None)
        else:
            self.store[key] = value

    def report(
        self, plugin: str, text: str, ok: bool, profile: str, facts: Mapping[str, Any]
    ) -> None:
        self.reports.append((plugin, text, ok, profile, facts))
        self.ring()

    def match(self, labels: tuple[str, ...]) -> str | None:
        return None

    def ceiling(self, profile: str) -> int:
        return self.ceilings.get(profile, 4)

    def set_ceiling(self, profile: str, count: int) -> None:
        self.ceilings[profile] = count
        self.ring()

    async def ceiling_changed(self, profile: str, seen: int) -> int:
        while self.ceiling(profile) == seen:
            await self.changed.wait()
        return self.ceiling(profile)

    def registration_changed(self, plugin: str, registration: Registration) -> None:
        self.registrations.append(registration)
        self.ring()

    def machine_changed(self, plugin: str, machine: Any) -> None: ...
    def capacity_changed(self, plugin: str) -> None: ...

    def view(self) -> Any:
        return SimpleNamespace(
            jobs=[replace(job, profile="linux") for job in self.jobs],
            runners=(),
            profiles={},
        )

    async def next_view(self, after: Any) -> Any:
        raise NotImplementedError

    def sibling(self, plugin: str, cls: type[Any]) -> Any:
        return self.siblings[cls]

    # What tests ask

    @property
    def jobs(self) -> list[Job]:
        return [job for message in self.messages for job in message.jobs]

    def states(self) -> list[tuple[str, str]]:
        return [(job.id, job.state) for job in self.jobs]


class World:
    """The simulator, the fake core, and the plugins between them."""

    def __init__(self, sim: Simulator, folder: Path) -> None:
        self.sim = sim
        self.folder = folder
        self.core = FakeCore()
        self.profiles = {"linux": Profile(name="linux", labels=("extra",), source="actions-queue")}
        self.own = {"linux": ActionsQueue.ProfileConfig()}
        self.write_token(sim.token)
        self.stopping = trio.Event()
        self.pace = QUICK
        self.url = sim.url
        self.build()

    def context(self, name: str, config: Any, own: Any) -> Context[Any, Any]:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return Context(
            name=name,
            scaler="host-1",
            config=config,
            profiles=self.profiles,
            own=own,
            folder=folder,
            log=logging.LoggerAdapter(logging.getLogger(f"test.{name}")),
            stopping=self.stopping,
            core=self.core,  # type: ignore[arg-type]
        )

    def write_token(self, token: str) -> None:
        """What the file of the token holds from now on."""
        (self.folder / "token").write_text(token)
        (self.folder / "token").chmod(0o600)

    def build(self) -> None:
        """(Again) as after a start of the process; the core's store stays."""
        self.stopping = trio.Event()
        config = GitHub.Config(url=self.url, token=SecretSource(file=self.folder / "token"))
        self.github = GitHub(self.context("github", config, {}))
        self.account = self.github.accounts[""]
        self.account.credentials._pause = 0.01
        self.core.siblings = {GitHub: self.github}
        self.queue = ActionsQueue(
            self.context("actions-queue", ActionsQueue.Config(), self.own), self.pace
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The plugins' services, stopped politely at the end."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.github.run_service)
            await nursery.start(self.queue.run_service)
            yield
            self.stopping.set()
            for name in self.profiles:
                self.core.set_ceiling(name, 0)
            nursery.cancel_scope.deadline = trio.current_time() + 5
        assert not nursery.cancel_scope.cancelled_caught, "the services did not stop by themselves"

    def runner(self, number: int = 1, **fields: Any) -> Runner:
        name = f"linux.{number}@host-1"
        planned = RunnerState.PLANNED
        return Runner(id=number, name=name, profile="linux", state=planned, **fields)

    async def listening(self) -> None:
        await self.sim.wait_for(lambda: self.sim.count("poll") > 0)


@pytest.fixture
def sim_options() -> dict[str, Any]:
    return {}


@pytest.fixture
async def sim(nursery: trio.Nursery, sim_options: dict[str, Any]) -> Simulator:
    simulator = Simulator(**sim_options)
    await nursery.start(simulator.serve)
    return simulator


@pytest.fixture
async def world(sim: Simulator, tmp_path: Path) -> World:
    return World(sim, tmp_path)
