"""What plugins see around them: asked for at a start, shown, and asked again until it is well."""

from __future__ import annotations

import logging
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import trio

from scaler import Finding, hookimpl
from scaler.app import check
from scaler.errors import Unavailable
from scaler.settings import load
from scaler.units import Secret

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engine.conftest import World

    from scaler.records import Report

GOOD = Finding(ok=True, text="the token is accepted")
WRONG = Finding(ok=False, text="no right to register", fix="give it")
SOON = Finding(ok=False, text="expires in 3 days", fix="make another", need="useful")
DARK = Finding(ok=False, text="permissions", need="unseen")


def looker(world: World, name: str = "looker") -> None:
    """A plugin whose check answers as the world's script says, and else that all is well."""

    class Looker:
        def __init__(self, context: object) -> None:
            pass

        @hookimpl
        async def check(self) -> Any:
            return await world.called(f"check {name}") or [GOOD]

    world.plugins[name] = Looker


def shown(world: World) -> list[Report]:
    return [report for report in world.engine.view().reports if not report.ok]


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [
        (record.levelname, record.message)
        for record in caplog.records
        if record.name == "scaler.checks"
    ]


async def test_what_is_well_is_asked_for_once(
    world: World, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    looker(world)
    world.script["check looker"] = [[GOOD, DARK]]
    async with world.running():
        await trio.sleep(3600)
        assert world.count("check") == 1
        assert shown(world) == []
    assert told(caplog) == []


async def test_what_is_wrong_is_shown_and_asked_again_until_it_is_well(
    world: World, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    looker(world)
    looker(world, "other")
    world.script["check looker"] = [[WRONG, SOON, DARK, GOOD]] * 7
    async with world.running():
        await world.until(lambda: shown(world), 5)
        [report] = shown(world)
        assert (report.plugin, report.text) == (
            "looker",
            "check: no right to register → give it",
        )
        await world.until(lambda: world.count("check looker") == 7, 3600)
        assert [report.text for report in shown(world)] == [report.text]
        await world.until(lambda: world.count("check looker") == 8, 700)
        assert shown(world) == []
        waits = [round(b - a) for a, b in pairwise(world.times("check looker"))]
        assert waits == [60, 120, 240, 480, 600, 600, 600]
        await trio.sleep(3600)
        assert world.count("check looker") == 8
        assert world.count("check other") == 1
    assert told(caplog) == [
        ("WARNING", "looker: no right to register → give it"),
        ("WARNING", "looker: expires in 3 days → make another"),
        ("INFO", "looker: what its check missed is there now"),
    ]


async def test_what_is_only_useful_is_logged_and_not_asked_for_again(
    world: World, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    looker(world)
    world.script["check looker"] = [[SOON]] * 9
    async with world.running():
        await trio.sleep(3600)
        assert world.count("check") == 1
        assert shown(world) == []
    assert told(caplog) == [("WARNING", "looker: expires in 3 days → make another")]


@pytest.mark.parametrize("how", ["error", "hang", "wrong type", "unavailable"])
async def test_a_check_that_fails_is_a_fault_until_it_works(
    world: World, autojump_clock: object, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    caplog.set_level(logging.INFO)
    looker(world)
    answers = {
        "error": ValueError("no"),
        "hang": world.HANG,
        "wrong type": [Finding(ok=False, text="x", need="vital")],  # type: ignore[arg-type]
        "unavailable": Unavailable("the host is away"),
    }
    world.script["check looker"] = [answers[how]]
    async with world.running():
        await world.deliver(1)
        await world.until(lambda: world.states() == {1: "booting"}, 5)  # nobody waits for it
        await world.until(lambda: shown(world), 31)
        assert [report.plugin for report in shown(world)] == ["looker"]
        said = {"error": "no", "hang": "30 s", "wrong type": "need", "unavailable": "away"}
        assert said[how] in shown(world)[0].text
        await world.until(lambda: world.count("check") == 2, 100)
        assert shown(world) == []
    assert told(caplog)[-1] == ("INFO", "looker: what its check missed is there now")


async def test_a_service_that_starts_late_is_waited_for(
    world: World, autojump_clock: object
) -> None:
    looker(world)
    looking: Any = world.plugins["looker"]

    class Late(looking):  # type: ignore[misc]
        @hookimpl
        async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
            await trio.sleep(25)
            world.calls.append("started")
            world.at.append(trio.current_time())
            task_status.started()

    world.plugins["looker"] = Late
    async with world.running():
        await world.until(lambda: world.count("check"), 60)
        assert world.calls.index("started") < world.calls.index("check looker")
        assert shown(world) == []


async def test_no_secret_is_shown(
    world: World, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    looker(world)
    world.secrets = (Secret("canary-in-a-finding"),)
    world.script["check looker"] = [[Finding(ok=False, text="401 for canary-in-a-finding")]]
    async with world.running():
        await world.until(lambda: shown(world), 5)
        assert shown(world)[0].text == "check: 401 for ***"
    assert told(caplog) == [("WARNING", "looker: 401 for ***")]


async def test_a_stop_does_not_wait_for_a_check(world: World, autojump_clock: object) -> None:
    looker(world)
    world.script["check looker"] = [world.HANG]
    async with world.running():
        await world.until(lambda: world.count("check"), 5)
        began = trio.current_time()
    assert world.ended - began < 2


# --- scaler check

PLUGIN = """
import trio
from scaler import Finding, hookimpl

class Looker:
    def __init__(self, context):
        pass
    @hookimpl
    async def check(self):
        await trio.sleep({wait})
        {then}
"""


def test_scaler_check_tells_whom_it_waits_for(tmp_path: Path) -> None:
    well = 'return [Finding(ok=True, text="well")]'
    (tmp_path / "one.py").write_text(PLUGIN.format(wait=0, then=well))
    (tmp_path / "two.py").write_text(PLUGIN.format(wait=1.3, then='raise ValueError("no")'))
    settings = tmp_path / "scaler.toml"
    settings.write_text('[scaler]\nname = "host"\nplugin_dir = "."\n[plugins.two]\n[plugins.one]\n')
    waited: list[tuple[str, ...]] = []
    findings = check(*load(settings), lambda waiting: waited.append(tuple(waiting)))
    assert waited == [("two",), ()]
    assert [name for name, _ in findings] == ["two", "one"]
    assert "its check failed" in findings[0][1].text
    assert findings[1][1] == Finding(ok=True, text="well")
