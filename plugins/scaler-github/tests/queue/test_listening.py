"""The loop against the simulator: what comes, what goes, and that it goes on."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from scaler import Job, Message

World = Any


async def test_first_message_tells_demand_before_any_poll(world: World) -> None:
    async with world.running():
        message = await world.core.until(lambda: world.core.messages and world.core.messages[0])
        assert (message.profile, message.demand, message.jobs) == ("linux", 0, ())
        assert message.cursor is None


async def test_assigned_job_is_delivered_stored_and_then_deleted(world: World) -> None:
    sim, core = world.sim, world.core
    async with world.running():
        await world.listening()
        [job] = sim.queue_jobs("linux")
        await core.until(lambda: core.jobs)
        [got] = core.jobs
        assert got.state == "assigned"
        assert got.id == str(job.request_id)
        assert got.repository == "acme/widgets"
        assert got.url.startswith(sim.origin + "/acme/widgets/actions/runs/")
        assert core.messages[-1].demand == 1
        assert core.store["cursor/linux"]["message"] == 100_000_001
        await sim.wait_for(lambda: sim.count("delete-message") == 1)
