"""The part of a source's check about jobs: what appears is delivered, and a crash loses none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import trio

from scaler.hooks import SPEC
from scaler.testing.promises import promised
from scaler.testing.promises_source import (
    ACQUIRES,
    AGAIN,
    DELIVERS,
    DURABLE,
    MESSAGE_IDS,
    SAME_JOB,
)

if TYPE_CHECKING:
    from scaler.records import Message
    from scaler.testing.promises import Promise
    from scaler.testing.stage import Stage
    from scaler.testing.trial import Trial

#: Lets a job appear on the other side, for the profile of this name.
Send: TypeAlias = Callable[[str], Awaitable[None]]

#: The ids of jobs, and how many runners were wanted at most.
News: TypeAlias = tuple[frozenset[str], int]

ARRIVES = 60.0  # seconds until a job that appeared is delivered
_REFUSED = 2  # deliveries that fail before one succeeds
_ALL = 1 << 30


class Jobs:
    """What a source delivers.

    Args:
        trial: The check.
        profiles: The profiles that it is the source of.
        send: Lets a job appear.
        settle: Seconds more within which it must be delivered.
    """

    def __init__(self, trial: Trial, profiles: list[str], send: Send, settle: float) -> None:
        self._trial = trial
        self._profiles = profiles
        self._profile = profiles[0]
        self._send = send
        self._patience = ARRIVES + settle
        self._delivered: list[Message] = []  # by the instances before
        self._known: News = frozenset(), 0
        self._ids: set[str] = set()

    async def check(self) -> None:
        """Send jobs: some as it should be, then with deliveries that fail, or never return.

        Raises:
            PromiseBroken: It breaks a promise.
        """
        async with self._trial.stage() as stage:
            for profile in self._profiles:
                await self._job(stage, profile, DELIVERS, "a job appeared")
            await self._acquire(stage)
            stage.core.fail_deliver(_REFUSED)
            doing = f"{_REFUSED} deliveries were not taken"
            await self._job(stage, self._profile, AGAIN, doing)
            await self._refuse(stage)
            stage.crash()
        async with self._trial.stage() as stage:
            await self._comes(stage, "a crash, while its delivery had not returned")
            await self._refuse(stage)
        async with self._trial.stage() as stage:
            await self._comes(stage, "a stop, while its delivery had not returned")
            self._delivered += stage.core.messages
        self._judge_ids()

    async def _refuse(self, stage: Stage) -> None:
        """Let a job appear, and whatever is delivered from now on fail."""
        core, tried = stage.core, len(stage.core.refused)
        self._delivered += core.messages
        self._known = news(self._delivered, self._profile)
        core.fail_deliver(_ALL)
        await self._send(self._profile)

        def seen() -> bool:
            told = [*self._delivered, *core.refused[tried:]]
            return news(told, self._profile) != self._known

        await self._until(stage, seen, DELIVERS, "a job appeared")
        self._ids = job_ids([*self._delivered, *core.refused])

    async def _comes(self, stage: Stage, doing: str) -> None:
        """See that the job whose delivery never returned comes, and as the job that it was."""
        core = stage.core

        def seen() -> bool:
            told = [*self._delivered, *core.messages]
            return news(told, self._profile) != self._known

        await self._until(stage, seen, DURABLE, doing)
        if strange := job_ids(core.messages) - self._ids:
            raise SAME_JOB.broken(
                f"after {doing}, and with no new job, there are jobs {sorted(strange)} beside "
                f"{sorted(self._ids)}"
            )

    async def _acquire(self, stage: Stage) -> None:
        """Acquire what it offers, as the core does where there is room for all of it."""
        jobs = [job for each in stage.core.messages for job in each.jobs]
        offered = {job.id: replace(job, profile=self._profile) for job in jobs}
        offered = {key: job for key, job in offered.items() if job.state == "offered"}
        if not offered:
            return
        profile = self._trial.site.settings.profiles[self._profile]
        with promised(ACQUIRES, "acquiring what it offered"):
            answer = await stage.call(
                SPEC.acquire_jobs, profile=profile, jobs=list(offered.values())
            )
        ours = {job.id for job in answer}
        if ours != offered.keys():
            raise ACQUIRES.broken(
                f"of {sorted(offered)}, which nobody else wants, {sorted(ours)} are ours"
            )

    async def _job(self, stage: Stage, profile: str, promise: Promise, doing: str) -> None:
        known = news(stage.core.messages, profile)
        await self._send(profile)
        await self._until(
            stage, lambda: news(stage.core.messages, profile) != known, promise, doing
        )

    async def _until(
        self, stage: Stage, true: Callable[[], bool], promise: Promise, doing: str
    ) -> None:
        try:
            await stage.core.until(true, self._patience)
        except trio.TooSlowError:
            last = stage.core.messages[-1:] or "none"
            raise promise.broken(
                f"after {doing}: no message tells of it within {self._patience:g} s; the last one "
                f"is {last}"
            ) from None

    def _judge_ids(self) -> None:
        """See that nobody takes a new message for an old one."""
        said: dict[tuple[str | None, str], object] = {}
        for each in self._delivered:
            if not each.id:
                continue  # it asks for no such thing
            what = frozenset((job.id, job.state) for job in each.jobs), each.demand
            if said.setdefault((each.profile, each.id), what) != what:
                raise MESSAGE_IDS.broken(f"two messages with the id {each.id!r} tell other jobs")


def job_ids(messages: Iterable[Message]) -> set[str]:
    """Of every job that they tell of."""
    return {job.id for each in messages for job in each.jobs}


def news(messages: Iterable[Message], profile: str) -> News:
    """What changes when one more job appears: the jobs, and the most that was wanted at a time.

    A source may tell of jobs, of demand alone, or of both.
    """
    told = [each for each in messages if each.profile in (profile, None)]
    most = max(((each.demand or 0) + (each.waiting or 0) for each in told), default=0)
    return frozenset(job_ids(told)), most
