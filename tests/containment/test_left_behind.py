"""What scaler does about calls that go on although they were cancelled, and threads that hang."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing
from tests.containment import misdeeds
from tests.dispatch.toys import RUNNER, around

from scaler.dispatch import Dispatcher, open_calls
from scaler.dispatch.driving import Rein
from scaler.errors import HookFault, Unavailable
from scaler.hooks import SPEC, hookimpl
from scaler.loading import register
from scaler.records import Registration, Room, Runner

if TYPE_CHECKING:
    from tests.containment.conftest import Scene


async def destroy(scene: Scene, number: int) -> None:
    runner = replace(RUNNER, id=number)
    await scene.hooks.route("bad", None, SPEC.destroy_runner, runner=runner)


async def test_c42_one_runner_that_is_stuck_keeps_no_other(
    scene: Scene, autojump_clock: object
) -> None:
    scene.bad.do = misdeeds.swallows
    with pytest.raises(HookFault, match="goes on"):
        await destroy(scene, 1)
    with pytest.raises(Unavailable, match="not called again beside that"):
        await destroy(scene, 1)
    for number in range(2, 20):
        with pytest.raises(HookFault, match="goes on"):
            await destroy(scene, number)

    async def well() -> None:
        return None

    scene.bad.do = well
    await destroy(scene, 30)


async def test_c42_a_plugin_with_eight_calls_left_behind_is_left_alone(
    scene: Scene, autojump_clock: object
) -> None:
    scene.bad.do = misdeeds.swallows
    for number in range(8):
        with pytest.raises(HookFault, match="goes on"):
            await destroy(scene, number)
    failure = (await scene.hooks.gather(SPEC.capacity)).failures["bad"]
    assert isinstance(failure, Unavailable)
    assert "bad is left alone" in str(failure)
    assert "destroy_runner at " in str(failure)
    await scene.well()
    scene.hooks.release()
    await trio.testing.wait_all_tasks_blocked()
    assert scene.hooks.given_up() == []
    gathered = await scene.hooks.gather(SPEC.capacity)
    assert isinstance(gathered.failures["bad"], HookFault)  # it is asked again


async def test_c42_what_tidies_up_for_long_may_finish(scene: Scene, autojump_clock: object) -> None:
    tidied: list[float] = []

    async def slow() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                for _ in range(200):
                    with trio.move_on_after(0.1):
                        await trio.sleep(1)
            tidied.append(trio.current_time())

    scene.bad.do = slow
    with pytest.raises(HookFault, match="goes on"):
        await destroy(scene, 1)
    assert trio.current_time() == pytest.approx(130, abs=0.1)
    assert tidied == []
    await trio.sleep(30)
    assert tidied == [pytest.approx(140, abs=0.5)]
    assert scene.hooks.given_up() == []
    with pytest.raises(HookFault):  # it is called again
        await destroy(scene, 1)
    await trio.sleep(30)


async def test_c42_letters_go_on_with_another_reader(scene: Scene, autojump_clock: object) -> None:
    scene.bad.do = misdeeds.swallows_below
    await scene.ask("tell")

    async def well() -> None:
        heard.append(trio.current_time())

    heard: list[float] = []
    scene.bad.do = well
    for _ in range(3):
        await scene.ask("tell")
    assert len(heard) == 3
    assert scene.good.heard == ["m"] * 4


@pytest.mark.parametrize("misdeed", misdeeds.STUCK)
async def test_c42_whoever_is_cancelled_goes_on_too(
    scene: Scene, autojump_clock: object, misdeed: str
) -> None:
    scene.bad.do = misdeeds.STUCK[misdeed]
    with trio.move_on_after(3), suppress(HookFault):
        await destroy(scene, 1)
    assert trio.current_time() <= 13.1
    assert "goes on" in scene.faults[0].text


async def test_a_shield_of_the_callers_holds_for_the_call(autojump_clock: object) -> None:
    ended: list[str] = []

    class Plugin:
        @hookimpl
        async def destroy_runner(self, runner: Runner) -> None:
            await trio.sleep(5)
            ended.append(runner.name)

    with trio.move_on_after(1):
        async with open_calls() as calls:
            dispatcher = Dispatcher(register({"p": Plugin()}), calls)
            with trio.CancelScope(shield=True):
                await dispatcher.route("p", None, SPEC.destroy_runner, runner=RUNNER)
    assert ended == [RUNNER.name]


async def test_a_call_knows_its_deadline(autojump_clock: object) -> None:
    seen: list[float] = []

    class Plugin:
        @hookimpl
        async def destroy_runner(self, runner: Runner) -> None:
            seen.append(trio.current_effective_deadline() - trio.current_time())

    dispatcher = Dispatcher(register({"p": Plugin()}), around())
    await dispatcher.route("p", None, SPEC.destroy_runner, runner=RUNNER)
    with trio.fail_after(7):
        await dispatcher.route("p", None, SPEC.destroy_runner, runner=RUNNER)
    assert seen == [pytest.approx(120), pytest.approx(7)]


async def test_trio_lets_a_task_be_driven() -> None:
    """Not promised by trio: `task.coro` can be set."""

    async def swallow() -> None:
        while True:
            with suppress(BaseException):
                await trio.sleep(1)

    async with trio.open_nursery() as nursery:
        held = trio.Event()
        nursery.start_soon(swallow)
        rein = Rein(held.set, lambda _task: None)
        (task,) = nursery.child_tasks
        rein.take(task)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await held.wait()
        assert rein.holding
        rein.release()


async def test_c41_a_thread_that_hangs_is_named_to_the_others(autojump_clock: object) -> None:
    release = threading.Event()

    class Plain:
        @hookimpl
        def destroy_runner(self, runner: Runner) -> None:
            release.wait(20)

        @hookimpl
        def capacity(self) -> list[Room]:
            return [Room(name="a")]

        @hookimpl
        async def register_runner(self, runner: Runner) -> Registration:
            return Registration(name=runner.name, ref="1")

    faults: list[HookFault] = []
    dispatcher = Dispatcher(register({"p": Plain()}), around(), faults.append)
    try:
        with pytest.raises(HookFault, match="took longer than 120 s"):
            await dispatcher.route("p", None, SPEC.destroy_runner, runner=RUNNER)
        await trio.sleep(31)
        for _ in range(10):  # and it is not counted against the others
            failure = (await dispatcher.gather(SPEC.capacity)).failures["p"]
            assert str(failure) == "has not come back from destroy_runner since 151 s"
        await dispatcher.route("p", None, SPEC.register_runner, runner=RUNNER)
        assert len(faults) == 1
    finally:
        release.set()
    while True:  # it is back, and all is well
        if (await dispatcher.gather(SPEC.capacity)).answers:
            break
        await trio.sleep(0.01)
