"""Profiles that come, change and leave while the listeners run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import trio

from scaler import (
    Duration,
    Profile,
    Registration,
    Runner,
    RunnerState,
    SettingsChange,
    SettingsError,
    Unavailable,
)
from scaler_github.queue import ActionsQueue
from scaler_github.queue.lines import Line
from scaler_github.queue.runners import left_behind

World = Any
Own = ActionsQueue.ProfileConfig
REGISTERED = Registration(name="r", ref="1")


def session(world: World, name: str) -> Any:
    return next((one.session for one in world.sim.scale_sets if one.name == name), None)


async def changes(world: World, **told: Any) -> list[str]:
    answer: list[str] = await world.queue.on_settings_changed(SettingsChange(**told))
    return answer


def add(world: World, name: str, **own: Any) -> None:
    world.profiles[name] = Profile(name=name, source="actions-queue")
    world.own[name] = Own(**own)


async def test_one_that_is_new_is_listened_for(world: World) -> None:
    async with world.running():
        await world.listening()
        add(world, "bench")
        assert await changes(world, added=("bench",)) == []
        await world.sim.wait_for(lambda: session(world, "bench") is not None)
        runner = replace(world.runner(), profile="bench", name="bench.1@host-1")
        assert (await world.queue.register_runner(runner)).name == runner.name


async def test_one_that_left_is_not_and_its_scale_set_stays(world: World) -> None:
    async with world.running():
        await world.listening()
        del world.own["linux"]
        await changes(world, removed=("linux",))
        assert session(world, "linux") is None
        assert "session/linux" not in world.core.store
        assert list(world.queue.lines) == []
        with pytest.raises(Unavailable, match="nobody listens"):
            await world.queue.register_runner(world.runner())
        world.own["linux"] = Own()
        await changes(world, added=("linux",))  # it was made here: it is ours again
        await world.sim.wait_for(lambda: session(world, "linux") is not None)
        assert len(world.sim.scale_sets) == 1


async def test_what_is_in_hand_is_finished_first(world: World) -> None:
    """It is delivered, and deleted."""
    began, goes_on = trio.Event(), trio.Event()

    async def slow(message: Any) -> None:
        if message.jobs:
            began.set()
            await goes_on.wait()

    world.core.deliver_hook = slow
    async with world.running():
        await world.listening()
        [job] = world.sim.queue_jobs("linux")
        await began.wait()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.queue.lines.leave, "linux")
            await trio.sleep(0.05)
            assert session(world, "linux") is not None
            goes_on.set()
        assert world.core.states() == [(str(job.request_id), "assigned")]
        assert world.sim.count("delete-message") == 1
        assert session(world, "linux") is None


async def test_what_concerns_others_changes_nothing(world: World) -> None:
    """Such as max_count: the session stays the same."""
    async with world.running():
        await world.listening()
        before = session(world, "linux")
        world.profiles["linux"] = replace(world.profiles["linux"], max_count=7)
        await changes(world, changed=("linux",))
        assert session(world, "linux") is before is not None


async def test_labels_are_changed_at_the_scale_set(world: World) -> None:
    async with world.running():
        await world.listening()
        before = session(world, "linux")
        world.profiles["linux"] = replace(world.profiles["linux"], labels=("new",))
        await changes(world, changed=("linux",))
        await world.sim.wait_for(lambda: session(world, "linux") not in (None, before))
        [one] = world.sim.scale_sets
        assert [label["name"] for label in one.labels] == ["linux", "new"]


async def test_another_scale_set_is_listened_to(world: World) -> None:
    """The old one stays, without a session and without runners that wait for a job in vain."""
    async with world.running():
        await world.listening()
        made = await world.queue.register_runner(world.runner())
        row = world.runner(source="actions-queue", registration=made)
        row = replace(row, state=RunnerState.IDLE)
        view = type("View", (), {"runners": (row,), "jobs": (), "profiles": {}})()
        world.core.view = lambda: view
        world.own["linux"] = Own(scale_set="other")
        await changes(world, changed=("linux",))
        await world.sim.wait_for(lambda: session(world, "other") is not None)
        assert session(world, "linux") is None
        await world.core.until(lambda: world.core.registrations)
        assert world.sim.agents == []
        assert [(each.name, each.gone) for each in world.core.registrations] == [(row.name, True)]


async def test_one_that_is_registered_meanwhile_is_of_no_use(world: World) -> None:
    async with world.running():
        await world.listening()
        world.sim.faults.add("jitconfig", kind="delay", delay=0.5)

        async def change() -> None:
            await world.sim.wait_for(lambda: world.sim.count("jitconfig") == 1)
            world.own["linux"] = Own(scale_set="other")
            await changes(world, changed=("linux",))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(change)
            with pytest.raises(Unavailable, match="another scale set meanwhile"):
                await world.queue.register_runner(world.runner())


async def test_a_new_name_waits_for_the_old_one_to_leave(world: World) -> None:
    """A profile is renamed, and its scale set is not."""
    async with world.running():
        await world.listening()
        add(world, "renamed", scale_set="LINUX")
        await changes(world, added=("renamed",))
        line = [each for each in world.core.reports if each[3] == "renamed"][-1]
        assert (line[1], line[2]) == (
            "profile linux still listens to scale set LINUX: waits for that",
            False,
        )
        assert list(world.queue.lines) == ["linux"]
        del world.own["linux"]
        await changes(world, removed=("linux",))
        assert list(world.queue.lines) == ["renamed"]


async def test_a_connection_that_is_unknown_is_told_and_the_rest_goes_on(world: World) -> None:
    async with world.running():
        await world.listening()
        before = session(world, "linux")
        world.own["linux"] = Own(connection="lba")
        add(world, "bench")
        assert await changes(world, added=("bench",), changed=("linux",)) == []
        line = [each for each in world.core.reports if each[3] == "linux" and not each[2]][-1]
        assert '"lba"' in line[1]
        await world.sim.wait_for(lambda: session(world, "bench") is not None)
        assert session(world, "linux") is before, "as it was"
        assert await world.queue.list_registrations() == []
        await world.queue.unregister_runner(world.runner())


async def test_a_connection_that_is_unknown_is_refused_before_anything_changes(
    world: World,
) -> None:
    world.queue.validate()
    world.own["linux"] = Own(connection="lba")
    with pytest.raises(SettingsError, match=r"linux\.actions-queue\.connection: .*\"lba\""):
        world.queue.validate()


async def test_c48_a_scale_set_is_left_when_nothing_is_assigned_there(world: World) -> None:
    """Its jobs are told to whoever listens there, and to nobody else."""
    async with world.running():
        await world.listening()
        [job] = world.sim.queue_jobs("linux")
        await world.core.until(lambda: world.core.states() == [(str(job.request_id), "assigned")])
        world.own["linux"] = Own(scale_set="other")
        [told] = await changes(world, changed=("linux",))
        assert told.startswith("profiles.linux.actions-queue: scale set linux is left by itself")
        assert "(1 now): do not restart before" in told
        [old] = world.sim.scale_sets
        await world.sim.wait_for(lambda: old.capacity == 0)
        await world.core.until(lambda: [each for each in world.core.reports if not each[2]])
        [later] = world.sim.queue_jobs("linux")
        made = await world.queue.register_runner(world.runner())
        assert made.name in old.agents
        await trio.sleep(0.2)
        assert session(world, "linux") is not None
        assert session(world, "other") is None
        assert later.state == "queued", "GitHub was told of no room"
        world.sim.bring_online(made.name)
        await world.sim.wait_for(lambda: job.state == "running")
        world.sim.finish_job(job)
        await world.sim.wait_for(lambda: session(world, "other") is not None)
        assert session(world, "linux") is None
        assert await changes(world, changed=("linux",)) == []
        [*_, line] = [each for each in world.core.reports if each[3] == ""]
        assert line[2], "nothing is said of it any more"


async def test_a_scale_set_that_was_left_is_gone_back_to(world: World) -> None:
    async with world.running():
        await world.listening()
        world.sim.queue_jobs("linux")
        await world.core.until(world.core.states)
        world.own["linux"] = Own(scale_set="other")
        await changes(world, changed=("linux",))
        [old] = world.sim.scale_sets
        await world.sim.wait_for(lambda: old.capacity == 0)
        world.own["linux"] = Own()
        assert await changes(world, changed=("linux",)) == []
        await world.sim.wait_for(lambda: old.capacity == 4)
        await trio.sleep(0.1)
        assert [each.name for each in world.sim.scale_sets] == ["linux"]


async def test_one_that_never_listened_goes_to_its_new_scale_set(world: World) -> None:
    """A runner group of a wrong name has no scale set, and no jobs."""
    world.own["linux"] = Own(runner_group="none such")
    async with world.running():
        await world.core.until(lambda: [each for each in world.core.reports if not each[2]])
        world.own["linux"] = Own()
        assert await changes(world, changed=("linux",)) == []
        await world.sim.wait_for(lambda: session(world, "linux") is not None)


async def test_a_listener_that_is_left_while_the_service_begins_anew(world: World) -> None:
    """The new one is another, and stays."""
    began, goes_on = trio.Event(), trio.Event()
    queue = world.queue

    async def slow(message: Any) -> None:
        if message.jobs:
            began.set()
            with trio.CancelScope(shield=True):
                await goes_on.wait()

    world.core.deliver_hook = slow
    async with world.running(), trio.open_nursery() as leaving:
        await world.listening()
        world.sim.queue_jobs("linux")
        await began.wait()
        old = queue.lines["linux"]
        leaving.start_soon(queue.lines.leave, "linux")
        await trio.sleep(0.05)
        new = Line(old.listener, old.account, old.terms)
        queue.lines._lines["linux"] = new
        goes_on.set()
        await old.over.wait()
        await trio.sleep(0.05)
        assert queue.lines["linux"] is new
        assert "linux" in queue.lines.states
        new.over.set()


async def test_poll_timeout_counts_from_the_next_poll_on(world: World) -> None:
    async with world.running():
        await world.listening()
        world.queue._context.config = ActionsQueue.Config(poll_timeout=Duration(7))
        await changes(world, config=True)
        assert world.queue.lines["linux"].listener.poll_timeout == 7


async def test_the_service_need_not_run(world: World) -> None:
    """It begins with what there is then."""
    add(world, "bench")
    await changes(world, config=True, added=("bench",))
    async with world.running():
        await world.sim.wait_for(lambda: world.sim.count("poll") == 2)
        assert set(world.queue.lines) == {"linux", "bench"}


def test_who_waits_for_a_job_in_vain() -> None:
    def runner(number: int, state: RunnerState, **more: Any) -> Runner:
        given = {"profile": "linux", "source": "q", "registration": REGISTERED, **more}
        return Runner(id=number, name=f"r{number}", state=state, **given)

    states = RunnerState
    runners = [
        runner(4, states.IDLE),
        runner(2, states.BOOTING),
        runner(3, states.BUSY),
        runner(5, states.IDLE, job="7"),
        runner(6, states.IDLE, registration=replace(REGISTERED, busy=True)),
        runner(7, states.IDLE, profile="other"),
        runner(8, states.IDLE, source="other"),
        runner(9, states.PLANNED, registration=None),
        runner(10, states.RETIRING),
    ]
    assert [each.id for each in left_behind(runners, "linux", "q")] == [2, 4]
