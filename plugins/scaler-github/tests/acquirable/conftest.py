"""A poller between a core that remembers and a GitHub that says what it is told to say."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from scaler import Context, Job, Message, Profile
from scaler_github.acquirable import poller
from scaler_github.acquirable.poller import Poller
from scaler_github.client import GitHubError
from scaler_github.client.types import AcquirableJob, ScaleSet, Statistics
from scaler_github.queue.state import QueueState

NUMBER = 7  # of the scale set


class Clock:
    """The wall clock follows trio's."""

    gmtime, strftime = staticmethod(time.gmtime), staticmethod(time.strftime)

    def time(self) -> float:
        return 1_800_000_000 + trio.current_time()


class FakeGitHub:
    """The account, as far as a poller uses it. Each answer takes `takes` seconds."""

    def __init__(self) -> None:
        self.actions = self
        self.scope = SimpleNamespace(web="https://github.com")
        self.statistics: Statistics | None = Statistics()
        self.jobs: list[AcquirableJob] = []
        self.there = True
        self.no_totals: GitHubError | None = None
        self.no_list: GitHubError | None = None
        self.takes = 0.1
        self.looks: list[float] = []
        self.lists: list[float] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator[FakeGitHub]:
        yield self

    def count(self, assigned: int = 0, available: int = 0) -> Statistics:
        self.statistics = Statistics(total_assigned_jobs=assigned, total_available_jobs=available)
        return self.statistics

    async def get_scale_set(self, scale_set_id: int) -> ScaleSet | None:
        assert scale_set_id == NUMBER
        self.looks.append(trio.current_time())
        told = self.statistics
        await trio.sleep(self.takes)
        if self.no_totals is not None:
            raise self.no_totals
        return ScaleSet(id=NUMBER, statistics=told) if self.there else None

    async def acquirable_jobs(self, scale_set_id: int) -> list[AcquirableJob]:
        assert scale_set_id == NUMBER
        self.lists.append(trio.current_time())
        if self.no_list is not None:
            raise self.no_list
        return list(self.jobs)


class FakeSession:
    """The listener's session."""

    def __init__(self, name: str) -> None:
        self.id = name
        self.statistics = Statistics()
        self.told = trio.current_time()
        self.renewals = 0

    async def renew(self) -> bool:
        self.renewals += 1
        self.told = trio.current_time()
        return True


class FakeCore:
    """Keeps messages, and knows the jobs that they told of."""

    def __init__(self) -> None:
        self.messages: list[tuple[float, Message]] = []
        self.jobs: dict[str, Job] = {}
        self.line: tuple[str, bool, Mapping[str, Any]] = ("", True, {})
        self.trouble: list[Exception] = []

    async def deliver(self, plugin: str, message: Message) -> None:
        assert plugin == "acquirable-jobs"
        await trio.lowlevel.checkpoint()
        if self.trouble:
            raise self.trouble.pop(0)
        self.messages.append((trio.current_time(), message))
        for job in message.jobs:
            self.jobs.setdefault(job.id, replace(job, profile="linux"))

    def view(self) -> Any:
        return SimpleNamespace(jobs=tuple(self.jobs.values()), runners=())

    def report(
        self, plugin: str, text: str, ok: bool, profile: str, facts: Mapping[str, Any]
    ) -> None:
        assert profile == "linux"
        self.line = text, ok, facts


class Desk:
    """A poller at work, and what a test does about it."""

    def __init__(self, folder: Path, interval: float = 60.0) -> None:
        self.github = FakeGitHub()
        self.core = FakeCore()
        self.state = QueueState()
        self.stopping = trio.Event()
        profile = Profile(name="linux", source="actions-queue")
        context: Context[Any, Any] = Context(
            name="acquirable-jobs",
            scaler="host-1",
            config=None,
            profiles={"linux": profile},
            own={},
            folder=folder,
            log=logging.LoggerAdapter(logging.getLogger("test.acquirable-jobs")),
            stopping=self.stopping,
            core=self.core,  # type: ignore[arg-type]
        )
        account: Any = self.github
        self.poller = Poller(context, "linux", account=account, state=self.state, interval=interval)

    @property
    def demands(self) -> list[int | None]:
        return [message.demand for _, message in self.core.messages]

    def since(self, start: float) -> list[float]:
        """When looks began, counted from `start`."""
        return [round(at - start, 1) for at in self.github.looks if at >= start]

    def opens(self, name: str = "s1") -> FakeSession:
        """The listener opens a session, and has not told what it says yet."""
        session = FakeSession(name)
        opened: Any = session
        self.state.scale_set = NUMBER
        self.state.opened(opened)
        return session

    def listens(self, name: str = "s1", counts: Statistics | None = None) -> FakeSession:
        """The listener opens a session, and tells what it says."""
        session = self.opens(name)
        self.state.count(counts or Statistics(), trio.current_time())
        self.state.introduce()
        return session

    def hears(self, assigned: int = 0, available: int = 0) -> None:
        """The listener has a message."""
        self.state.came()
        counts = Statistics(total_assigned_jobs=assigned, total_available_jobs=available)
        self.state.count(counts, trio.current_time())

    def knows(self, *states: str) -> None:
        """These are the jobs that the core knows."""
        jobs: Any = [
            Job(id=f"{number}", state=state, profile="linux")  # type: ignore[arg-type]
            for number, state in enumerate(states, 1000)
        ]
        self.core.jobs = {job.id: job for job in jobs}

    def offers(self, *numbers: int) -> None:
        self.github.jobs = [
            AcquirableJob(runner_request_id=number, repository_name="widgets", owner_name="acme")
            for number in numbers
        ]


@pytest.fixture
async def desk(
    autojump_clock: MockClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Desk]:
    """(A test that uses it asks for `autojump_clock` itself: else it waits in earnest.)"""
    assert isinstance(trio.lowlevel.current_clock(), MockClock)
    monkeypatch.setattr(poller, "time", Clock())
    desk = Desk(tmp_path)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.poller.run)
        await wait_all_tasks_blocked()
        yield desk
        desk.stopping.set()
        with trio.fail_after(20):
            await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
