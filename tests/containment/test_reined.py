"""What goes on after it was cancelled is held where nothing wakes it, with all that it begins."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import pytest
import trio
import trio.testing
from tests.containment import misdeeds
from tests.containment.test_left_behind import destroy
from tests.dispatch.toys import RUNNER

from scaler.dispatch import Dispatcher, driving, open_calls, part, turns
from scaler.dispatch.driving import Rein, where
from scaler.dispatch.turns import HangingError, Turns
from scaler.errors import HookFault
from scaler.hooks import SPEC, hookimpl
from scaler.loading import register
from scaler.records import Message, Runner

if TYPE_CHECKING:
    from pathlib import Path

    from tests.containment.conftest import Scene


async def test_c42_a_reader_that_was_late_once_is_as_any_other(
    scene: Scene, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driving, "STEPS", 50)

    async def tidies() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(3)

    async def well() -> None:
        heard.append(trio.current_time())
        for _ in range(5):
            await trio.lowlevel.checkpoint()

    heard: list[float] = []
    scene.bad.do = tidies
    await scene.ask("tell")
    scene.bad.do = well
    for _ in range(100):
        scene.hooks.tell(SPEC.on_message, message=Message(id="m", profile=None))
    await scene.hooks.drain_mailboxes()
    assert len(heard) == 100
    assert [fault.text for fault in scene.faults] == ["took longer than 10 s"]
    assert scene.hooks.given_up() == []


async def test_c42_what_is_begun_late_is_held_too(scene: Scene, autojump_clock: object) -> None:
    begun: list[float] = []

    async def late() -> None:
        with suppress(BaseException):
            await trio.sleep_forever()
        with trio.move_on_after(0.5, shield=True):
            await trio.sleep(9)
        async with trio.open_nursery() as nursery:
            begun.append(trio.current_time())
            nursery.start_soon(misdeeds.swallows)
            nursery.start_soon(misdeeds.swallows_below)

    scene.bad.do = late
    used = time.process_time()
    with pytest.raises(HookFault, match="goes on"):
        await destroy(scene, 1)
    assert begun == [pytest.approx(120.5)]
    await trio.testing.wait_all_tasks_blocked()  # (else it spins, and the clock stands)
    await trio.sleep(1000)
    assert time.process_time() - used < 2
    scene.hooks.release()
    await trio.testing.wait_all_tasks_blocked()
    assert scene.hooks.given_up() == []


@pytest.mark.parametrize("shielded", [False, True], ids=["swallows", "shielded"])
async def test_c42_what_a_released_task_waited_for_comes_all_the_same(
    autojump_clock: object, monkeypatch: pytest.MonkeyPatch, shielded: bool
) -> None:
    monkeypatch.setattr(driving, "STEPS", 500)
    event, lot = trio.Event(), trio.lowlevel.ParkingLot()

    async def waits() -> None:
        with trio.CancelScope(shield=shielded):
            while True:
                with suppress(BaseException):
                    await event.wait()
                with suppress(BaseException):
                    await lot.park()

    async with trio.open_nursery() as nursery:
        held = trio.Event()
        gone: list[trio.lowlevel.Task] = []
        nursery.start_soon(waits)
        (task,) = nursery.child_tasks
        rein = Rein(held.set, gone.append)
        rein.take(task)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            if shielded:
                event.set()
            while not held.is_set():
                lot.unpark_all()
                await trio.lowlevel.checkpoint()
            assert rein.holding
            lot.unpark_all()
            assert event.statistics().tasks_waiting == lot.statistics().tasks_waiting == 0
            rein.release()
            event.set()
            lot.unpark_all()
            await trio.testing.wait_all_tasks_blocked()
        assert gone == [task]
        assert not rein.holding
    assert task not in nursery.child_tasks


async def test_c42_what_is_held_after_the_release_ends_too(
    scene: Scene, autojump_clock: object
) -> None:
    async def later() -> None:
        with trio.move_on_after(130, shield=True):
            await trio.sleep_forever()
        await misdeeds.swallows()

    scene.bad.do = later
    with pytest.raises(HookFault, match="goes on"):
        await destroy(scene, 1)
    scene.hooks.release()
    assert len(scene.hooks.given_up()) == 1
    await trio.sleep(1)
    assert trio.current_time() >= 131
    assert scene.hooks.given_up() == []


class Destroys:
    """Its `destroy_runner` does what a test says, once it is cancelled."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    @hookimpl
    async def destroy_runner(self, runner: Runner) -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(self.seconds)


@pytest.mark.parametrize(("seconds", "stuck"), [(14, False), (20, False), (60, True)])
async def test_c42_who_tidies_up_has_time_for_it_at_the_end(
    autojump_clock: object, seconds: float, stuck: bool
) -> None:
    told: list[object] = []
    async with open_calls() as calls:
        hooks = Dispatcher(register({"p": Destroys(seconds)}), calls)
        with trio.move_on_after(1):
            await hooks.route("p", None, SPEC.destroy_runner, runner=RUNNER)
        assert trio.current_time() == pytest.approx(11, abs=0.1)
        await part(hooks, told.append)
        assert trio.current_time() == pytest.approx(min(1 + seconds, 27), abs=0.2)
    assert bool(told) == stuck


async def test_c42_what_is_held_for_good_is_told_at_once(autojump_clock: object) -> None:
    @dataclass
    class Held:
        """A dispatcher with one call that waits in a nursery of its own."""

        released: bool = False

        def release(self) -> None:
            self.released = True

        def working(self) -> bool:
            return False

        def given_up(self) -> list[str]:
            return ["p.destroy_runner"]

    told: list[object] = []
    await part(cast("Dispatcher", Held()), told.append)
    assert told == [["p.destroy_runner"]]
    assert trio.current_time() == 0


async def test_c42_a_task_with_a_nursery_is_held_for_good(autojump_clock: object) -> None:
    async def spins() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            while not ending:
                with suppress(BaseException):
                    await trio.sleep(1)

    ending: list[str] = []
    async with trio.open_nursery() as nursery:
        held = trio.Event()
        nursery.start_soon(spins)
        (task,) = nursery.child_tasks
        rein = Rein(held.set, lambda _task: None)
        rein.take(task)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await held.wait()
            rein.release()
            await trio.sleep(1)
            assert rein.holding
            assert task in nursery.child_tasks
        # only now that it was seen: by hand, what nothing else could do
        ending.append("now")
        task.coro = rein._held.pop(task)
        trio.lowlevel.reschedule(task)


async def test_c41_letters_that_wait_for_a_thread_do_not_begin_its_time_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "HANGING", 0.5)
    mine, release = Turns(), threading.Event()
    waited = 0
    try:
        with trio.fail_after(5):
            while True:  # one task, as a mailbox's reader is
                with trio.move_on_after(0.2):
                    try:
                        await mine.run("on_message", lambda: release.wait(20))
                    except HangingError:
                        break
                waited += 1
    finally:
        release.set()
    assert 3 <= waited <= 5


async def test_a_plugin_below_a_folder_named_trio_has_its_place(tmp_path: Path) -> None:
    (tmp_path / "trio").mkdir()
    file = tmp_path / "trio" / "plug.py"
    code = "import trio\nasync def hook():\n    await trio.sleep_forever()\n"
    file.write_text(code)
    found: dict[str, object] = {}
    exec(compile(code, str(file), "exec"), found)
    coroutine = found["hook"]()  # type: ignore[operator]

    async def wait() -> None:
        await coroutine

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        assert where(coroutine) == f"{file}:3"
        nursery.cancel_scope.cancel()
