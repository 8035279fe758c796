"""A service may do what it likes: it is named, left where it does not end, and holds nothing up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio
from tests.containment import misdeeds

from scaler.dispatch import Dispatcher, HookCall, open_calls
from scaler.hooks import hookimpl
from scaler.loading import register
from scaler.services import Services

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Plugin:
    def __init__(self, do: Callable[[], Awaitable[Any]], *, started: bool = True) -> None:
        self.do = do
        self.started = started
        self.began: list[float] = []

    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        self.began.append(trio.current_time())
        if self.started:
            task_status.started()
        await self.do()


class Run:
    """Runs one service for some time, and keeps what was told of it."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.calls: list[HookCall] = []
        self.took = 0.0

    async def run(
        self, plugin: Plugin, seconds: float, then: Callable[[], None] = lambda: None
    ) -> None:
        async with open_calls() as calls:
            hooks = Dispatcher(register({"bad": plugin}), calls, trace=self.calls.append)
            services = Services(
                hooks,
                lambda name, text: self.told.append((name, text)),
                lambda _name: None,
                trio.Event(),
            )
            async with trio.open_nursery() as nursery:
                await nursery.start(services.run)
                await trio.sleep(seconds)
                began = trio.current_time()
                nursery.cancel_scope.cancel()
            self.took = trio.current_time() - began
            then()
            hooks.release()


@pytest.mark.parametrize("misdeed", misdeeds.ERRORS)
async def test_c40_a_service_that_raises_anything_is_started_again(
    autojump_clock: object, misdeed: str
) -> None:
    run, plugin = Run(), Plugin(misdeeds.ERRORS[misdeed])
    await run.run(plugin, 10)
    assert len(plugin.began) >= 3
    assert run.told[0][0] == "bad"
    assert "its service failed, next try in 1 s" in run.told[0][1]


@pytest.mark.parametrize("misdeed", ["swallows", "swallows in children"])
async def test_c42_a_service_that_does_not_stop_is_left(
    autojump_clock: object, misdeed: str
) -> None:
    run = Run()
    await run.run(Plugin(misdeeds.STUCK[misdeed]), 10)
    assert run.took <= 10.1
    ((name, text),) = run.told
    assert name == "bad"
    assert "was cancelled and goes on at" in text


async def test_c42_a_service_that_does_not_start_is_not_started_beside_itself(
    autojump_clock: object,
) -> None:
    run, plugin = Run(), Plugin(misdeeds.swallows, started=False)
    await run.run(plugin, 1000)
    assert len(plugin.began) == 1
    assert "no next try beside that" in run.told[0][1]


async def test_c42_a_service_that_fails_beside_a_child_that_swallows(
    autojump_clock: object,
) -> None:
    async def fails() -> None:
        async with trio.open_nursery() as nursery:

            async def child() -> None:
                while True:
                    try:
                        await trio.sleep(1)
                    except BaseException:
                        with trio.move_on_after(0.1, shield=True):  # (lets a clock jump)
                            await trio.sleep(1)

            nursery.start_soon(child)
            await trio.sleep(1)
            raise ValueError("lost it")

    run, plugin = Run(), Plugin(fails)
    await run.run(plugin, 100)
    assert len(plugin.began) == 1
    assert "no next try beside that" in run.told[0][1]


async def test_a_service_is_followed_when_it_is_ready_and_when_it_ends(
    autojump_clock: object,
) -> None:
    run = Run()

    async def ends() -> None:
        await trio.sleep(5)

    await run.run(Plugin(ends), 10)
    assert [(call.outcome, call.text) for call in run.calls] == [
        ("answered", "ready"),
        ("answered", ""),
    ]
    assert [call.hook for call in run.calls] == ["run_service"] * 2


@pytest.mark.parametrize("started", [True, False], ids=["started", "starting"])
async def test_c42_a_service_is_cancelled_with_whoever_runs_services(
    autojump_clock: object, started: bool
) -> None:
    ended: list[str] = []

    async def tidies() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(3)
            ended.append("tidied")

    run = Run()
    await run.run(Plugin(tidies, started=started), 1, lambda: ended.append("nobody depends on it"))
    assert ended == ["tidied", "nobody depends on it"]
    assert run.told == []


async def test_c42_a_service_that_is_starting_and_does_not_stop_is_named(
    autojump_clock: object,
) -> None:
    run = Run()
    await run.run(Plugin(misdeeds.swallows, started=False), 1)
    assert run.took <= 10.1
    assert "was cancelled and goes on at" in run.told[0][1]
