"""There is no queue: the core is told once that nobody waits for runners of these profiles."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import trio
from trio.testing import MockClock

from scaler import Message, SettingsChange, Unavailable
from scaler_github.account import Connection
from scaler_github.connection import GitHub

World = Any
ORIGIN = "https://github.com"


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


async def test_a_profile_that_comes_is_announced(world: World, autojump_clock: MockClock) -> None:
    async with world.running():
        await trio.sleep(60)
        world.profiles["more"] = replace(world.profiles["bench"], name="more")
        world.own["more"] = GitHub.ProfileConfig()
        assert await world.github.on_settings_changed(SettingsChange(added=("more",))) == []
        await trio.sleep(60)
    assert [message.profile for message in world.core.messages] == ["bench", "more"]


async def test_connections_come_while_it_runs(world: World, autojump_clock: MockClock) -> None:
    """They are held open; what cannot change is told each time that it is asked for."""
    async with world.running():
        context = world.github._context
        lab = Connection(url=f"{ORIGIN}/lab", token=context.config.token)
        context.config = replace(context.config, connections={"lab": lab})
        assert await world.github.on_settings_changed(SettingsChange(config=True)) == []
        assert "lab" in world.github.accounts
        assert world.github._held == {"", "lab"}
        context.config = replace(context.config, connections={})
        for told in (SettingsChange(config=True), SettingsChange(changed=("bench",))):
            [text] = await world.github.on_settings_changed(told)
            assert text.startswith("plugins.github.connections.lab: it is gone")
