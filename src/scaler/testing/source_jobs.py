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
        self._profile = profiles[0]
        self._send = send
        self._patience = ARRIVES + settle
        self._delivered: list[Message] = []

    async def check(self) -> None:
        """Send a job, one whose delivery fails at first, and one whose delivery never returns.

        Raises:
            PromiseBroken: It breaks a promise.
        """
        async with self._trial.stage() as stage:
            core = stage.core
            await self._job(stage, DELIVERS, "a job appeared")
            await self._acquire(stage)
            core.fail_deliver(_REFUSED)
            await self._job(stage, AGAIN, f"{_REFUSED} deliveries were not taken")
            known = news(core.messages, self._profile)
            tried = len(core.refused)
            core.fail_deliver(_ALL)
            await self._send(self._profile)
            await self._until(
                stage,
                lambda: news([*core.messages, *core.refused[tried:]], self._profile) != known,
                DELIVERS,
                "a job appeared",
            )
            before = job_ids([*core.messages, *core.refused])
            self._delivered += core.messages
            stage.crash()
        async with self._trial.stage() as stage:
            core = stage.core
            await self._until(
                stage,
                lambda: news([*self._delivered, *core.messages], self._profile) != known,
                DURABLE,
                "a crash, while its delivery had not returned",
            )
            self._delivered += core.messages
            if strange := job_ids(core.messages) - before:
                raise SAME_JOB.broken(
                    f"after a crash, and with no new job, there are jobs {sorted(strange)} beside "
                    f"{sorted(before)}"
                )
        self._judge_ids()

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

    async def _job(self, stage: Stage, promise: Promise, doing: str) -> None:
        known = news(stage.core.messages, self._profile)
        await self._send(self._profile)
        await self._until(
            stage, lambda: news(stage.core.messages, self._profile) != known, promise, doing
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


def news(messages: Iterable[Message], profile: str) -> tuple[frozenset[str], int]:
    """What changes when one more job appears: the jobs, and the most that was wanted at a time.

    A source may tell of jobs, of demand alone, or of both.
    """
    told = [each for each in messages if each.profile in (profile, None)]
    most = max(((each.demand or 0) + (each.waiting or 0) for each in told), default=0)
    return frozenset(job_ids(told)), most
