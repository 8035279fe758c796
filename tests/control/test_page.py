"""docs/reference/control-socket.md, held against what the socket takes and says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
from tests.control.conftest import result
from tests.engine.conftest import World

from scaler.control import connections, server
from scaler.control.protocol import COMMANDS, LINE, Code
from scaler.telling.extras import Kind

PAGE = (Path(__file__).parents[2] / "docs/reference/control-socket.md").read_text()


def rows(heading: str) -> list[list[str]]:
    part = re.split(rf"^#+ {re.escape(heading)}$", PAGE, flags=re.MULTILINE)[1].split("\n#")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def ticked(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


@pytest.mark.once
def test_every_command_and_option_is_there_and_none_more() -> None:
    told = {ticked(command)[0]: ticked(options) for command, options, _ in rows("Commands")}
    assert told == {name: list(options) for name, options in COMMANDS.items()}
    acting = [ticked(command)[0] for command, _ in rows("Results")]
    assert acting == [name for name in COMMANDS if name not in ("status", "why")]


@pytest.mark.once
def test_every_code_is_there_and_none_more() -> None:
    assert [ticked(code)[0] for code, _ in rows("Errors")] == list(get_args(Code))


async def test_every_key_of_the_status_and_of_why_is_there_and_none_more(world: World) -> None:
    async with world.running():
        status = await result(world.folder, "status")
        why = await result(world.folder, "why", about="linux")
    assert [key for cell, _ in rows("`status`") for key in ticked(cell)] == list(status)
    assert [key for cell, _ in rows("`why`") for key in ticked(cell)] == list(why["found"][0])
    kinds = dict(rows("`why`"))["`kind`"]
    assert ticked(kinds) == list(get_args(Kind))
    assert list(why) == ["found", "more"]


@pytest.mark.once
def test_the_limits_are_those() -> None:
    limits = [value.split(";")[0] for _, value in rows("Limits")]
    assert limits == [
        f"{LINE} bytes",
        str(connections.MOST),
        str(connections.WATCHERS),
        f"{connections.LATE:g} s",
        f"{connections.LATE:g} s",
        f"{connections.IDLE:g} s",
    ]
    assert f"every {connections.BEAT:g} s" in PAGE
    assert (server.LOOK, connections.OFTEN) == (30.0, 1.0), "half a minute; one a second"
