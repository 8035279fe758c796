"""Panels: everyone's own, in order, and no more often than is good."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
import trio

from scaler import hookimpl
from scaler.records import Panel, View

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.engine.conftest import World


def panel_of(world: World, name: str, *answers: Any) -> list[View]:
    """A plugin that shows these one after another, the last again and again."""
    views: list[View] = []

    class Plugin:
        def __init__(self, context: Any) -> None:
            world.contexts[context.name] = context

        @hookimpl
        async def render_dashboard(self, view: View) -> Any:
            views.append(view)
            answer = answers[min(len(views), len(answers)) - 1]
            if isinstance(answer, Exception):
                raise answer
            if isinstance(answer, float):
                await trio.sleep(answer)
                return Panel(title="late")
            return answer

    world.plugins[name] = Plugin
    return views


async def ask(world: World) -> Mapping[str, Panel | None]:
    return await world.contexts["queue"].panels()


async def test_panels_come_in_the_settings_order(world: World, autojump_clock: object) -> None:
    views = panel_of(world, "slow", 0.5)
    panel_of(world, "quick", Panel(title="Quick", data={"left": 3}, html="<p>3</p>"))
    panel_of(world, "silent", None)
    panel_of(world, "broken", RuntimeError("no"))
    panel_of(world, "wrong", "<p>no panel</p>")
    panel_of(world, "late", 5.0)
    async with world.running():
        panels = await ask(world)
        assert list(panels.items()) == [
            ("slow", Panel(title="late")),
            ("quick", Panel(title="Quick", data={"left": 3}, html="<p>3</p>")),
            ("broken", None),
            ("wrong", None),
            ("late", None),
        ]
        assert [view.scaler for view in views] == ["host"]


async def test_they_are_made_once_a_second_for_all_who_look(
    world: World, autojump_clock: object
) -> None:
    views = panel_of(world, "one", Panel(title="1"), Panel(title="2"), 0.5)
    async with world.running():
        got: list[Mapping[str, Panel | None]] = []

        async def client() -> None:
            got.append(await ask(world))

        async with trio.open_nursery() as nursery:
            for _ in range(200):
                nursery.start_soon(client)
        assert len(views) == 1
        assert got == [{"one": Panel(title="1")}] * 200
        await trio.sleep(0.9)
        assert await ask(world) == {"one": Panel(title="1")}
        await trio.sleep(0.2)
        assert await ask(world) == {"one": Panel(title="2")}
        await trio.sleep(60)
        assert len(views) == 2  # while nobody looks nobody is asked


async def test_who_goes_away_spoils_it_for_nobody(world: World, autojump_clock: object) -> None:
    panel_of(world, "one", 0.5)
    async with world.running(), trio.open_nursery() as nursery:
        got: list[Mapping[str, Panel | None]] = []

        async def client() -> None:
            got.append(await ask(world))

        async def impatient() -> None:
            with trio.move_on_after(0.4):
                await ask(world)

        nursery.start_soon(impatient)
        await trio.sleep(0.2)
        nursery.start_soon(client)
        nursery.start_soon(client)
        await trio.sleep(2)
        assert got == [{"one": Panel(title="late")}] * 2


async def test_nobody_has_any(world: World, autojump_clock: object) -> None:
    async with world.running():
        assert await ask(world) == {}


async def test_a_plain_hook_that_blocks_holds_nobody_up(real_world: World) -> None:
    class Blocks:
        def __init__(self, context: Any) -> None:
            pass

        @hookimpl
        def render_dashboard(self) -> Panel:
            time.sleep(3)
            return Panel(title="late")

    panel_of(real_world, "quick", Panel(title="Quick"))
    real_world.plugins["blocks"] = Blocks
    async with real_world.running():
        ticks = 0
        async with trio.open_nursery() as nursery:

            async def tick() -> None:
                nonlocal ticks
                while True:
                    await trio.sleep(0.05)
                    ticks += 1

            nursery.start_soon(tick)
            began = trio.current_time()
            panels = await ask(real_world)
            nursery.cancel_scope.cancel()
        assert panels == {"quick": Panel(title="Quick"), "blocks": None}
        assert trio.current_time() - began < 2
        assert ticks >= 5
        assert (await ask(real_world)) is panels


async def test_a_panel_cannot_be_changed_by_who_reads_it(
    world: World, autojump_clock: object
) -> None:
    panel_of(world, "one", Panel(title="1"))
    async with world.running():
        panels: Any = await ask(world)
        with pytest.raises(TypeError):
            panels["two"] = None
