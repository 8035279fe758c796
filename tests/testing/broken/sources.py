"""A source that keeps its promises, and for each of them one that does not.

The other side is a class attribute: a new instance of the plugin finds it as the last one left it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import uuid4

import trio

from scaler import (
    Busy,
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
from scaler.testing import promises_plugin, promises_source
from scaler.testing.promises import Promise


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


class NoConfig(Source):
    @hookimpl
    async def register_runner(self, runner: Runner) -> Registration:
        self.forge.registered.append(runner.name)
        return Registration(name=runner.name, ref=runner.name)


class AnotherName(Source):
    @hookimpl
    async def register_runner(self, runner: Runner) -> Registration:
        return Registration(name=f"scaler-{runner.id}", ref="1", config=Secret("config"))


class LeavesLeftovers(Source):
    """Registers a name beside the one that is there."""

    @hookimpl
    async def register_runner(self, runner: Runner) -> Registration:
        self.forge.registered.append(runner.name)
        return Registration(name=runner.name, ref=runner.name, config=Secret("config"))


class RefusesLeftovers(Source):
    """Leaves a name that is taken to somebody else."""

    @hookimpl
    async def register_runner(self, runner: Runner) -> Registration:
        if runner.name in self.forge.registered:
            raise Unavailable(f"{runner.name} is registered already")
        return await super().register_runner(runner)


class NotesTooLate(Source):
    """Knows what it registered from a note that is made afterwards."""

    @hookimpl
    async def register_runner(self, runner: Runner) -> Registration:
        made = await super().register_runner(runner)
        await self.context.save(runner.name, True)
        return made

    @hookimpl
    async def unregister_runner(self, runner: Runner) -> None:
        if await self.context.load(runner.name):
            await super().unregister_runner(runner)


class RemovesNothing(Source):
    @hookimpl
    async def unregister_runner(self, runner: Runner) -> None:
        await trio.lowlevel.checkpoint()


class RemovesByTheBeginning(Source):
    @hookimpl
    async def unregister_runner(self, runner: Runner) -> None:
        beginning = runner.name.partition("@")[0]
        for name in self.ours():
            if name.startswith(beginning):
                self.forge.forget(name)


class RemovesOnce(Source):
    @hookimpl
    async def unregister_runner(self, runner: Runner) -> None:
        self.forge.registered.remove(runner.name)


class BusyWhereUnknown(Source):
    @hookimpl
    async def unregister_runner(self, runner: Runner) -> None:
        if runner.name not in self.forge.registered:
            raise Busy("it may be at work")
        await super().unregister_runner(runner)


class RemembersInstead(Source):
    """Knows what it registered for as long as it lives."""

    def __init__(self, context: Context[Any, Any]) -> None:
        super().__init__(context)
        self.mine: set[str] = set()

    @hookimpl
    async def register_runner(self, runner: Runner) -> Registration:
        self.mine.add(runner.name)
        return await super().register_runner(runner)

    @hookimpl
    async def unregister_runner(self, runner: Runner) -> None:
        if runner.name in self.mine:
            await super().unregister_runner(runner)


class BelievesItsNote(Source):
    """Notes that it has removed something before it has."""

    @hookimpl
    async def unregister_runner(self, runner: Runner) -> None:
        if await self.context.load(runner.name) and runner.id >= 1000:
            return
        await self.context.save(runner.name, True)
        await super().unregister_runner(runner)

    @hookimpl
    async def register_runner(self, runner: Runner) -> Registration:
        await self.context.save(runner.name, None)
        return await super().register_runner(runner)


class SaysGone(Source):
    @hookimpl
    async def unregister_runner(self, runner: Runner) -> None:
        await super().unregister_runner(runner)
        self.context.registration_changed(Registration(name=runner.name, gone=True))


class OnePage(Source):
    def ours(self) -> list[str]:
        return super().ours()[:2]


class AnybodyAlike(Source):
    def ours(self) -> list[str]:
        tag = f"@{self.context.scaler}"
        return [name for name in self.forge.registered if tag in name]


class RemovesByNumber(Source):
    """Takes another scaler's runner for its own, since it has the same number."""

    @hookimpl
    async def unregister_runner(self, runner: Runner) -> None:
        beginning = f"{runner.name.partition('@')[0]}@"
        for name in list(self.forge.registered):
            if name.startswith(beginning):
                self.forge.forget(name)


class ListsWhatItMade(Source):
    made: ClassVar[dict[int, set[str]]]

    def __init__(self, context: Context[Any, Any]) -> None:
        super().__init__(context)
        self.mine: list[str] = []

    @hookimpl
    async def register_runner(self, runner: Runner) -> Registration:
        self.mine.append(runner.name)
        return await super().register_runner(runner)

    def ours(self) -> list[str]:
        if self.context.scaler != "here":
            return super().ours()
        return [name for name in super().ours() if name in self.mine]


class ReservesOnce(Source):
    @hookimpl
    async def reserve_runner(self, runner: Runner, reservation: Reservation | None) -> None:
        if reservation is not None and runner.name in self.forge.shown:
            raise ValueError("there is a reservation")
        await super().reserve_runner(runner, reservation)


class ReservesWords(Source):
    @hookimpl
    async def reserve_runner(self, runner: Runner, reservation: Reservation | None) -> None:
        if reservation is not None:
            reservation.unique_id.encode("ascii")
        await super().reserve_runner(runner, reservation)


class TakesBackOnce(Source):
    @hookimpl
    async def reserve_runner(self, runner: Runner, reservation: Reservation | None) -> None:
        if reservation is None:
            del self.forge.shown[runner.name]
        else:
            await super().reserve_runner(runner, reservation)


class Deaf(Source):
    async def take(self, waiting: tuple[str, str]) -> None:
        await trio.lowlevel.checkpoint()


class AcquiresMore(Offering):
    @hookimpl
    async def acquire_jobs(self, profile: Profile, jobs: list[Job]) -> list[Job]:
        return [*jobs, Job(id="another", state="assigned")]


class OffersInVain(Source):
    def message(self, profile: str, job: str) -> Message:
        return Message(id=f"about {job}", profile=profile, jobs=(Job(id=job, state="offered"),))


class TriesOnce(Source):
    async def take(self, waiting: tuple[str, str]) -> None:
        self.forge.queue.remove(waiting)
        try:
            await self.context.deliver(self.message(*waiting))
        except Unavailable:
            self.context.report("it was not taken", ok=False)


class TakesFirst(Source):
    """Has the other side forget what it tries to deliver for as long as it lives."""

    def __init__(self, context: Context[Any, Any]) -> None:
        super().__init__(context)
        self.in_hand: list[tuple[str, str]] = []

    async def take(self, waiting: tuple[str, str]) -> None:
        self.forge.queue.remove(waiting)
        while True:
            try:
                return await self.context.deliver(self.message(*waiting))
            except Unavailable:
                await trio.sleep(0.01)


class JobsOfAnInstance(Source):
    def __init__(self, context: Context[Any, Any]) -> None:
        super().__init__(context)
        self.instance = uuid4().hex

    def message(self, profile: str, job: str) -> Message:
        return super().message(profile, f"{self.instance}.{job}")


class CountsMessages(Source):
    """Begins to count anew with each instance."""

    def __init__(self, context: Context[Any, Any]) -> None:
        super().__init__(context)
        self.count = 0

    def message(self, profile: str, job: str) -> Message:
        self.count += 1
        jobs = (Job(id=job, state="assigned"),)
        return Message(id=f"{self.count}", profile=profile, jobs=jobs)


class ChecksByTrying(Source):
    @hookimpl
    async def check(self) -> list[Finding]:
        self.forge.registered.append(f"check@{self.context.scaler}")
        return [Finding(ok=True, text="runners can be registered")]


class ChecksWithoutHelp(Source):
    @hookimpl
    async def check(self) -> list[Finding]:
        return [Finding(ok=False, text="it does not work")]


class LogsConfigs(Source):
    @hookimpl
    async def register_runner(self, runner: Runner) -> Registration:
        made = await super().register_runner(runner)
        assert made.config is not None
        self.context.log.info("made %s", made.config.reveal())
        return made


class NeverStops(Source):
    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        await trio.sleep_forever()


GOOD: tuple[Callable[[Context[Any, Any]], Any], ...] = (Source, Offering, Plain)
BROKEN: tuple[tuple[type[Any], Promise], ...] = (
    (NoConfig, promises_source.REGISTERS),
    (AnotherName, promises_source.REGISTERS),
    (LeavesLeftovers, promises_source.LEFTOVER),
    (RefusesLeftovers, promises_source.LEFTOVER),
    (NotesTooLate, promises_source.REGISTER_CUT),
    (RemovesNothing, promises_source.UNREGISTERS),
    (RemovesByTheBeginning, promises_source.THAT_ONE),
    (RemovesOnce, promises_source.GONE_IS_GONE),
    (BusyWhereUnknown, promises_source.GONE_IS_GONE),
    (RemembersInstead, promises_source.BY_NAME),
    (BelievesItsNote, promises_source.UNREGISTER_CUT),
    (SaysGone, promises_source.NOT_OURS_TO_SAY),
    (OnePage, promises_source.LISTS),
    (AnybodyAlike, promises_source.ONLY_OURS),
    (RemovesByNumber, promises_source.ONLY_OURS),
    (ListsWhatItMade, promises_source.AFTER_CRASH),
    (ReservesOnce, promises_source.RESERVES),
    (ReservesWords, promises_source.RESERVES),
    (TakesBackOnce, promises_source.TAKES_BACK),
    (Deaf, promises_source.DELIVERS),
    (AcquiresMore, promises_source.ACQUIRES),
    (OffersInVain, promises_source.ACQUIRES),
    (TriesOnce, promises_source.AGAIN),
    (TakesFirst, promises_source.DURABLE),
    (JobsOfAnInstance, promises_source.SAME_JOB),
    (CountsMessages, promises_source.MESSAGE_IDS),
    (ChecksByTrying, promises_plugin.CHECK_CHANGES_NOTHING),
    (ChecksWithoutHelp, promises_plugin.CHECK_SAYS_HOW),
    (LogsConfigs, promises_plugin.SECRETS),
    (NeverStops, promises_plugin.STOPS),
)
