"""Every call of a hook can be followed: what was asked, what came of it, and how long it took."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
from tests.dispatch.toys import RUNNER, around, does

from scaler.dispatch import Dispatcher, HookCall
from scaler.errors import Busy, HookFault
from scaler.hooks import SPEC
from scaler.loading import register
from scaler.records import Registration
from scaler.units import Secret

if TYPE_CHECKING:
    from tests.dispatch.toys import Does


def traced(plugin: Does) -> tuple[Dispatcher, list[HookCall]]:
    calls: list[HookCall] = []
    return Dispatcher(register({"p": plugin}), around(), trace=calls.append), calls


async def route(dispatcher: Dispatcher) -> None:
    await dispatcher.route("p", None, SPEC.register_runner, runner=RUNNER)


async def test_an_answer_is_told_without_its_secret(autojump_clock: object) -> None:
    answer = Registration(name="x", ref="1", config=Secret("hush"))
    dispatcher, calls = traced(does(answer, after=2))
    await trio.sleep(3)
    await route(dispatcher)
    (call,) = calls
    assert (call.plugin, call.hook, call.outcome) == ("p", "register_runner", "answered")
    assert call.arguments == {"runner": RUNNER}
    assert call.answer == answer
    assert call.began == pytest.approx(trio.current_time() - 2)
    assert call.seconds == pytest.approx(2.0)
    assert call.text.startswith("Registration(")
    assert "hush" not in call.text
    assert len(call.text) <= 200


async def test_what_was_said_and_what_failed_are_told_apart(autojump_clock: object) -> None:
    dispatcher, calls = traced(plugin := does(Busy("a job")))
    with pytest.raises(Busy):
        await route(dispatcher)
    plugin.do = does(ValueError("no\nsuch")).do
    with pytest.raises(HookFault):
        await route(dispatcher)
    plugin.do = does(after=100).do
    with pytest.raises(HookFault):
        await route(dispatcher)
    with trio.move_on_after(1):
        await route(dispatcher)
    assert [(call.outcome, call.text) for call in calls] == [
        ("said", "Busy: a job"),
        ("failed", "raised ValueError: no\nsuch"),
        ("failed", "took longer than 60 s"),
        ("failed", "was cancelled"),
    ]


async def test_an_answer_that_cannot_be_printed_is_told_by_its_type() -> None:
    class Hostile:
        def __repr__(self) -> str:
            raise SystemExit

    dispatcher, calls = traced(does(Hostile()))
    with pytest.raises(HookFault):  # it is of the wrong type
        await route(dispatcher)
    assert calls[0].text == "answered Hostile, wanted Registration"


async def test_who_looks_on_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_call: HookCall) -> None:
        raise ValueError("cannot write")

    answer = Registration(name="x", ref="1")
    dispatcher = Dispatcher(register({"p": does(answer)}), around(), trace=broken)
    await route(dispatcher)
    assert "cannot write" in caplog.text
