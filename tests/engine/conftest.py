"""A scaler of fake plugins, on a clock that jumps.

The ledger is a real one, but written to within the loop: while its thread worked, the clock would
jump. One test of the whole way uses the thread.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import trio

from scaler import Context, hookimpl
from scaler.app import Running, serve
from scaler.engine import Engine
from scaler.engine.evidence import Evidence
from scaler.errors import Busy
from scaler.ledger import Ledger
from scaler.ledger.ledger import Transaction
from scaler.ledger.writer import Changes, Writer, _Entry
from scaler.loading import LoadedPlugin
from scaler.model.row import Row
from scaler.records import (
    Job,
    JobState,
    Machine,
    Message,
    Profile,
    Registration,
    Room,
    Runner,
    RunnerState,
)
from scaler.settings import Settings
from scaler.units import Duration, Secret


@dataclass
class Agent:
    """A registration as the other side has it."""

    ref: str
    online: bool = False
    busy: bool = False


class World:
    """What is really there, and a scaler that is to look after it.

    Attributes:
        script: What calls of a hook do before anything else, one after another: an exception is
            raised, a function is called, a float is waited for, HANG never ends, anything else is
            the answer.
        calls: Every call, as `hook id`.
    """

    HANG = object()
    agent = Agent

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.profiles = {"linux": profile()}
        self.rooms = [Room(name="a", total={"memory": 8})]
        self.agents: dict[str, Agent] = {}
        self.machines: dict[int, Machine] = {}
        self.made = 0
        self.calls: list[str] = []
        self.at: list[float] = []
        self.script: dict[str, list[Any]] = {}
        self.acquired: list[list[str]] = []
        self.disk_full = False
        self.plugins: dict[str, type[Any]] = {"queue": _source(self), "vm": _provisioner(self)}
        self.configs: dict[str, Any] = {}
        self.contexts: dict[str, Context[Any, Any]] = {}
        self.grace = 30.0
        self.tick = 30.0
        self.secrets: tuple[Secret, ...] = ()
        self.ended = 0.0  # when it let go of the ledger
        self._messages = 0
        self._running: Running | None = None
        self._scope = trio.CancelScope()

    # -- the scaler

    @asynccontextmanager
    async def running(self, *, crash: bool = False) -> AsyncIterator[World]:
        """Run it; at the end it is stopped, or (`crash`) just ends."""
        settings = Settings(
            name="host",
            state_dir=self.folder,
            tick=Duration(self.tick),
            shutdown_grace=Duration(self.grace),
            log="info",
            plugin_dir=None,
            plugins={name: self.configs.get(name) for name in self.plugins},
            profiles=self.profiles,
            own={},
            source_file=Path("scaler.toml"),
            secrets=self.secrets,
        )
        loaded = {
            name: LoadedPlugin(name, cls, "", "", frozenset(), None, None)
            for name, cls in self.plugins.items()
        }
        async with trio.open_nursery() as nursery:
            self._scope = nursery.cancel_scope
            self._running = await nursery.start(serve, settings, loaded)
            yield self
            if crash:
                nursery.cancel_scope.cancel()
            else:
                self._running.stop()

    def stop(self) -> None:
        """The signal comes."""
        assert self._running is not None
        self._running.stop()

    def crash(self) -> None:
        """End the process here and now: nothing more is written."""
        self._scope.cancel()

    @property
    def engine(self) -> Engine:
        assert self._running is not None
        return self._running._engine

    @property
    def rows(self) -> dict[int, Row]:
        return self.engine.state.rows

    def states(self) -> dict[int, str]:
        return {number: str(row.runner.state) for number, row in self.rows.items()}

    async def until(self, predicate: Callable[[], Any], limit: float = 600) -> None:
        """Let time pass until this holds."""
        for _ in range(int(limit / 0.25)):
            if predicate():
                return
            await trio.sleep(0.25)
        pytest.fail(f"not within {limit} s: {self.states()}, {self.calls[-10:]}")

    async def stored(self, *rows: Row, next_id: int | None = 100) -> None:
        """Write a ledger before the start."""
        ledger, _ = await Ledger.open(self.folder)
        transaction = Transaction()
        for row in rows:
            transaction.row(row)
        if next_id is not None:
            transaction.meta("next_id", next_id)
        transaction.meta("clock", {"now": 10_000.0, "boot": "another", "at": 0.0})
        await ledger.write(transaction)
        await ledger.close()

    # -- what happens to it

    async def deliver(self, demand: int | None = None, *jobs: Job, **more: Any) -> None:
        self._messages += 1
        message = Message(
            id=more.pop("id", f"m{self._messages}"),
            profile=more.pop("profile", "linux"),
            demand=demand,
            jobs=jobs,
            **more,
        )
        await self.contexts["queue"].deliver(message)

    def job(self, number: int, state: JobState = "assigned", runner: str = "", **more: Any) -> Job:
        return Job(id=f"j{number}", state=state, runner_name=runner, **more)

    def online(self, number: int) -> None:
        agent = self.agents[self.name(number)]
        agent.online = True
        self.tell(number)

    def tell(self, number: int) -> None:
        self.contexts["queue"].registration_changed(self.registration(self.name(number)))

    def works(self, number: int) -> None:
        self.agents[self.name(number)].online = True
        self.agents[self.name(number)].busy = True
        self.tell(number)

    def stop_machine(self, number: int, why: str = "it shut down") -> None:
        self.machines[number] = replace(self.machines[number], state="stopped", why=why)
        self.contexts["vm"].machine_changed(self.machines[number])

    def name(self, number: int) -> str:
        return (
            f"{self.rows[number].runner.profile if number in self.rows else 'linux'}.{number}@host"
        )

    def registration(self, name: str) -> Registration:
        agent = self.agents[name]
        return Registration(name=name, ref=agent.ref, online=agent.online, busy=agent.busy)

    # -- for plugins

    async def called(self, hook: str, what: object = "") -> Any:
        self.calls.append(f"{hook} {what}".strip())
        self.at.append(trio.current_time())
        if self.script.get(hook):
            step = self.script[hook].pop(0)
            if isinstance(step, BaseException):
                raise step
            if step is World.HANG:
                await trio.sleep_forever()
            if isinstance(step, float):
                await trio.sleep(step)
                return None
            if callable(step):
                return step()
            return step
        return None

    def times(self, call: str) -> list[float]:
        return [at for at, each in zip(self.at, self.calls, strict=True) if each.startswith(call)]

    def count(self, call: str) -> int:
        return len(self.times(call))


def profile(name: str = "linux", **more: Any) -> Profile:
    values = {
        "max_count": 4,
        "resources": {"memory": 2},
        "labels": ("gpu",),
        "source": "queue",
        "provisioners": ("vm",),
        **more,
    }
    return Profile(name=name, **values)


def _source(world: World) -> type[Any]:
    class Source:
        def __init__(self, context: Context[Any, Any]) -> None:
            world.contexts[context.name] = context

        @hookimpl
        async def register_runner(self, runner: Runner) -> Any:
            answer = await world.called("register", runner.id)
            assert runner.name not in world.agents
            world.agents[runner.name] = Agent(ref=f"r{runner.id}")
            issued = Registration(name=runner.name, ref=f"r{runner.id}", config=Secret("s3cret"))
            return answer or issued

        @hookimpl
        async def unregister_runner(self, runner: Runner) -> None:
            await world.called("unregister", runner.id)
            agent = world.agents.get(runner.name)
            if agent is not None and agent.busy:
                raise Busy(runner.name)
            world.agents.pop(runner.name, None)

        @hookimpl
        async def list_registrations(self) -> list[Registration]:
            await world.called("list registrations")
            return [world.registration(name) for name in world.agents]

        @hookimpl
        async def acquire_jobs(self, profile: Profile, jobs: list[Job]) -> Any:
            world.acquired.append([job.id for job in jobs])
            return await world.called("acquire", profile.name) or jobs

    return Source


def _provisioner(world: World) -> type[Any]:
    class Provisioner:
        def __init__(self, context: Context[Any, Any]) -> None:
            world.contexts[context.name] = context

        @hookimpl
        async def provision_runner(self, runner: Runner, registration: Registration) -> Any:
            assert registration.config is not None
            answer = await world.called("provision", runner.id)
            world.made += 1
            machine = Machine(
                runner=runner.id,
                id=f"vm-{world.made}",
                room=runner.room,
                runner_name=runner.name,
                profile=runner.profile,
            )
            machine = world.machines.setdefault(runner.id, machine)
            return answer or machine

        @hookimpl
        async def destroy_runner(self, runner: Runner) -> None:
            agent = world.agents.get(runner.name)
            machine = world.machines.get(runner.id)
            if agent is not None and agent.busy and machine is not None:  # I4
                assert machine.state == "stopped", f"{runner.name} is busy"
            await world.called("destroy", runner.id)
            world.machines.pop(runner.id, None)

        @hookimpl
        async def list_machines(self) -> list[Machine]:
            await world.called("list machines")
            return list(world.machines.values())

        @hookimpl
        async def capacity(self) -> Any:
            return await world.called("capacity") or list(world.rooms)

    return Provisioner


@pytest.fixture
def row() -> Callable[..., Row]:
    """Rows as a ledger may hold them."""

    def make(number: int, state: RunnerState, **more: Any) -> Row:
        name = f"linux.{number}@host"
        known = state is not RunnerState.PLANNED
        machine = state not in (RunnerState.PLANNED, RunnerState.REGISTERED)
        runner = Runner(
            id=number,
            name=name,
            profile="linux",
            state=state,
            source="queue",
            provisioner="vm",
            room="a",
            resources={"memory": 2},
            registration=Registration(
                name=name, ref=f"r{number}", online=machine, busy=state is RunnerState.BUSY
            )
            if known
            else None,
            machine=Machine(runner=number, id=f"old-{number}", room="a") if machine else None,
        )
        return Row(runner=runner, born=9000.0, entered=9000.0, told=9000.0, **more)

    return make


@pytest.fixture
def in_loop(monkeypatch: pytest.MonkeyPatch) -> list[World]:
    """Write the ledger within the loop, so that nothing real is in flight when time jumps.

    (Tests ask for `autojump_clock` themselves: pytest-trio looks at their own arguments only.)
    """
    worlds: list[World] = []

    async def write(self: Writer, changes: Changes) -> None:
        if any(world.disk_full for world in worlds):
            raise sqlite3.OperationalError("database or disk is full")
        await trio.lowlevel.cancel_shielded_checkpoint()
        entry = _Entry(dict(changes))
        error = self._transaction([entry])
        if error is not None:
            raise error
        await trio.lowlevel.checkpoint_if_cancelled()

    really_close = Ledger.close

    async def close(self: Ledger) -> None:
        for world in worlds:
            world.ended = trio.current_time()
        await really_close(self)  # in a thread: time jumps meanwhile

    async def blocking(
        self: Evidence, limiter: trio.CapacityLimiter, call: Callable[..., Any], *arguments: Any
    ) -> Any:
        await trio.lowlevel.checkpoint()
        if any(world.disk_full for world in worlds):
            raise OSError(errno.ENOSPC, "No space left on device")
        return call(*arguments)

    monkeypatch.setattr(Writer, "write", write)
    monkeypatch.setattr(Evidence, "_blocking", blocking)
    monkeypatch.setattr(Ledger, "close", close)
    return worlds


@pytest.fixture
def world(tmp_path: Path, in_loop: list[World]) -> World:
    made = World(tmp_path)
    in_loop.append(made)
    return made


@pytest.fixture
def real_world(tmp_path: Path) -> World:
    """On a real clock, with the ledger's own thread."""
    return World(tmp_path)
