"""Provisioners that keep their promises pass, whichever way they are written."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import trio.testing
from tests.testing.machines import InFiles, InMemory, InThreads, World

from scaler.testing import check_provisioner

if TYPE_CHECKING:
    from pathlib import Path


def files_in(folder: Path) -> list[str]:
    return [file.name for file in folder.glob("*/*")]


async def test_one_in_memory(autojump_clock: trio.testing.MockClock) -> None:
    world = World()
    await check_provisioner(partial(InMemory, world=world), plugin=InMemory)
    assert world.machines == {}


async def test_one_in_files(tmp_path: Path) -> None:
    await check_provisioner(partial(InFiles, folder=tmp_path), plugin=InFiles)
    assert files_in(tmp_path) == []


async def test_one_of_plain_functions(tmp_path: Path) -> None:
    await check_provisioner(partial(InThreads, folder=tmp_path), plugin=InThreads)
    assert files_in(tmp_path) == []
