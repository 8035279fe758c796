"""Runners that GitHub removes or refuses, and a queue that says nothing."""

import pytest
import trio
import trio.testing

from scaler_github.testing import Guests, Simulator
from scaler_github.testing.probe import AGENTS, probed


async def test_registrations_that_nobody_uses_are_removed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    sim = Simulator(jit_timeout=100, idle_timeout=40)
    sim.create_scale_set("vm", ["vm"])
    one = sim.scale_set("vm")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sim._world.timers.run)
        for name in ("unused", "idle", "busy", "dead"):
            sim._world.create_agent("acme", name, one)
        sim.bring_online("idle")
        await trio.sleep(39)
        assert len(sim.agents) == 4
        await trio.sleep(2)
        assert {agent.name for agent in sim.agents} == {"unused", "busy", "dead"}
        sim.bring_online("busy")
        sim._world.advertise(one, 1)
        [job] = sim.queue_jobs("vm")
        assert (job.state, job.runner_name) == ("running", "busy")
        sim.bring_online("dead")
        sim.take_offline("dead")
        await trio.sleep(61)
        assert {agent.name for agent in sim.agents} == {"busy", "dead"}
        with pytest.raises(LookupError, match="'unused'"):
            sim.bring_online("unused")
        nursery.cancel_scope.cancel()


async def test_an_outdated_runner_exits_without_a_job_and_stays_registered() -> None:
    async with probed() as (sim, probe):
        await probe.jitconfig("r1")
        await probe.jitconfig("r2")
        [job] = sim.queue_jobs("vm")
        await probe.news()
        for count in (1, 2):
            agent = sim.bring_online("r1", outdated=True)
            assert (agent.status, agent.refused, job.state) == ("offline", count, "assigned")
        [found] = (await probe.service("GET", AGENTS, agentName="r1")).json()["value"]
        assert found["status"] == "offline"
        sim.options.outdated = True
        assert not sim.bring_online("r2").online
        sim.options.outdated = False
        assert sim.bring_online("r2").busy
        assert job.runner_name == "r2"


async def test_automatic_guests_are_outdated_too(autojump_clock: trio.testing.MockClock) -> None:
    sim = Simulator(guests=Guests(boot=5), outdated=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sim._world.timers.run)
        agent = sim._world.create_agent("acme", "r1", None)
        await trio.sleep(6)
        assert (agent.online, agent.refused) == (False, 1)
        nursery.cancel_scope.cancel()


async def test_a_silent_queue_keeps_its_messages_and_true_statistics() -> None:
    async with probed(poll_seconds=0.01, silent=True) as (sim, probe):
        await probe.poll()
        sim.queue_jobs("vm", 2)
        assert (await probe.poll()).status_code == 202
        for answer in (await probe.refresh(), await probe.service("GET", probe.path())):
            assert answer.json()["statistics"]["totalAssignedJobs"] == 2
        sim.options.silent = False
        assert [one["messageType"] for one in await probe.news()] == ["JobAssigned"] * 2


async def test_scale_sets_may_be_shown_without_statistics() -> None:
    async with probed(statistics_on_get=False) as (_, probe):
        assert (await probe.service("GET", probe.path())).json()["statistics"] is None
        [found] = (await probe.find()).json()["value"]
        assert found["statistics"] is None
        assert (await probe.refresh()).json()["statistics"]["totalAssignedJobs"] == 0


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_acquirable_jobs_may_be_unknown(status: int) -> None:
    async with probed(flow="offered") as (sim, probe):
        sim.queue_jobs("vm")
        sim.faults.add("acquirable", status=status)
        answer = await probe.service("GET", probe.path("/acquirablejobs"))
        assert answer.status_code == status
        assert "ScaleSetNotFound" not in answer.json()["typeName"]
        answer = await probe.service("GET", probe.path("/acquirablejobs"))
        assert answer.json()["count"] == 1
