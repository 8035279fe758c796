"""Whatever a plugin does in a hook, it is named, its caller goes on, and so do the others."""

from __future__ import annotations

import signal
import time

import pytest
import trio
import trio.testing
from tests.containment import misdeeds
from tests.containment.conftest import HOOKS, Scene

from scaler.errors import HookFault

WAYS = list(HOOKS)
LIMITS = {"route": 60, "ask": 15, "vote": 5, "gather": 10, "tell": 10}  # seconds, by the contract


def only(scene: Scene, way: str) -> HookFault:
    """The one fault, which names the plugin and its hook."""
    (fault,) = scene.faults
    assert (fault.plugin, fault.hook) == ("bad", HOOKS[way])
    return fault


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("misdeed", misdeeds.ERRORS)
async def test_c40_anything_raised_is_a_fault(
    scene: Scene, autojump_clock: object, way: str, misdeed: str
) -> None:
    scene.bad.do = misdeeds.ERRORS[misdeed]
    began = trio.current_time()
    await scene.ask(way)
    fault = only(scene, way)
    assert trio.current_time() - began < 2
    assert misdeeds.WORDS.get(misdeed, "raised ") in fault.text
    await scene.well()


@pytest.mark.parametrize("way", WAYS)
async def test_c40_a_ctrl_c_of_its_own_is_a_fault(
    scene: Scene, autojump_clock: object, way: str
) -> None:
    scene.bad.do = misdeeds.raising(KeyboardInterrupt())
    with trio.open_signal_receiver(signal.SIGINT):
        await scene.ask(way)
    assert "KeyboardInterrupt" in only(scene, way).text
    await scene.well()


@pytest.mark.parametrize("way", [way for way in WAYS if way != "tell"])
@pytest.mark.parametrize("misdeed", misdeeds.WRONG)
async def test_c43_a_wrong_answer_is_a_fault(
    scene: Scene, autojump_clock: object, way: str, misdeed: str
) -> None:
    scene.bad.do = misdeeds.WRONG[misdeed]
    await scene.ask(way)
    only(scene, way)
    await scene.well()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("misdeed", misdeeds.LATE)
async def test_c41_what_never_returns_is_broken_off(
    scene: Scene, autojump_clock: object, way: str, misdeed: str
) -> None:
    scene.bad.do = misdeeds.LATE[misdeed]
    limit = LIMITS[way]
    began = trio.current_time()
    await scene.ask(way)
    assert trio.current_time() - began == pytest.approx(limit, abs=0.5)
    assert only(scene, way).text == f"took longer than {limit} s"
    assert scene.hooks.given_up() == []
    await scene.well()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("misdeed", misdeeds.STUCK)
async def test_c42_what_swallows_cancellation_is_left_behind(
    scene: Scene, autojump_clock: object, way: str, misdeed: str
) -> None:
    scene.bad.do = misdeeds.STUCK[misdeed]
    limit = LIMITS[way]
    began = trio.current_time()
    await scene.ask(way)
    assert trio.current_time() - began <= limit + 10.1
    faults = [fault for fault in scene.faults if fault.hook == HOOKS[way]]
    (fault,) = faults
    assert "and goes on" in fault.text
    assert f"{misdeeds.__file__}:" in fault.text or "left open" in misdeed
    assert any(name.startswith(f"bad.{HOOKS[way]}") for name in scene.hooks.given_up())
    await scene.well()
    # it costs nothing any more: nobody but us runs
    await trio.testing.wait_all_tasks_blocked()
    used = time.process_time()
    await trio.sleep(1000)
    assert time.process_time() - used < 0.5
