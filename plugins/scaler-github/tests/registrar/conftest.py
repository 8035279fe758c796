"""The plugin `github` before the simulator, both in memory, on a clock that jumps."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import httpx
import pytest
import trio

from scaler import (
    Context,
    Machine,
    Message,
    Profile,
    Registration,
    Reservation,
    Runner,
    RunnerState,
    SecretSource,
    Unavailable,
)
from scaler_github.client.transport import Transport
from scaler_github.connection import GitHub
from scaler_github.testing import Simulator
from scaler_github.testing.http import Request

ORIGIN = "http://127.0.0.1:8"
T = TypeVar("T")


class Wire:
    """The way to the simulator. What was asked for is done also when the client has gone away."""

    def __init__(self, sim: Simulator, nursery: trio.Nursery) -> None:
        self._sim = sim
        self._nursery = nursery

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        headers = {name.lower(): text for name, text in request.headers.items()}
        target = request.url.raw_path.decode()
        asked = Request(request.method, target, headers, request.content, 1)
        answers: list[Any] = []
        over = trio.Event()

        async def answer() -> None:
            answers.append(await self._sim._front.handle(asked))
            over.set()

        self._nursery.start_soon(answer)
        await over.wait()
        [found] = answers
        body = found.body if found.keep is None else found.body[: found.keep]
        if found.ending != "normal" or found.keep is not None:
            raise httpx.ReadError("the connection broke")
        return httpx.Response(found.status, headers=found.headers, content=body)


class FakeCore:
    """What the core does for a source of runners, in memory."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.refuse: list[Exception] = []
        self.told: list[Registration] = []
        self.runners: list[Runner] = []

    async def deliver(self, plugin: str, message: Message) -> None:
        await trio.lowlevel.checkpoint()
        if self.refuse:
            raise self.refuse.pop(0)
        self.messages.append(message)

    def registration_changed(self, plugin: str, registration: Registration) -> None:
        self.told.append(registration)

    def report(self, *args: Any) -> None: ...

    def view(self) -> Any:
        return SimpleNamespace(runners=tuple(self.runners))


class World:
    """The simulator, the plugin, and the fake core under it."""

    def __init__(self, sim: Simulator, folder: Path) -> None:
        self.sim = sim
        self.folder = folder
        self.core = FakeCore()
        self.profiles = {
            "bench": Profile(name="bench", labels=("bench", "Self-Hosted"), source="github"),
            "linux": Profile(name="linux", source="actions-queue"),
        }
        self.own = {"bench": GitHub.ProfileConfig()}
        self.config: dict[str, Any] = {}
        self.url = f"{ORIGIN}/acme"
        self.build()

    @property
    def token(self) -> SecretSource:
        return SecretSource(env="TOKEN", environ={"TOKEN": self.sim.token})

    def build(self) -> None:
        """(Again) as after a start of the process."""
        self.stopping = trio.Event()
        context: Context[Any, Any] = Context(
            name="github",
            scaler="host-1",
            config=GitHub.Config(**{"url": self.url, "token": self.token, **self.config}),
            profiles=self.profiles,
            own=self.own,
            folder=self.folder,
            log=logging.LoggerAdapter(logging.getLogger("test.github")),
            stopping=self.stopping,
            core=self.core,  # type: ignore[arg-type]
        )
        self.github = GitHub(context)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The plugin's service."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.github.run_service)
            await trio.testing.wait_all_tasks_blocked()
            yield
            self.stopping.set()
            nursery.cancel_scope.deadline = trio.current_time() + 5
        assert not nursery.cancel_scope.cancelled_caught, "the service did not stop by itself"

    # Runners

    def name(self, number: int = 1, profile: str = "bench") -> str:
        return f"{profile}.{number}@host-1"

    def runner(self, number: int = 1, **fields: Any) -> Runner:
        given = {"profile": "bench", "source": "github", "state": RunnerState.PLANNED, **fields}
        name = self.name(number, given["profile"])
        return Runner(id=number, name=name, **given)

    async def registered(self, number: int = 1, **fields: Any) -> Runner:
        """A runner with its registration, and with its machine where that is told."""
        made = await self.github.register_runner(self.runner(number))
        runner = self.runner(number, registration=made, **fields)
        self.core.runners.append(runner)
        return runner

    async def stopped(self, number: int = 1, **fields: Any) -> Runner:
        """One whose machine has run and stopped."""
        machine = Machine(runner=number, id=f"vm-{number}", state="stopped")
        return await self.registered(number, machine=machine, **fields)

    async def listed(self) -> dict[str, Registration]:
        return {each.name: each for each in await self.github.list_registrations()}

    async def released(self, runner: Runner) -> None:
        """Its reservation is taken back, as the core does it: again and again, for a minute."""
        pause, until = 0.5, trio.current_time() + 60
        while True:
            try:
                with trio.fail_after(10):
                    return await self.github.reserve_runner(runner, None)
            except Unavailable as error:
                if trio.current_time() >= until:
                    raise
                await trio.sleep(min(15.0, max(pause, error.retry_after or 0.0)))
                pause *= 2

    def labels(self, number: int = 1) -> list[str]:
        return [label["name"] for label in self.sim.agent(self.name(number)).labels]

    def reserved(self, number: int = 1) -> list[str]:
        return [label for label in self.labels(number) if label.startswith("reserved-")]

    def calls(self, *routes: str) -> int:
        """Calls of the REST API, of all routes or of some."""
        history = self.sim.history.counts
        return sum(count for route, count in history.items() if not routes or route in routes)


def reservation(unique_id: str = "u-1", **fields: Any) -> Reservation:
    given = {"qualified_repo": "acme/web", "run_id": "77", "since": 1700000000.9, **fields}
    return Reservation(unique_id=unique_id, **given)


@pytest.fixture
def reserve() -> Callable[..., Reservation]:
    return reservation


@pytest.fixture
def sim_options() -> dict[str, Any]:
    return {}


@pytest.fixture
async def world(
    nursery: trio.Nursery,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sim_options: dict[str, Any],
) -> World:
    async def at_once(function: Callable[..., Any], *args: Any, **_options: Any) -> Any:
        await trio.lowlevel.checkpoint()  # while a thread worked, the clock would jump
        return function(*args)

    monkeypatch.setattr("scaler_github.client.tokens.trio.to_thread.run_sync", at_once)
    sim = Simulator(**sim_options)
    sim._site.origin = ORIGIN
    nursery.start_soon(sim._world.timers.run)
    handler = httpx.MockTransport(Wire(sim, nursery))
    made = partial(Transport, handler=handler)

    def transport(**_: Any) -> Transport:
        return made(authorities=False)

    monkeypatch.setattr("scaler_github.account.account.Transport", transport)
    return World(sim, tmp_path)
