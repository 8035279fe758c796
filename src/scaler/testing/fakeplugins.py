"""A source and a provisioner without an outside, for what stands beside one's own plugin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import trio

from scaler.errors import Busy, Gone, NoRoom, Refused
from scaler.hooks import hookimpl
from scaler.records import (
    Job,
    Machine,
    Message,
    Registration,
    Reservation,
    Room,
    Runner,
    SettingsChange,
)
from scaler.units import Secret

if TYPE_CHECKING:
    from scaler.context import Context


class FakeSource:
    """A source whose other side is this object: a test makes jobs, and brings runners online.

    A runner comes online by itself as soon as its machine exists, and then gets a job that waits
    for its profile. In a scaler, its instances stand in the class attribute `made`; subclass it to
    have a list of a test's own, as `scaler.testing.run_scaler` does.

    Attributes:
        registrations: What is registered, by name.
        jobs: Every job that was made, by its id.
        reservations: What runners show, by name.
        changes: Every change of its settings that it was told of.
        guests: Whether runners come online by themselves.
    """

    made: ClassVar[list[Any]] = []
    guests = True

    def __init__(self, context: Context[Any, Any]) -> None:
        self.context = context
        self.registrations: dict[str, Registration] = {}
        self.jobs: dict[str, Job] = {}
        self.reservations: dict[str, Reservation] = {}
        self.changes: list[SettingsChange] = []
        self._messages = 0
        self._refs = 0
        type(self).made.append(self)

    # -- a test's side

    async def job(self, profile: str, **more: Any) -> Job:
        """Let a job wait for a runner of this profile; `more` are fields of `Job`."""
        number = f"job-{len(self.jobs) + 1}"
        job = Job(**{"id": number, "state": "assigned", "profile": profile, "name": number} | more)
        self.jobs[job.id] = job
        await self._tell(job)
        await self._assign()
        return job

    async def finish(self, job: str, result: str = "succeeded") -> None:
        """End a job: its runner is gone from the other side with it, as those for one job are."""
        done = replace(self.jobs[job], state="done", result=result)
        self.jobs[job] = done
        gone = self.registrations.pop(done.runner_name, None)
        await self._tell(done)
        if gone is not None:
            self.context.registration_changed(Registration(name=gone.name, gone=True))

    async def online(self, runner_name: str) -> None:
        """Let a runner connect, as the one in its machine does; it may get a job."""
        found = self.registrations.get(runner_name)
        if found is None or found.online:
            return
        self.registrations[runner_name] = replace(found, online=True, busy=False)
        self.context.registration_changed(self.registrations[runner_name])
        await self._assign()

    # -- hooks

    @hookimpl
    async def on_settings_changed(self, change: SettingsChange) -> list[str]:
        """Its settings are looked up each time: there is nothing to do."""
        await trio.lowlevel.checkpoint()
        self.changes.append(change)
        return []

    @hookimpl
    async def register_runner(self, runner: Runner) -> Registration:
        """Register it; a leftover of its name goes."""
        await trio.lowlevel.checkpoint()
        self._refs += 1
        made = Registration(name=runner.name, ref=str(self._refs), online=False, busy=False)
        self.registrations[runner.name] = made
        return replace(made, config=Secret(f"config of {runner.name}"))

    @hookimpl
    async def unregister_runner(self, runner: Runner) -> None:
        """Remove it, unless it is busy."""
        await trio.lowlevel.checkpoint()
        found = self.registrations.get(runner.name)
        if found is not None and found.busy:
            raise Busy(f"{runner.name} runs a job")
        self.registrations.pop(runner.name, None)
        self.reservations.pop(runner.name, None)

    @hookimpl
    async def list_registrations(self) -> list[Registration]:
        """Everything."""
        await trio.lowlevel.checkpoint()
        return list(self.registrations.values())

    @hookimpl
    async def reserve_runner(self, runner: Runner, reservation: Reservation | None) -> None:
        """Show it, or take it back."""
        await trio.lowlevel.checkpoint()
        found = self.registrations.get(runner.name)
        if reservation is None:
            self.reservations.pop(runner.name, None)
        elif found is None:
            raise Gone(f"{runner.name} is not registered")
        elif found.busy:
            raise Busy(f"{runner.name} runs a job")
        else:
            self.reservations[runner.name] = reservation

    @hookimpl
    async def on_runner_changed(self, runner: Runner) -> None:
        """What is in its machine connects as soon as there is one."""
        if self.guests and runner.machine is not None and runner.name in self.registrations:
            await self.online(runner.name)

    # -- inside

    async def _assign(self) -> None:
        """Give each job that waits a runner that is online and free."""
        for job in [each for each in self.jobs.values() if each.state == "assigned"]:
            for name, found in self.registrations.items():
                if found.online and not found.busy and name.startswith(f"{job.profile}."):
                    self.registrations[name] = replace(found, busy=True)
                    self.jobs[job.id] = replace(job, state="running", runner_name=name)
                    self.context.registration_changed(self.registrations[name])
                    await self._tell(self.jobs[job.id])
                    break

    async def _tell(self, job: Job) -> None:
        self._messages += 1
        owed = [
            each
            for each in self.jobs.values()
            if each.profile == job.profile and each.state in ("assigned", "running")
        ]
        await self.context.deliver(
            Message(
                id=f"message-{self._messages}",
                profile=job.profile,
                jobs=(job,),
                demand=len(owed),
            )
        )


class FakeProvisioner:
    """A provisioner whose machines are entries of a dictionary, and always work.

    Attributes:
        made: Every instance; see `FakeSource`.
        machines: What there is, by the runner's id.
        rooms: What `capacity` answers.
        changes: Every change of its settings that it was told of.
        refusing: Asked of each runner before its machine is made; a text refuses it (`NoRoom`).
    """

    made: ClassVar[list[Any]] = []

    def __init__(self, context: Context[Any, Any]) -> None:
        self.context = context
        self.machines: dict[int, Machine] = {}
        self.changes: list[SettingsChange] = []
        self.rooms: list[Room] = [Room(name="")]
        self.refusing: Callable[[Runner], str] = lambda _runner: ""
        self._ids = 0
        type(self).made.append(self)

    def stop(self, runner: int, why: str = "it was switched off") -> None:
        """Let a machine stop by itself."""
        self.machines[runner] = replace(self.machines[runner], state="stopped", why=why)
        self.context.machine_changed(self.machines[runner])

    @hookimpl
    async def on_settings_changed(self, change: SettingsChange) -> list[str]:
        """Its settings are looked up each time: there is nothing to do."""
        await trio.lowlevel.checkpoint()
        self.changes.append(change)
        return []

    @hookimpl
    async def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
        """Make one, or answer the one that is there."""
        await trio.lowlevel.checkpoint()
        if registration.config is None:
            raise Refused("no-config", f"{runner.name} has no config")
        if runner.room not in [room.name for room in self.rooms]:
            raise NoRoom(f"there is no room {runner.room!r}")
        if why := self.refusing(runner):
            raise NoRoom(why)
        if runner.id not in self.machines:
            self._ids += 1
            self.machines[runner.id] = Machine(
                runner=runner.id,
                id=f"fake-{self._ids}",
                room=runner.room,
                runner_name=runner.name,
                profile=runner.profile,
            )
        return self.machines[runner.id]

    @hookimpl
    async def destroy_runner(self, runner: Runner) -> None:
        """Remove it."""
        await trio.lowlevel.checkpoint()
        self.machines.pop(runner.id, None)

    @hookimpl
    async def list_machines(self) -> list[Machine]:
        """Everything."""
        await trio.lowlevel.checkpoint()
        return list(self.machines.values())

    @hookimpl
    async def capacity(self) -> list[Room]:
        """The rooms."""
        await trio.lowlevel.checkpoint()
        return list(self.rooms)
