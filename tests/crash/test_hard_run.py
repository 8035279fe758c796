"""A burst of 100 jobs, and a scaler that is killed all through it.

CRASH_SEEDS=5 runs five seeds of each kind, in place of two; a failure's message has the seed.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio
from tests.crash.conftest import FIGURES
from tests.crash.world import World, world

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.crash.scalers import Scaler

JOBS = 100
MOST = 10  # runners at a time, so that the burst goes on through many starts
KILLS = 40  # after so many it is left alone, and must finish
PATIENCE = 240.0  # seconds for all of it
SEEDS = [str(number) for number in range(1, 1 + int(os.environ.get("CRASH_SEEDS", "2")))]
FAULTS: list[dict[str, Any]] = [
    {"status": 500},
    {"status": 502, "body": b"<html><body>Bad gateway</body></html>"},
    {"status": 503},
    {"kind": "drop"},
    {"kind": "reset"},
    {"kind": "lose"},
    {"delay": 0.3},
]
BEGUN = " starts, with "  # what a start logs when it has opened its ledger
AT_ONCE = 2  # faults that wait for their call, at most
ROUTES = [
    *("find-scale-set", "create-session", "poll", "delete-message"),
    *("list-agents", "jitconfig", "delete-agent"),
]


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_burst_is_done_however_often_it_is_killed(
    tmp_path: Path, flow: str, seed: str, record_property: Callable[[str, object], None]
) -> None:
    name = f"burst {flow} {seed}"
    async with world(tmp_path, seed=name, flow=flow, most=MOST, patience=PATIENCE) as here:
        record_property(FIGURES, await burst(here))


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_burst_is_done_also_where_the_source_misbehaves(
    tmp_path: Path, seed: str, record_property: Callable[[str, object], None]
) -> None:
    name = f"burst with faults {seed}"
    async with world(tmp_path, seed=name, most=MOST, patience=PATIENCE) as here:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(misbehave, here)
            record_property(FIGURES, await burst(here))
            nursery.cancel_scope.cancel()


async def misbehave(here: World) -> None:
    """Let a call go wrong now and then, until every job is done."""
    faults = here.simulator.faults
    while not here.done() or not here.simulator.jobs:
        await trio.sleep(here.chance.uniform(0.1, 0.6))
        if len(faults.pending) < AT_ONCE:  # none is kept for later: they would come in a row
            faults.add(here.chance.choice(ROUTES), **here.chance.choice(FAULTS))
    here.simulator.faults.clear()


async def burst(here: World) -> str:
    """Queue the jobs, kill until all are done, then see what is left; what it came to."""
    began = time.monotonic()
    here.queue(JOBS)
    kills = 0
    scaler = await here.start()
    while not here.done() and kills < KILLS:
        await begun(here, scaler)
        await trio.sleep(here.chance.uniform(0.2, 1.0))
        here.check()
        if not here.done():
            kills += 1
            await here.death(scaler, kill=True)
            here.oracles.tell(standing(here))
            scaler = await here.start()
    await here.until(here.done, PATIENCE)
    jobs_done = time.monotonic() - began
    await here.until(lambda: BEGUN in scaler.said())
    await here.finish(scaler, seconds=PATIENCE)
    runners = len(here.machines_made())
    return (
        f"{JOBS} jobs done by {runners} runners after {jobs_done:.0f} s, {len(here.starts)} starts"
        f" and {kills} kills; nothing left after {time.monotonic() - began:.0f} s"
    )


async def begun(here: World, scaler: Scaler) -> None:
    """Wait until a start is past its imports; one in five is not waited for."""
    if here.chance.random() < 0.8:
        await here.until(lambda: BEGUN in scaler.said() or not scaler.runs)


def standing(here: World) -> str:
    """How far it is."""
    states = [job.state for job in here.simulator.jobs]
    counted = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    return f"{counted}; {len(here.simulator.agents)} registrations, {len(here.rows())} rows"
