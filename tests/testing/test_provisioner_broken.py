"""Each promise has plugins that break it, and the check says that it was that one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from tests.testing.broken import lists, plugins, provisioners
from tests.testing.broken.plugins import BlocksTheLoop, SpinningHook, SpinningService
from tests.testing.machines import InMemory, World

from scaler.testing import PromiseBroken, check_provisioner, stepping
from scaler.testing import stage as stages
from scaler.testing.promises_plugin import PLUGIN
from scaler.testing.promises_provisioner import PROVISIONER

if TYPE_CHECKING:
    from trio.testing import MockClock

ON_THE_REAL_CLOCK = {"loop-free"}
WHILE_AWAY = {"complete-or-raises"}  # in test_provisioner_outside.py
ALL = [
    pytest.param(promise, cls, id=f"{promise}-{cls.__name__}")
    for broken in (plugins.BROKEN, provisioners.BROKEN)
    for promise, classes in broken.items()
    for cls in classes
]


def test_every_promise_has_a_plugin_that_breaks_it() -> None:
    broken = {*plugins.BROKEN, *provisioners.BROKEN, *ON_THE_REAL_CLOCK, *WHILE_AWAY}
    assert lists.BROKEN is provisioners.BROKEN
    assert broken == {promise.name for promise in (*PLUGIN, *PROVISIONER)}


@pytest.mark.parametrize(("promise", "cls"), ALL)
async def test_it_is_caught(promise: str, cls: type[InMemory], autojump_clock: MockClock) -> None:
    world = World()
    with pytest.raises(PromiseBroken) as caught:
        await check_provisioner(partial(cls, world=world), plugin=cls, points=10)
    assert caught.value.promise.name == promise, str(caught.value)
    assert caught.value.seen in str(caught.value)
    assert caught.value.promise.quote in str(caught.value)


@pytest.mark.parametrize("cls", [SpinningHook, SpinningService])
async def test_one_that_swallows_cancellation_is_caught(
    cls: type[InMemory], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "STOPPING", 0.3)
    monkeypatch.setattr(stepping, "UNWILLING", 0.3)
    with pytest.raises(PromiseBroken) as caught:
        await check_provisioner(partial(cls, world=World()), plugin=cls, points=1)
    assert caught.value.promise.name == "ends-when-cancelled"


async def test_one_that_blocks_the_loop_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepping, "BLOCKED", 0.05)
    with pytest.raises(PromiseBroken, match="list_machines held the loop up") as caught:
        await check_provisioner(
            partial(BlocksTheLoop, world=World()), plugin=BlocksTheLoop, points=1, runners=1
        )
    assert caught.value.promise.name == "loop-free"
