"""Hooks are delivered as their contract says, whatever a plugin does."""

from __future__ import annotations

import logging
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import trio
from tests.dispatch.toys import JOB, REQUEST, RUNNER, Does, does, fails, hooks

from scaler.dispatch import Dispatcher
from scaler.errors import Busy, HookFault, NoRoom, Refused, Unavailable
from scaler.hooks import SPEC, hookimpl
from scaler.loading import register
from scaler.records import (
    Decline,
    Machine,
    Message,
    Registration,
    Room,
    Selection,
    SelectionRequest,
)

if TYPE_CHECKING:
    pass

# --- who and in what order


async def test_the_order_given_is_the_order_of_everything() -> None:
    said: list[str] = []

    class Plugin:
        def __init__(self, name: str) -> None:
            self.name = name

        @hookimpl
        async def select_runner(self, request: SelectionRequest) -> None:
            said.append(self.name)

        @hookimpl
        async def capacity(self) -> list[Room]:
            await trio.lowlevel.checkpoint()
            return [Room(name=self.name)]

    names = ["one", "two", "three", "four"]
    dispatcher, _ = hooks(**{name: Plugin(name) for name in names})
    assert dispatcher.implementers(SPEC.select_runner) == names
    assert await dispatcher.ask(SPEC.select_runner, request=REQUEST) is None
    assert said == names
    assert dispatcher.implementers(SPEC.screenshot) == []


async def test_fewer_arguments_than_declared_are_fine() -> None:
    class Plugin:
        @hookimpl
        async def unregister_runner(self) -> None:
            raise Busy

    with pytest.raises(Busy):
        await hooks(p=Plugin())[0].route("p", None, SPEC.unregister_runner, runner=RUNNER)


async def test_nobody_there_costs_nothing_and_says_nothing() -> None:
    dispatcher, faults = hooks()
    assert await dispatcher.ask(SPEC.select_runner, request=REQUEST) is None
    assert await dispatcher.vote(SPEC.on_job_available, job=JOB) == []
    assert (await dispatcher.gather(SPEC.capacity)).answers == {}
    dispatcher.tell(SPEC.on_message, message=Message(id="1", profile=None))
    await dispatcher.drain_mailboxes()
    with pytest.raises(Unavailable, match="no plugin p with register_runner"):
        await dispatcher.route("p", None, SPEC.register_runner, runner=RUNNER)
    assert faults == []


# --- the kinds


async def test_gather_keeps_every_answer_and_failure(autojump_clock: object) -> None:
    dispatcher, faults = hooks(
        well=does([Room(name="a")], after=3),
        broken=does(ValueError("no")),
        slow=does([], after=11),
        away=does(Unavailable("gone fishing", 5)),
        none=does(None),
    )
    began = trio.current_time()
    gathered = await dispatcher.gather(SPEC.capacity)
    assert trio.current_time() - began == pytest.approx(10)  # all at once
    assert gathered.answers == {"well": [Room(name="a")]}
    assert set(gathered.failures) == {"broken", "slow", "away", "none"}
    assert isinstance(gathered.failures["away"], Unavailable)
    assert sorted(fault.plugin for fault in faults) == ["broken", "none", "slow"]


async def test_vote_takes_failures_as_no_objection(autojump_clock: object) -> None:
    dispatcher, _ = hooks(
        yes=does(None),
        no=does(Decline(reason="frozen")),
        broken=does(RuntimeError()),
        slow=does(Decline(reason="too late"), after=6),
        wrong=does("nonsense"),
    )
    objections = await dispatcher.vote(SPEC.on_job_available, job=JOB)
    assert objections == [("no", Decline(reason="frozen"))]


async def test_ask_ends_with_the_first_answer_and_an_error_is_a_no(autojump_clock: object) -> None:
    chosen = Selection(profile="linux")
    last = does(chosen)
    dispatcher, _ = hooks(not_mine=does(None), mine=does(chosen), late=last)
    assert await dispatcher.ask(SPEC.select_runner, request=REQUEST) == ("mine", chosen)
    assert last.calls == 0
    errors = [ValueError("x"), Busy(), Refused("artifact-too-old")]
    for error in errors:
        dispatcher, _ = hooks(p=does(error), late=last)
        with pytest.raises(Refused) as caught:
            await dispatcher.ask(SPEC.select_runner, request=REQUEST)
        expected = "artifact-too-old" if isinstance(error, Refused) else "selector-failed"
        assert caught.value.code == expected
    dispatcher, _ = hooks(p=does(chosen, after=16), late=last)
    with pytest.raises(Refused, match="p could not decide"):
        await dispatcher.ask(SPEC.select_runner, request=REQUEST)
    dispatcher, _ = hooks(p=does(Unavailable("x", 7.0)), late=last)
    with pytest.raises(Unavailable) as later:  # a no, for the moment
        await dispatcher.ask(SPEC.select_runner, request=REQUEST)
    assert later.value.retry_after == 7
    dispatcher.set_ready("p", False)
    with pytest.raises(Unavailable, match="not started"):
        await dispatcher.ask(SPEC.select_runner, request=REQUEST)
    assert last.calls == 0


async def test_route_asks_exactly_one() -> None:
    other = does(Registration(name="other"))
    dispatcher, _ = hooks(other=other, p=does(Registration(name="mine")))
    answer = await dispatcher.route("p", None, SPEC.register_runner, runner=RUNNER)
    assert answer.name == "mine"
    assert other.calls == 0


# --- failures


async def test_a_fault_names_plugin_and_hook(caplog: pytest.LogCaptureFixture) -> None:
    dispatcher, faults = hooks(p=does(ValueError("no such thing")))
    fault = await fails(dispatcher)
    assert (fault.plugin, fault.hook) == ("p", "register_runner")
    assert str(fault) == "p.register_runner: raised ValueError: no such thing"
    assert faults == [fault]
    [record] = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert (record.__dict__["plugin"], record.__dict__["hook"]) == ("p", "register_runner")
    assert record.exc_info  # with the traceback, so that its author can mend it


async def test_a_deadline_that_passed_is_a_fault(autojump_clock: object) -> None:
    dispatcher, _ = hooks(p=does(Registration(name="x"), after=61))
    assert "took longer than 60 s" in str(await fails(dispatcher))
    with pytest.raises(HookFault, match="took longer than 5 s"):
        await dispatcher.route("p", 5, SPEC.register_runner, runner=RUNNER)
    assert trio.current_time() == pytest.approx(65, abs=1)


async def test_an_answer_after_the_deadline_is_not_believed(autojump_clock: object) -> None:
    """C42: cancelled, it goes on, and answers in the end."""

    async def stubborn() -> Registration:
        with suppress(trio.Cancelled):
            await trio.sleep(1000)
        return Registration(name="x")

    dispatcher, _ = hooks(p=Does(stubborn))
    assert "took longer than 60 s" in str(await fails(dispatcher))


@pytest.mark.parametrize(
    "answer", [None, "text", Machine(runner=1, id="m"), [Registration(name="x")]]
)
async def test_a_wrong_type_is_a_fault(answer: object) -> None:
    dispatcher, _ = hooks(p=does(answer))
    assert "wanted Registration" in str(await fails(dispatcher))


@pytest.mark.parametrize("answer", [None, "ab", {"a": 1}, [Room(name="a"), "b"], 3])
async def test_a_wrong_list_is_a_fault(answer: object) -> None:
    dispatcher, _ = hooks(p=does(answer))
    failure = (await dispatcher.gather(SPEC.capacity)).failures["p"]
    assert "wanted list[Room]" in str(failure)


async def grouped(*errors: BaseException) -> None:
    async def fail(error: BaseException) -> None:
        raise error

    async with trio.open_nursery() as nursery:
        for error in errors:
            nursery.start_soon(fail, error)


@pytest.mark.parametrize(
    "errors",
    [
        [SystemExit(3)],
        [ValueError("a"), KeyError("b")],
        [SystemExit(3), ValueError("a")],
        [Busy(), ValueError("a")],
    ],
    ids=repr,
)
async def test_every_kind_of_error_is_contained(errors: list[BaseException]) -> None:
    async def do() -> None:
        await grouped(*errors)

    async def bare() -> None:
        raise errors[0]

    dispatcher, faults = hooks(p=Does(do), q=Does(bare))
    fault = await fails(dispatcher)
    assert fault.__cause__ is not None
    gathered = await dispatcher.gather(SPEC.capacity)
    assert set(gathered.failures) == {"p", "q"}
    assert faults


async def test_an_expected_outcome_is_seen_through_a_nursery() -> None:
    async def do() -> None:
        await grouped(NoRoom("full"))

    dispatcher, faults = hooks(p=Does(do))
    with pytest.raises(NoRoom, match="full"):
        await dispatcher.route("p", None, SPEC.register_runner, runner=RUNNER)
    assert faults == []


async def test_a_ctrl_c_that_nobody_took_goes_up() -> None:
    async def both() -> None:
        await grouped(KeyboardInterrupt(), ValueError("a"))

    for plugin in (does(KeyboardInterrupt()), Does(both)):
        with pytest.raises(BaseExceptionGroup) as caught:  # noqa: PT012 - out of the nursery
            async with trio.open_nursery() as nursery:
                dispatcher = Dispatcher(register({"p": plugin}), nursery)
                await dispatcher.route("p", None, SPEC.register_runner, runner=RUNNER)
        assert caught.group_contains(KeyboardInterrupt)
        assert not caught.group_contains(ValueError)


async def test_c40_a_ctrl_c_of_a_plugins_own_is_a_fault() -> None:
    async def both() -> None:
        await grouped(KeyboardInterrupt(), ValueError("a"))

    dispatcher, faults = hooks(p=does(KeyboardInterrupt("mine")), q=Does(both))
    with trio.open_signal_receiver(signal.SIGINT):  # as `scaler run` does
        assert "raised KeyboardInterrupt: mine" in str(await fails(dispatcher))
        await fails(dispatcher, "q")
    assert [fault.plugin for fault in faults] == ["p", "q"]


async def test_cancellation_passes(autojump_clock: object) -> None:
    async def unwilling() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("while being cancelled")

    async def split() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            nursery.start_soon(unwilling)

    for plugin in (does(after=1000), Does(split)):
        dispatcher, faults = hooks(p=plugin)
        with trio.move_on_after(1) as scope:
            await dispatcher.route("p", 500, SPEC.register_runner, runner=RUNNER)
        assert scope.cancelled_caught
        # its own error is told all the same
        assert [fault.text for fault in faults] in (
            [],
            ["raised ValueError: while being cancelled"],
        )
