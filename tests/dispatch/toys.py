"""Plugins that do what a test tells them, and a dispatcher for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio

from scaler.dispatch import Dispatcher
from scaler.errors import HookFault
from scaler.hooks import SPEC, hookimpl
from scaler.loading import register
from scaler.records import (
    Decline,
    Job,
    Registration,
    Room,
    Runner,
    RunnerState,
    Selection,
    SelectionRequest,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

RUNNER = Runner(id=1, name="linux.1@host", profile="linux", state=RunnerState.PLANNED)
JOB = Job(id="j1", state="offered")
REQUEST = SelectionRequest(unique_id="u", qualified_repo="acme/x", run_id="1")


class Does:
    """A plugin whose hooks do what they are told to."""

    def __init__(self, do: Callable[[], Awaitable[Any]]) -> None:
        self.do = do
        self.calls = 0

    async def _do(self) -> Any:
        self.calls += 1
        return await self.do()

    @hookimpl
    async def unregister_runner(self, runner: Runner) -> None:
        await self._do()

    @hookimpl
    async def register_runner(self, runner: Runner) -> Registration:
        answer: Registration = await self._do()
        return answer

    @hookimpl
    async def capacity(self) -> list[Room]:
        answer: list[Room] = await self._do()
        return answer

    @hookimpl
    async def on_job_available(self, job: Job) -> Decline | None:
        answer: Decline | None = await self._do()
        return answer

    @hookimpl
    async def select_runner(self, request: SelectionRequest) -> Selection | None:
        answer: Selection | None = await self._do()
        return answer


def does(answer: Any = None, *, after: float = 0.0) -> Does:
    """Answer, or raise where the answer is an exception."""

    async def do() -> Any:
        await trio.sleep(after)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    return Does(do)


def hooks(**plugins: object) -> tuple[Dispatcher, list[HookFault]]:
    faults: list[HookFault] = []
    return Dispatcher(register(plugins), around(), faults.append), faults


def around() -> trio.Nursery:
    """The nursery that the test itself runs in."""
    nursery = trio.lowlevel.current_task().parent_nursery
    assert nursery is not None
    return nursery


async def fails(dispatcher: Dispatcher, plugin: str = "p") -> HookFault:
    with pytest.raises(HookFault) as caught:
        await dispatcher.route(plugin, None, SPEC.register_runner, runner=RUNNER)
    return caught.value
