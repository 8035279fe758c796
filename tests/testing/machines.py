"""Provisioners that keep every promise: of machines in memory, in files, and by plain functions."""

from __future__ import annotations

import itertools
import json
import os
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import trio

from scaler import Context, Finding, Machine, NoRoom, Registration, Room, Runner, hookimpl

if TYPE_CHECKING:
    from pathlib import Path

PNG = b"\x89PNG\r\n\x1a\n and so on"


@dataclass
class World:
    """The machines of all scalers: by the scaler's name and the runner's id."""

    machines: dict[tuple[str, int], Machine] = field(default_factory=dict)
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def machine(self, runner: Runner) -> Machine:
        return Machine(
            runner=runner.id,
            id=f"machine-{next(self.numbers)}",
            room=runner.room,
            runner_name=runner.name,
            profile=runner.profile,
        )


class InMemory:
    """Machines in a dictionary: what the broken ones differ from, each in one thing."""

    def __init__(self, context: Context[Any, Any], world: World | None = None) -> None:
        self.context = context
        self.world = World() if world is None else world

    def key(self, runner: Runner) -> tuple[str, int]:
        return self.context.scaler, runner.id

    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        await self.context.stopping.wait()

    @hookimpl
    async def check(self) -> list[Finding]:
        await trio.lowlevel.checkpoint()
        return [Finding(ok=True, text="all is well")]

    @hookimpl
    async def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
        await trio.sleep(0.01)
        if runner.room not in ("here", "there"):
            raise NoRoom(f"no room {runner.room!r}")
        found = self.world.machines.get(self.key(runner))
        if found is None:
            found = self.world.machines[self.key(runner)] = self.world.machine(runner)
            await trio.sleep(0.01)
        return found

    @hookimpl
    async def destroy_runner(self, runner: Runner) -> None:
        await trio.sleep(0.01)
        self.world.machines.pop(self.key(runner), None)
        await trio.sleep(0.01)

    @hookimpl
    async def list_machines(self) -> list[Machine]:
        await trio.sleep(0.01)
        return [
            machine
            for (scaler, _), machine in self.world.machines.items()
            if scaler == self.context.scaler
        ]

    @hookimpl
    async def capacity(self) -> list[Room]:
        await trio.lowlevel.checkpoint()
        return [Room(name="here", total={"memory": 64 << 30}), Room(name="there", total={})]

    @hookimpl
    async def screenshot(self, machine: Machine) -> bytes:
        await trio.lowlevel.checkpoint()
        return PNG


class InFiles:
    """A machine is a file, written where it takes long in a thread; it lists what it finds."""

    def __init__(self, context: Context[Any, Any], folder: Path | None = None) -> None:
        self.folder = (folder or context.folder) / f"of-{context.scaler}"
        self.folder.mkdir(exist_ok=True)

    def file(self, runner: Runner) -> Path:
        return self.folder / f"{runner.id}.json"

    def write(self, runner: Runner, size: int) -> Machine:
        """Make it as a whole or not at all, once."""
        made = replace(_plain(runner), id=f"{os.getpid()}-{time.monotonic_ns()}")
        fresh = self.folder / f"{made.id}.new"
        text = json.dumps({**_fields(made), "config size": size})
        fresh.write_text(text)
        try:
            os.link(fresh, self.file(runner))  # only one of those who make it at once succeeds
        except FileExistsError:
            return self.read(self.file(runner))
        finally:
            fresh.unlink()
        return made

    def read(self, file: Path) -> Machine:
        known = json.loads(file.read_text())
        del known["config size"]
        return Machine(**known)

    def remove(self, runner: Runner) -> None:
        self.file(runner).unlink(missing_ok=True)

    def found(self) -> list[Machine]:
        return [self.read(file) for file in sorted(self.folder.glob("*.json"))]

    @hookimpl
    async def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
        assert registration.config is not None
        size = len(registration.config.reveal())
        return await trio.to_thread.run_sync(self.write, runner, size)

    @hookimpl
    async def destroy_runner(self, runner: Runner) -> None:
        await trio.to_thread.run_sync(self.remove, runner)

    @hookimpl
    async def list_machines(self) -> list[Machine]:
        return await trio.to_thread.run_sync(self.found)


class InThreads(InFiles):
    """The same by plain functions, which scaler runs in a thread; and slowly."""

    @hookimpl
    def provision_runner(self, runner: Runner, registration: Registration) -> Machine:  # type: ignore[override]
        assert registration.config is not None
        time.sleep(0.02)
        made = self.write(runner, len(registration.config.reveal()))
        time.sleep(0.02)
        return made

    @hookimpl
    def destroy_runner(self, runner: Runner) -> None:  # type: ignore[override]
        self.remove(runner)

    @hookimpl
    def list_machines(self) -> list[Machine]:  # type: ignore[override]
        return self.found()


def _plain(runner: Runner) -> Machine:
    return Machine(
        runner=runner.id,
        id="",
        room=runner.room,
        runner_name=runner.name,
        profile=runner.profile,
    )


def _fields(machine: Machine) -> dict[str, Any]:
    names = ("runner", "id", "room", "runner_name", "profile")
    return {name: getattr(machine, name) for name in names}
