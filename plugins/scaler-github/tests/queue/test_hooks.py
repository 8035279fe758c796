"""The hooks that the core calls, against the simulator."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import trio

from scaler import Busy, Job, Registration, SettingsError, Unavailable
from scaler_github.client import GitHubError
from scaler_github.places import to_ref
from scaler_github.queue import ActionsQueue
from scaler_github.queue.acquiring import GIVEN_UP

World = Any


def ref(world: World, number: int) -> str:
    return to_ref(world.account, number)


async def test_register_answers_what_a_runner_reads(world: World) -> None:
    async with world.running():
        made = await world.queue.register_runner(world.runner())
        assert made.name == "linux.1@host-1"
        assert made.ref == ref(world, world.sim.agent(made.name).id)
        assert b".credentials" in base64.b64decode(made.config.reveal())
        assert "***" in repr(made)
        assert made.expires is not None


async def test_a_name_that_exists_is_removed_and_made_again(world: World) -> None:
    async with world.running():
        first = await world.queue.register_runner(world.runner())
        second = await world.queue.register_runner(world.runner())
        assert first.ref != second.ref
        assert [ref(world, agent.id) for agent in world.sim.agents] == [second.ref]


async def test_a_lost_answer_is_not_repeated_blindly(world: World) -> None:
    world.sim.faults.add("jitconfig", kind="lose")
    async with world.running():
        with pytest.raises(Unavailable):
            await world.queue.register_runner(world.runner())
        assert world.sim.count("jitconfig") == 1
        await world.queue.unregister_runner(world.runner())  # as the core does then
        assert world.sim.agents == []


async def test_a_foreign_runner_of_that_name_is_left_alone(world: World) -> None:
    sim = world.sim
    other = sim.create_scale_set("other", ["other"])
    sim._world.create_agent("acme", world.runner().name, other)
    async with world.running():
        with pytest.raises(Unavailable, match="not ours"):
            await world.queue.register_runner(world.runner())
        assert len(sim.agents) == 1


@pytest.mark.parametrize(
    "config", ["", "%%%", "bm8ganNvbg==", base64.b64encode(b"{}").decode(), None, 7]
)
async def test_an_unusable_config_leaves_no_runner(world: World, config: object) -> None:
    world.sim.faults.add("jitconfig", kind="edit", fields={"encodedJITConfig": config})
    async with world.running():
        with pytest.raises(Unavailable, match="not readable"):
            await world.queue.register_runner(world.runner())
        assert world.sim.agents == []


async def test_a_config_without_a_runner_leaves_no_runner(world: World) -> None:
    world.sim.faults.add("jitconfig", kind="edit", fields={"runner": None})
    async with world.running():
        with pytest.raises(Unavailable, match="not readable"):
            await world.queue.register_runner(world.runner())
        assert world.sim.agents == []


async def test_unregister_by_reference_by_name_and_when_absent(world: World) -> None:
    sim = world.sim
    async with world.running():
        for number in (1, 2):
            await world.queue.register_runner(world.runner(number))
        name = world.runner(1).name
        known = Registration(name=name, ref=ref(world, sim.agent(name).id))
        await world.queue.unregister_runner(world.runner(1, registration=known))
        await world.queue.unregister_runner(world.runner(2))
        assert sim.agents == []
        await world.queue.unregister_runner(world.runner(2))
        gone = Registration(name=name, ref=ref(world, 12345))
        await world.queue.unregister_runner(world.runner(1, registration=gone))


async def test_unregister_answers_busy_while_a_job_runs(world: World) -> None:
    sim = world.sim
    async with world.running():
        await world.listening()
        runner = world.runner()
        made = await world.queue.register_runner(runner)
        sim.queue_jobs("linux")
        sim.bring_online(runner.name)
        with pytest.raises(Busy):
            await world.queue.unregister_runner(world.runner(registration=made))
        with pytest.raises(Busy):
            await world.queue.unregister_runner(runner)
        [listed] = await world.queue.list_registrations()
        assert (listed.name, listed.ref) == (runner.name, made.ref)
        assert (listed.online, listed.busy) == (True, True)


async def test_list_holds_what_is_ours_and_nothing_else(world: World) -> None:
    sim = world.sim
    async with world.running():
        await world.queue.register_runner(world.runner())
        one = sim.scale_set("linux")
        for name in ("linux.1@host-10", "host-1", "x@host-1@other"):
            sim._world.create_agent("acme", name, one)
        [listed] = await world.queue.list_registrations()
        assert (listed.name, listed.online, listed.busy) == ("linux.1@host-1", False, False)


@pytest.mark.parametrize(
    "fault",
    [
        {"fields": {"count": 2}},
        {"fields": {"value": None}},
        {"fields": {"value": [{"name": "x"}]}},
        {"status": 200, "body": ""},
        {"status": 404},
        {"status": 204},
    ],
    ids=str,
)
async def test_list_is_complete_or_raises(world: World, fault: dict[str, Any]) -> None:
    world.sim.faults.add("list-agents", times=None, **fault)
    with pytest.raises(Unavailable), trio.fail_after(10):
        await world.queue.list_registrations()


async def test_a_failed_reading_is_repeated(world: World) -> None:
    world.sim.faults.add("list-agents", kind="drop")
    assert await world.queue.list_registrations() == []


async def test_a_rate_limit_holds_for_all_callers(world: World) -> None:
    sim = world.sim
    sim.faults.add("list-agents", status=429, headers={"retry-after": "600"})
    async with world.running():
        await world.listening()
        with pytest.raises(Unavailable) as caught:
            await world.queue.list_registrations()
        assert caught.value.retry_after == 600
        with pytest.raises(Unavailable, match="rate limit") as caught:
            await world.queue.register_runner(world.runner())
        assert caught.value.retry_after == pytest.approx(600, abs=5)
        assert sim.count("jitconfig") == 0


@pytest.mark.parametrize("sim_options", [{"flow": "offered"}])
async def test_jobs_that_cannot_be_acquired_are_left_out(world: World) -> None:
    sim = world.sim
    profile = world.profiles["linux"]
    async with world.running():
        await world.listening()
        sim.queue_jobs("linux", 2)
        await world.core.until(lambda: len(world.core.jobs) == 2)
        jobs = world.core.jobs
        foreign = Job(id="99", state="offered", ref="99")
        sim.expire_tokens("queue")
        assert await world.queue.acquire_jobs(profile, [jobs[0], foreign]) == [jobs[0]]
        sim.faults.add("acquire", status=503)
        with pytest.raises(Unavailable):
            await world.queue.acquire_jobs(profile, [jobs[1]])
        sim.faults.add("acquire", status=204, body="")
        assert await world.queue.acquire_jobs(profile, [jobs[1]]) == []


@pytest.mark.parametrize("sim_options", [{"flow": "offered"}])
@pytest.mark.parametrize("status", [400, 404, 409, 422])
async def test_a_refusal_of_all_jobs_is_no_sign_against_them(world: World, status: int) -> None:
    """The queue tells of a job once: one that was refused by mistake would wait for ever."""
    sim = world.sim
    profile = world.profiles["linux"]
    async with world.running():
        await world.listening()
        sim.queue_jobs("linux", 2)
        jobs = await world.core.until(lambda: len(world.core.jobs) == 2 and world.core.jobs)
        sim.faults.add("acquire", status=status, times=8)
        for job in jobs * 2:  # one at a time, in turns
            with pytest.raises(Unavailable, match=str(status)):
                await world.queue.acquire_jobs(profile, [job])
        for _ in range(4):
            with pytest.raises(Unavailable, match=str(status)):
                await world.queue.acquire_jobs(profile, jobs[:1])
        assert await world.queue.acquire_jobs(profile, jobs) == jobs
        sim.queue_jobs("linux")
        [*_, last] = await world.core.until(lambda: len(world.core.jobs) >= 3 and world.core.jobs)
        sim.faults.add("acquire", status=status, times=None)
        for _ in range(GIVEN_UP - 1):
            with pytest.raises(Unavailable):
                await world.queue.acquire_jobs(profile, [last])
        assert await world.queue.acquire_jobs(profile, [last]) == []  # somebody else has it


@pytest.mark.parametrize("sim_options", [{"flow": "offered"}])
async def test_one_job_that_is_refused_does_not_spoil_it_for_the_others(world: World) -> None:
    sim = world.sim
    profile = world.profiles["linux"]
    async with world.running():
        await world.listening()
        sim.queue_jobs("linux", 3)
        jobs = await world.core.until(lambda: len(world.core.jobs) == 3 and world.core.jobs)
        sim.faults.add("acquire", status=400, times=3)
        for _ in range(2):
            with pytest.raises(Unavailable):
                await world.queue.acquire_jobs(profile, jobs)
        sim.faults.add("acquire", status=400)  # for the first of them alone
        assert await world.queue.acquire_jobs(profile, jobs) == jobs[1:]


@pytest.mark.parametrize("sim_options", [{"flow": "offered"}])
@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 429}, {"kind": "lose"}], ids=str)
async def test_jobs_that_were_not_asked_for_are_not_said_to_be_lost(
    world: World, fault: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    sim, core = world.sim, world.core
    profile = world.profiles["linux"]
    async with world.running():
        await world.listening()
        sim.queue_jobs("linux", 3)
        jobs = await core.until(lambda: len(core.jobs) == 3 and core.jobs)
        sim.faults.add("acquire", status=400, times=3)
        for _ in range(2):
            with pytest.raises(Unavailable):
                await world.queue.acquire_jobs(profile, jobs)
        sim.faults.add("acquire", skip=1, **fault)  # alone, the first is given
        with pytest.raises(Unavailable):
            await world.queue.acquire_jobs(profile, jobs)
        await core.until(lambda: (jobs[0].id, "assigned") in core.states())
    assert "again and again" not in caplog.text


@pytest.mark.parametrize("sim_options", [{"flow": "offered"}])
async def test_acquiring_whose_answer_is_lost_is_told_by_the_queue(world: World) -> None:
    sim, core = world.sim, world.core
    async with world.running():
        await world.listening()
        sim.queue_jobs("linux")
        [job] = await core.until(lambda: core.jobs)
        sim.faults.add("acquire", kind="lose")
        with pytest.raises(Unavailable):
            await world.queue.acquire_jobs(world.profiles["linux"], [job])
        assert sim.count("acquire") == 1
        await core.until(lambda: (job.id, "assigned") in core.states())
        assert await world.queue.acquire_jobs(world.profiles["linux"], [job]) == []


async def test_hooks_before_the_scale_set_is_known_are_unavailable(world: World) -> None:
    profile = world.profiles["linux"]
    with pytest.raises(Unavailable):
        await world.queue.acquire_jobs(profile, [])
    with pytest.raises(Unavailable):
        await world.queue.register_runner(world.runner())
    world.sim.faults.add("find-scale-set", status=500, times=None)
    async with world.running():
        with pytest.raises(Unavailable):
            await world.queue.acquire_jobs(profile, [])
        with pytest.raises(Unavailable):
            await world.queue.register_runner(world.runner())


async def test_what_github_does_not_understand_is_a_fault(world: World) -> None:
    world.sim.faults.add("jitconfig", status=422)
    async with world.running():
        with pytest.raises(GitHubError, match="422"):
            await world.queue.register_runner(world.runner())


async def test_check_without_services_finds_all_well(world: World) -> None:
    [finding] = await world.queue.check()
    assert finding.ok
    assert "will be made" in finding.text
    assert world.sim.scale_sets == []
    world.sim.create_scale_set("linux", ["linux", "extra"])
    [finding] = await world.queue.check()
    assert "linux, extra" in finding.text
    assert world.account.transport._calls is None  # and leaves no connection open


async def test_check_without_a_good_token_leaves_it_to_github(world: World) -> None:
    world.write_token("ghp_unknown")
    world.build()
    [finding] = await world.queue.check()
    assert not finding.ok
    assert "ghp_unknown" not in repr(finding)


async def test_a_missing_github_is_told_by_check_and_refused_at_start(world: World) -> None:
    def sibling(plugin: str, cls: type[Any]) -> Any:
        raise LookupError(cls)

    world.core.sibling = sibling
    [finding] = await world.queue.check()
    assert not finding.ok
    assert "[plugins.github]" in finding.text
    assert "[plugins.github]" in finding.fix
    with pytest.raises(SettingsError, match=r"plugins\.actions-queue: .*\[plugins\.github\]"):
        await world.queue.run_service(trio.TASK_STATUS_IGNORED)


async def test_check_names_a_missing_group(world: World) -> None:
    world.own["linux"] = ActionsQueue.ProfileConfig(runner_group="Zoo")
    world.build()
    [finding] = await world.queue.check()
    assert not finding.ok
    assert "profiles.linux.actions-queue.runner_group" in finding.fix


async def test_settings_that_cannot_work_are_refused(world: World, tmp_path: Path) -> None:
    world.url = "http://github.com/acme"
    with pytest.raises(ValueError, match=r"^url: found 'http://github\.com/acme': http"):
        world.build()
    world.url = world.sim.url
    world.own["other"] = ActionsQueue.ProfileConfig(scale_set="Linux")
    with pytest.raises(SettingsError, match=r"profiles\.other\.actions-queue\.scale_set"):
        world.build()
