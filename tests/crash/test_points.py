"""Killed at every point of a runner's and a message's life, and at every pair of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.crash.scalers import ledger
from tests.crash.world import world

if TYPE_CHECKING:
    from tests.crash.world import World

LIFE = [f"P{number}" for number in range(1, 11)]
MESSAGES = ["M1", "M2", "M3", "M5"]
OFFERED = ["M4"]  # there is nothing to acquire where jobs come assigned
DESTROYING = {"P8", "P9"}  # points that only a machine comes to which did not power off by itself


async def clean_starts(here: World, kills: int) -> None:
    """Adopted and cleaned up, however often it is killed meanwhile; nothing is left at the end."""
    for _ in range(kills):
        scaler = await here.start()
        await here.listens(scaler)
        await here.death(scaler, kill=True)
    scaler = await here.start()
    await here.listens(scaler)
    await here.finish(scaler)


def share(*points: str) -> float:
    """How many machines power off by themselves after their job."""
    return 0.0 if DESTROYING.intersection(points) else 0.5


@pytest.mark.parametrize(
    ("point", "flow"),
    [
        *((point, "assigned") for point in [*LIFE, *MESSAGES]),
        *((point, "offered") for point in [*LIFE, *MESSAGES, *OFFERED]),
    ],
)
async def test_killed_at(tmp_path: Path, point: str, flow: str) -> None:
    async with world(tmp_path, seed=f"{point} {flow}", flow=flow, poweroff=share(point)) as here:
        scaler = await here.start(at=point)
        here.queue()
        await here.death(scaler)
        assert here.deaths() == [point]
        await what_is_left(here, point)
        here.queue()
        await clean_starts(here, kills=2)


@pytest.mark.parametrize("second", LIFE)
@pytest.mark.parametrize("first", LIFE)
async def test_killed_at_one_and_then_at(tmp_path: Path, first: str, second: str) -> None:
    async with world(tmp_path, seed=f"{first} {second}", poweroff=share(first, second)) as here:
        scaler = await here.start(at=first)
        here.queue()
        await here.death(scaler)
        here.queue()  # so that the next start surely comes to its point
        await here.death(await here.start(at=second))
        assert here.deaths() == [first, second]
        await clean_starts(here, kills=1)


async def what_is_left(here: World, point: str) -> None:
    """It died where the page says: what the ledger and the world hold is what the page tells."""
    rows = ledger(here.state_dir())["runners"]
    jobs = ledger(here.state_dir())["jobs"]
    agents = len(here.simulator.agents)
    domains = here.machines_made()
    unacknowledged = len(here.simulator.scale_set("linux").unacknowledged)
    if point in (*MESSAGES, *OFFERED):
        # planning goes on beside a message that is durable: perhaps a runner was begun
        durable = point in ("M2", "M3")
        assert durable or not rows
        if point == "M4" and jobs:  # it came before any room was known, and was kept as offered
            assert [each["job"]["state"] for each in jobs] == ["offered"]
            return
        assert len(jobs) == durable
        assert point == "M3" or unacknowledged == (point != "M5")
        return
    (row,) = rows
    state, unregistered = row["runner"]["state"], row["unregistered"]
    if point in ("P1", "P2"):
        assert (state, agents, domains) == ("planned", 0 if point == "P1" else 1, [])
    elif point in ("P3", "P4"):
        assert (state, agents, domains) == ("registered", 1, [])
    elif point in ("P5", "P6"):
        assert state == "registered"
        if point == "P6":
            await here.until(here.machines_made)
    else:
        assert (state, unregistered, agents) == ("retiring", point != "P7", 0)
        (life,) = domains
        if point == "P8":
            assert life.ended is None
        elif point == "P10":
            await here.until(lambda: life.ended)
