"""A whole scaler beside a plugin that does what it should not."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import trio
from tests.engine.conftest import World, in_loop, world

from scaler.hooks import hookimpl
from scaler.ledger import Ledger

if TYPE_CHECKING:
    from scaler.context import Context
    from scaler.records import Job

__all__ = ["in_loop", "world"]


async def test_c42_a_machine_that_is_made_late_is_removed(
    world: World, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    """The call was given up long ago, and its runner is gone."""
    made: list[int] = []

    provisioner: Any = world.plugins["vm"]

    class Slow(provisioner):  # type: ignore[misc]
        @hookimpl
        async def provision_runner(self, runner: Any, registration: Any) -> Any:
            if runner.id != 1:
                return await super().provision_runner(runner, registration)
            with trio.CancelScope(shield=True):
                await trio.sleep(600)
            made.append(runner.id)
            return await super().provision_runner(runner, registration)

    world.plugins["vm"] = Slow
    async with world.running():
        await world.deliver(1)
        await world.until(lambda: world.states().get(2) == "booting", 400)
        assert 1 not in world.states()
        assert "vm.provision_runner: took longer than " in caplog.text
        assert "was cancelled and goes on at" in caplog.text
        world.online(2)
        await world.until(lambda: bool(made), 400)
        await world.until(lambda: 1 in world.machines, 10)
        await world.until(lambda: 1 not in world.machines, 300)
        assert 2 in world.machines


@pytest.mark.parametrize("rubbish", [None, "text", 7, object(), [object()], {"profile": 1}])
async def test_c43_rubbish_given_upwards_harms_nobody_else(
    world: World, autojump_clock: object, rubbish: Any
) -> None:
    async with world.running():
        context = world.contexts["queue"]
        for give in (context.registration_changed, context.machine_changed, context.match):
            with suppress(Exception):
                give(rubbish)
        for ask in (context.deliver, context.load):
            with suppress(Exception):
                await ask(rubbish)
        await world.deliver(1)
        await world.until(lambda: list(world.states().values()) == ["booting"], 10)


async def test_c40_a_plugin_that_fails_everywhere_is_named_and_the_rest_works(
    world: World, autojump_clock: object
) -> None:
    class Bad:
        def __init__(self, context: Context[Any, Any]) -> None:
            pass

        @hookimpl
        async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
            raise SystemExit(3)

        @hookimpl
        async def on_job_available(self, job: Job) -> None:
            raise BaseException("no")

        @hookimpl
        async def capacity(self) -> Any:
            return "lots"

    world.plugins["bad"] = Bad
    async with world.running():
        await world.deliver(1)
        await world.until(lambda: list(world.states().values()) == ["booting"], 30)
        assert ("bad", "run_service") in world.engine.state.faults


async def test_c42_a_service_that_is_starting_ends_before_the_ledger_is_closed(
    world: World, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []

    class Slow:
        def __init__(self, context: Context[Any, Any]) -> None:
            pass

        @hookimpl
        async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(0.5)
                ended.append("tidied")

    async def close(ledger: Ledger) -> None:
        ended.append("closed")
        await closed(ledger)

    closed = Ledger.close
    monkeypatch.setattr(Ledger, "close", close)
    world.plugins["slow"] = Slow
    async with world.running(crash=True):
        await trio.sleep(1)
    assert ended == ["tidied", "closed"]
