"""Breakers, plugins that are not ready, plain functions in threads, and mailboxes."""

from __future__ import annotations

import gc
import threading
from typing import TYPE_CHECKING, Any

import pytest
import trio
from tests.dispatch.toys import RUNNER, does, fails, hooks

from scaler.errors import Busy, HookFault, NoRoom, Outcome, Refused, Unavailable
from scaler.hooks import SPEC, hookimpl
from scaler.records import (
    Finding,
    Message,
    Registration,
    Room,
    Runner,
)

if TYPE_CHECKING:
    pass


async def test_five_faults_in_a_row_open_the_breaker(autojump_clock: object) -> None:
    plugin = does(ValueError())
    dispatcher, _ = hooks(p=plugin, q=does([Room(name="a")]))
    for _ in range(5):
        await fails(dispatcher)
    with pytest.raises(Unavailable, match="left alone") as caught:
        await dispatcher.route("p", None, SPEC.register_runner, runner=RUNNER)
    assert caught.value.retry_after == pytest.approx(60)
    assert plugin.calls == 5
    # that hook of that plugin, and no other
    with pytest.raises(HookFault):
        await dispatcher.route("p", None, SPEC.unregister_runner, runner=RUNNER)
    assert "q" in (await dispatcher.gather(SPEC.capacity)).answers
    await trio.sleep(59.9)
    with pytest.raises(Unavailable):
        await dispatcher.route("p", None, SPEC.register_runner, runner=RUNNER)
    await trio.sleep(0.2)
    await fails(dispatcher)  # it may try once, and is left alone again
    with pytest.raises(Unavailable):
        await dispatcher.route("p", None, SPEC.register_runner, runner=RUNNER)
    await trio.sleep(60.1)
    plugin.do = does(Registration(name="x")).do
    await dispatcher.route("p", None, SPEC.register_runner, runner=RUNNER)
    plugin.do = does(ValueError()).do
    for _ in range(5):  # counted from the start again
        await fails(dispatcher)
    with pytest.raises(Unavailable):
        await dispatcher.route("p", None, SPEC.register_runner, runner=RUNNER)


async def test_expected_outcomes_are_never_counted() -> None:
    plugin = does(Busy())
    dispatcher, faults = hooks(p=plugin)
    said: list[Outcome] = [Busy(), NoRoom(), Unavailable("x"), Refused("x")]
    for outcome in said * 3:
        plugin.do = does(outcome).do
        with pytest.raises(type(outcome)):
            await dispatcher.route("p", None, SPEC.register_runner, runner=RUNNER)
    plugin.do = does(ValueError()).do
    for _ in range(4):
        await fails(dispatcher)
    plugin.do = does(Busy()).do
    with pytest.raises(Busy):  # it answered: faults are not in a row any more
        await dispatcher.route("p", None, SPEC.register_runner, runner=RUNNER)
    plugin.do = does(ValueError()).do
    for _ in range(5):
        await fails(dispatcher)
    assert len(faults) == 9


async def test_cleaning_up_is_never_left_alone() -> None:
    dispatcher, _ = hooks(p=does(ValueError()))
    for _ in range(20):
        with pytest.raises(HookFault):
            await dispatcher.route("p", None, SPEC.unregister_runner, runner=RUNNER)


async def test_a_plugin_that_has_not_started_is_unavailable() -> None:
    plugin = does(Registration(name="x"))
    dispatcher, faults = hooks(p=plugin)
    dispatcher.set_ready("p", False)
    for _ in range(6):
        with pytest.raises(Unavailable, match="p has not started yet"):
            await dispatcher.route("p", None, SPEC.register_runner, runner=RUNNER)
    assert isinstance((await dispatcher.gather(SPEC.capacity)).failures["p"], Unavailable)
    assert plugin.calls == 0
    assert faults == []
    dispatcher.set_ready("p", True)
    await dispatcher.route("p", None, SPEC.register_runner, runner=RUNNER)


# --- plain functions


async def test_plain_functions_run_in_a_thread_one_at_a_time() -> None:
    inside = 0
    most = 0
    threads: set[int] = set()

    class Plain:
        @hookimpl
        def check(self) -> list[Finding]:
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            threads.add(threading.get_ident())
            threading.Event().wait(0.005)
            inside -= 1
            return [Finding(ok=True, text="well")]

    dispatcher, _ = hooks(p=Plain())
    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(dispatcher.gather, SPEC.check)
    assert most == 1
    assert threading.get_ident() not in threads


async def test_a_hung_function_blocks_nobody() -> None:
    release = threading.Event()

    class Plain:
        @hookimpl
        def unregister_runner(self, runner: Runner) -> None:
            release.wait(10)

    dispatcher, _ = hooks(p=Plain(), q=does([Room(name="a")]))
    try:
        with pytest.raises(HookFault, match="took longer"):
            await dispatcher.route("p", 0.02, SPEC.unregister_runner, runner=RUNNER)
        with pytest.raises(HookFault, match="took longer"):  # it waits for its own thread
            await dispatcher.route("p", 0.02, SPEC.unregister_runner, runner=RUNNER)
        assert (await dispatcher.gather(SPEC.capacity)).answers["q"]
    finally:
        release.set()


async def test_no_coroutine_is_left_unawaited() -> None:
    class Sly:
        @hookimpl
        def capacity(self) -> Any:
            """A plain function, and its answer has to be awaited."""
            return does([Room(name="a")]).do()

    dispatcher, _ = hooks(p=Sly(), q=does([Room(name="b")]))
    assert (await dispatcher.gather(SPEC.capacity)).answers == {
        "p": [Room(name="a")],
        "q": [Room(name="b")],
    }
    dispatcher.set_ready("q", False)
    await dispatcher.gather(SPEC.capacity)
    gc.collect()  # a warning here is an error


# --- tell


class Listens:
    def __init__(self, wait: float = 0.0, *, raising: bool = False) -> None:
        self.heard: list[str] = []
        self.wait = wait
        self.raising = raising

    @hookimpl
    async def on_message(self, message: Message) -> None:
        self.heard.append(message.id)
        await trio.sleep(self.wait)
        if self.raising:
            raise ValueError(message.id)


async def test_what_is_told_comes_in_order_and_nobody_waits(autojump_clock: object) -> None:
    slow, broken, quick = Listens(4), Listens(raising=True), Listens()
    dispatcher, faults = hooks(slow=slow, broken=broken, quick=quick)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(dispatcher.run_mailboxes)
        began = trio.current_time()
        for number in range(8):
            dispatcher.tell(SPEC.on_message, message=Message(id=str(number), profile=None))
        assert trio.current_time() == began
        await trio.sleep(0.5)
        assert quick.heard == list("01234567")
        assert slow.heard == ["0"]
        assert broken.heard == list("01234")  # then it is left alone
        await dispatcher.drain_mailboxes()
        assert slow.heard == list("01234567")
        assert trio.current_time() - began == pytest.approx(32, abs=1)
        nursery.cancel_scope.cancel()
    assert {fault.plugin for fault in faults} == {"broken"}


async def test_the_oldest_are_dropped_and_counted(autojump_clock: object) -> None:
    plugin, other = Listens(), Listens()
    dispatcher, faults = hooks(p=plugin, q=other)
    for number in range(2500):
        dispatcher.tell(SPEC.on_message, message=Message(id=str(number), profile=None))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(dispatcher.run_mailboxes)
        await dispatcher.drain_mailboxes()
        nursery.cancel_scope.cancel()
    assert plugin.heard == other.heard == [str(number) for number in range(1500, 2500)]
    texts = [fault.text for fault in faults if fault.plugin == "p"]
    assert texts == [
        "reads too slowly: 1 notifications dropped",
        "reads too slowly: 1000 notifications dropped",
    ]
