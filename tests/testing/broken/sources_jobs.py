"""Sources that break a promise about reservations or jobs, or one that every plugin makes."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import trio
from tests.testing.broken.sources import Offering, Source

from scaler import (
    Context,
    Finding,
    Job,
    Message,
    Profile,
    Registration,
    Reservation,
    Runner,
    Unavailable,
    hookimpl,
)
from scaler.testing import promises_plugin, promises_source
from scaler.testing.promises import Promise


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


class TriesForEver(Source):
    """Has no ear for the end while it delivers."""

    async def take(self, waiting: tuple[str, str]) -> None:
        while True:
            try:
                await self.context.deliver(self.message(*waiting))
            except Unavailable:
                await trio.sleep(0.01)
            else:
                return self.forge.queue.remove(waiting)


class OneProfile(Source):
    """Gives every job to the same profile."""

    def message(self, profile: str, job: str) -> Message:
        return super().message("linux", job)


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


BROKEN: tuple[tuple[type[Any], Promise], ...] = (
    (ReservesOnce, promises_source.RESERVES),
    (ReservesWords, promises_source.RESERVES),
    (TakesBackOnce, promises_source.TAKES_BACK),
    (Deaf, promises_source.DELIVERS),
    (AcquiresMore, promises_source.ACQUIRES),
    (OffersInVain, promises_source.ACQUIRES),
    (TriesOnce, promises_source.AGAIN),
    (TriesForEver, promises_plugin.STOPS),
    (OneProfile, promises_source.DELIVERS),
    (TakesFirst, promises_source.DURABLE),
    (JobsOfAnInstance, promises_source.SAME_JOB),
    (CountsMessages, promises_source.MESSAGE_IDS),
    (ChecksByTrying, promises_plugin.CHECK_CHANGES_NOTHING),
    (ChecksWithoutHelp, promises_plugin.CHECK_SAYS_HOW),
    (LogsConfigs, promises_plugin.SECRETS),
    (NeverStops, promises_plugin.STOPS),
)
