"""What plugins say upwards and answer, that would break others later."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from tests.engine.conftest import World
from trio.testing import MockClock

from scaler.records import Room


@pytest.mark.parametrize(
    ("text", "more"),
    [
        (ValueError("boom"), {}),
        (b"text", {}),
        ("text", {"profile": None}),
        ("text", {"fact": object()}),
        ("text", {"fact": {1: ValueError("boom")}}),
        ("text", {"fact": "\ud800"}),
    ],
)
async def test_c43_a_report_that_nobody_could_show_is_its_tellers_error(
    autojump_clock: MockClock, world: World, text: Any, more: dict[str, Any]
) -> None:
    async with world.running():
        world.contexts["vm"].report("all is well")
        with pytest.raises(TypeError, match=r"^report: "):
            world.contexts["vm"].report(text, ok=False, **more)
        lines = [each.text for each in world.engine.view().reports if each.plugin == "vm"]
        assert lines == ["all is well"]


async def test_c43_a_room_is_what_it_was_when_it_was_answered(
    autojump_clock: MockClock, world: World
) -> None:
    total: dict[str, Any] = {"memory": 8}
    world.rooms = [Room(name="a", total=total)]
    async with world.running():
        await world.deliver(1, world.job(1))
        await world.until(lambda: 1 in world.machines)
        total["memory"] = "lots"
        await trio.sleep(world.tick / 2)
        await world.deliver(2, world.job(2))
        await world.until(lambda: world.count("provision") == 2)
