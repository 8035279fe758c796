"""Sources that keep their promises. Those that do not are made of them, in the files beside.

The other side is a class attribute: a new instance of the plugin finds it as the last one left it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import trio

from scaler import (
    Context,
    Finding,
    Job,
    Message,
    Profile,
    Registration,
    Reservation,
    Runner,
    Secret,
    Unavailable,
    hookimpl,
)


@dataclass
class Forge:
    """The other side: names that are registered, messages that nobody has taken yet."""

    registered: list[str] = field(default_factory=list)
    shown: dict[str, Reservation] = field(default_factory=dict)
    queue: list[tuple[str, str]] = field(default_factory=list)
    jobs: int = 0

    async def send(self, profile: str) -> None:
        """A job appears."""
        self.jobs += 1
        self.queue.append((profile, f"job-{self.jobs}"))

    def forget(self, name: str) -> None:
        """Remove all of a name."""
        self.registered = [each for each in self.registered if each != name]
        self.shown.pop(name, None)


class Source:
    """Keeps every promise."""

    forge: ClassVar[Forge]

    def __init__(self, context: Context[Any, Any]) -> None:
        self.context = context

    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        while not self.context.stopping.is_set():
            for each in list(self.forge.queue):
                await self.take(each)
            await trio.sleep(0.01)

    async def take(self, waiting: tuple[str, str]) -> None:
        try:
            await self.context.deliver(self.message(*waiting))
        except Unavailable:
            return
        self.forge.queue.remove(waiting)

    def message(self, profile: str, job: str) -> Message:
        jobs = (Job(id=job, state="assigned"),)
        return Message(id=f"about {job}", profile=profile, jobs=jobs, demand=1)

    @hookimpl
    async def check(self) -> list[Finding]:
        return [Finding(ok=True, text="it is there")]

    @hookimpl
    async def register_runner(self, runner: Runner) -> Registration:
        await trio.lowlevel.checkpoint()
        self.forge.forget(runner.name)
        await trio.lowlevel.checkpoint()
        self.forge.registered.append(runner.name)
        await trio.lowlevel.checkpoint()
        config = Secret(f"the config of {runner.name}, which is a secret")
        return Registration(name=runner.name, ref=runner.name, config=config)

    @hookimpl
    async def unregister_runner(self, runner: Runner) -> None:
        await trio.lowlevel.checkpoint()
        self.forge.forget(runner.name)
        await trio.lowlevel.checkpoint()

    @hookimpl
    async def list_registrations(self) -> list[Registration]:
        await trio.lowlevel.checkpoint()
        return [Registration(name=name, ref=name) for name in self.ours()]

    def ours(self) -> list[str]:
        suffix = f"@{self.context.scaler}"
        return [name for name in self.forge.registered if name.endswith(suffix)]

    @hookimpl
    async def reserve_runner(self, runner: Runner, reservation: Reservation | None) -> None:
        await trio.lowlevel.checkpoint()
        if reservation is None:
            self.forge.shown.pop(runner.name, None)
        else:
            self.forge.shown[runner.name] = reservation
        await trio.lowlevel.checkpoint()


class Offering(Source):
    """Keeps every promise, and its jobs must be acquired."""

    def message(self, profile: str, job: str) -> Message:
        return Message(id=f"about {job}", profile=profile, jobs=(Job(id=job, state="offered"),))

    @hookimpl
    async def acquire_jobs(self, profile: Profile, jobs: list[Job]) -> list[Job]:
        await trio.lowlevel.checkpoint()
        return jobs


class Plain:
    """Keeps every promise, in threads; of what is optional it has nothing."""

    forge: ClassVar[Forge]

    def __init__(self, context: Context[Any, Any]) -> None:
        self.scaler = context.scaler

    @hookimpl
    def register_runner(self, runner: Runner) -> Registration:
        self.forge.forget(runner.name)
        self.forge.registered.append(runner.name)
        return Registration(name=runner.name, ref="1", config=Secret("short"))

    @hookimpl
    def unregister_runner(self, runner: Runner) -> None:
        self.forge.forget(runner.name)

    @hookimpl
    def list_registrations(self) -> list[Registration]:
        suffix = f"@{self.scaler}"
        return [Registration(name=each) for each in self.forge.registered if each.endswith(suffix)]


GOOD: tuple[type[Any], ...] = (Source, Offering, Plain)
