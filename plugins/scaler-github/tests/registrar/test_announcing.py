"""There is no queue: the core is told once that nobody waits for runners of these profiles."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import trio
from trio.testing import MockClock

from scaler import Message, Unavailable
from scaler_github.connection import GitHub

World = Any


async def test_every_profile_is_announced_once(world: World, autojump_clock: MockClock) -> None:
    world.profiles["more"] = replace(world.profiles["bench"], name="more")
    world.own.update(more=GitHub.ProfileConfig(), linux=GitHub.ProfileConfig())
    world.build()
    async with world.running():
        await trio.sleep(600)
    assert {message.profile for message in world.core.messages} == {"bench", "more"}
    wanted = Message(id="", profile="bench", demand=0, waiting=0)
    assert [each for each in world.core.messages if each.profile == "bench"] == [wanted]


async def test_what_is_not_taken_is_said_again(world: World, autojump_clock: MockClock) -> None:
    world.core.refuse = [Unavailable("full"), Unavailable("full", 20.0), Unavailable("full")]
    async with world.running():
        await trio.sleep(20.9)
        assert world.core.messages == []
        await trio.sleep(4.2)
        assert len(world.core.messages) == 1
