"""Killed at every point of a runner's and a message's life, and at every pair of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.crash.world import world

if TYPE_CHECKING:
    from tests.crash.world import World

LIFE = [f"P{number}" for number in range(1, 11)]
MESSAGES = ["M1", "M2", "M3"]
DESTROYING = {"P8", "P9"}  # points that only a machine comes to which did not power off by itself


async def three_more_starts(here: World) -> None:
    """Adopted and cleaned up, however often it is killed meanwhile; nothing is left at the end."""
    for _ in range(2):
        scaler = await here.start()
        await here.listens(scaler)
        await here.death(scaler, kill=True)
    await here.finish(await here.start())


@pytest.mark.parametrize("flow", ["assigned", "offered"])
@pytest.mark.parametrize("point", [*LIFE, *MESSAGES])
async def test_killed_at(tmp_path: Path, point: str, flow: str) -> None:
    poweroff = 0.0 if point in DESTROYING else 0.5
    async with world(tmp_path, seed=f"{point} {flow}", flow=flow, poweroff=poweroff) as here:
        scaler = await here.start(at=point)
        here.queue()
        await here.death(scaler)
        assert here.deaths() == [point]
        here.queue()
        await three_more_starts(here)
