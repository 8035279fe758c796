"""A dispatcher over one plugin that misbehaves and one that does not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import trio
from tests.dispatch.toys import JOB, REQUEST, RUNNER

from scaler.dispatch import Dispatcher, open_calls
from scaler.errors import HookFault, Outcome
from scaler.hooks import SPEC, hookimpl
from scaler.loading import register
from scaler.records import (
    Decline,
    Job,
    Message,
    Registration,
    Room,
    Runner,
    Selection,
    SelectionRequest,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


class Plugin:
    """Does the same in every hook."""

    def __init__(self, do: Callable[[], Awaitable[Any]]) -> None:
        self.do = do

    @hookimpl
    async def register_runner(self, runner: Runner) -> Registration:
        answer: Registration = await self.do()
        return answer

    @hookimpl
    async def destroy_runner(self, runner: Runner) -> None:
        await self.do()

    @hookimpl
    async def capacity(self) -> list[Room]:
        answer: list[Room] = await self.do()
        return answer

    @hookimpl
    async def on_job_available(self, job: Job) -> Decline | None:
        answer: Decline | None = await self.do()
        return answer

    @hookimpl
    async def select_runner(self, request: SelectionRequest) -> Selection | None:
        answer: Selection | None = await self.do()
        return answer

    @hookimpl
    async def on_message(self, message: Message) -> None:
        await self.do()


class Good:
    """Answers at once."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    @hookimpl
    async def register_runner(self, runner: Runner) -> Registration:
        return Registration(name=runner.name, ref="1")

    @hookimpl
    async def capacity(self) -> list[Room]:
        return [Room(name="good")]

    @hookimpl
    async def on_message(self, message: Message) -> None:
        self.heard.append(message.id)


@dataclass
class Scene:
    """What is asked of the two, by each way of asking."""

    hooks: Dispatcher
    good: Good
    bad: Plugin
    faults: list[HookFault] = field(default_factory=list)

    async def ask(self, way: str) -> Any:
        """Ask both of them; an error is answered, not raised."""
        hooks = self.hooks
        try:
            if way == "route":
                return await hooks.route("bad", None, SPEC.register_runner, runner=RUNNER)
            if way == "ask":
                return await hooks.ask(SPEC.select_runner, request=REQUEST)
            if way == "vote":
                return await hooks.vote(SPEC.on_job_available, job=JOB)
            if way == "gather":
                return await hooks.gather(SPEC.capacity)
            hooks.tell(SPEC.on_message, message=Message(id="m", profile=None))
            await hooks.drain_mailboxes()
        except (HookFault, Outcome) as error:
            return error
        return None

    async def well(self) -> None:
        """The other plugin is called as if nothing were."""
        answer = await self.hooks.route("good", None, SPEC.register_runner, runner=RUNNER)
        assert answer.ref == "1"


HOOKS = {
    "route": "register_runner",
    "ask": "select_runner",
    "vote": "on_job_available",
    "gather": "capacity",
    "tell": "on_message",
}


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async def nothing() -> None:
        return None

    good, bad = Good(), Plugin(nothing)
    faults: list[HookFault] = []
    async with open_calls() as calls:
        hooks = Dispatcher(register({"bad": bad, "good": good}), calls, faults.append)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hooks.run_mailboxes)
            yield Scene(hooks, good, bad, faults)
            nursery.cancel_scope.cancel()
        hooks.release()
