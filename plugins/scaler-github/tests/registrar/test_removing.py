"""Removing runners that were registered by REST, and telling those that were gone by themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from scaler import Busy, Registration, Unavailable
from scaler_github.connection import GitHub

World = Any


async def test_by_number_by_name_and_when_absent(world: World, autojump_clock: MockClock) -> None:
    known = await world.registered(1)
    await world.registered(2)
    await world.github.unregister_runner(known)
    assert world.calls("rest-delete-runner", "rest-runners") == 1
    await world.github.unregister_runner(world.runner(2))
    assert world.sim.agents == []
    for runner in (known, world.runner(2)):
        await world.github.unregister_runner(runner)
    assert world.core.told == []


async def test_a_number_counts_only_where_it_was_given(
    world: World, autojump_clock: MockClock
) -> None:
    runner = await world.registered()
    number = runner.registration.ref.rpartition("/")[2]
    elsewhere = Registration(name=runner.name, ref=f"127.0.0.1:8/orgs/zoo/{number}")
    await world.github.unregister_runner(
        replace(runner, id=9, registration=elsewhere, machine=None)
    )
    assert len(world.sim.agents) == 1


async def test_a_profile_that_is_no_more_is_looked_for_everywhere(
    world: World, autojump_clock: MockClock
) -> None:
    world.sim.add_scope("zoo")
    other = GitHub.Config(url="http://127.0.0.1:8/zoo", token=world.token)
    world.config = {"connections": {"zoo": other}}
    world.own["bench"] = GitHub.ProfileConfig(connection="zoo")
    world.build()
    await world.github.register_runner(world.runner())
    world.own.clear()
    world.build()
    await world.github.unregister_runner(world.runner())
    assert world.sim.agents == []


@pytest.mark.parametrize(
    "body", [None, {"message": "Runner 'r' is busy, they say now"}, "", {"message": 7}], ids=repr
)
async def test_c26_busy_whatever_the_refusal_says(
    world: World, body: Any, autojump_clock: MockClock
) -> None:
    runner = await world.registered()
    if body is None:
        world.sim.bring_online(runner.name)
        world.sim.queue_jobs(labels=["bench"])
    else:
        world.sim.faults.add("rest-delete-runner", status=422, body=body)
    with pytest.raises(Busy):
        await world.github.unregister_runner(runner)
    assert len(world.sim.agents) == 1


async def test_what_could_not_be_removed_is_unavailable(
    world: World, autojump_clock: MockClock
) -> None:
    runner = await world.registered()
    world.sim.faults.add("rest-delete-runner", status=503)
    with pytest.raises(Unavailable):
        await world.github.unregister_runner(runner)
    assert world.calls("rest-delete-runner") == 1  # the core asks again, with its own pauses
    await world.github.unregister_runner(runner)
    assert world.sim.agents == []


@pytest.mark.parametrize(("after", "looks"), [(0, 1), (3, 2), (8, 3)])
@pytest.mark.parametrize("known", [True, False], ids=["by number", "by name"])
async def test_a_machine_that_stopped_without_a_job_may_have_had_one(
    world: World, after: float, looks: int, known: bool, autojump_clock: MockClock
) -> None:
    runner = await world.stopped()
    if not known:
        runner = replace(runner, registration=None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.github.unregister_runner, runner)
        if after:
            await trio.sleep(after)
            assert world.core.told == []
        world.sim.remove_agent(runner.name)
    assert world.core.told == [Registration(name=runner.name, gone=True)]
    assert world.calls("rest-runner", "rest-runners") == looks
    assert world.calls("rest-delete-runner") == 0


@pytest.mark.parametrize("sim_options", [{"list_delay": 90.0}])
async def test_what_lists_do_not_show_yet_is_not_gone(
    world: World, autojump_clock: MockClock
) -> None:
    await world.github.unregister_runner(await world.stopped())
    assert world.core.told == []
    assert world.sim.agents == []


@pytest.mark.parametrize("fault", [None, {"status": 404, "act": True}], ids=str)
async def test_one_that_stays_is_removed_and_nothing_is_told(
    world: World, fault: Any, autojump_clock: MockClock
) -> None:
    """Also where GitHub does not know it any more: the connection may have sent that call twice."""
    runner = await world.stopped()
    if fault is not None:
        world.sim.faults.add("rest-delete-runner", **fault)
    began = trio.current_time()
    await world.github.unregister_runner(runner)
    assert trio.current_time() - began == pytest.approx(10)
    assert world.sim.agents == []
    assert world.core.told == []


@pytest.mark.parametrize("gone", [True, False])
async def test_one_that_was_seen_busy_is_removed_at_once(
    world: World, gone: bool, autojump_clock: MockClock
) -> None:
    runner = await world.stopped()
    runner = replace(runner, registration=replace(runner.registration, busy=True))
    if gone:
        world.sim.remove_agent(runner.name)
    began = trio.current_time()
    await world.github.unregister_runner(runner)
    assert trio.current_time() - began < 1
    assert world.calls() == 2
    assert world.core.told == [Registration(name=runner.name, gone=True)] * gone


async def test_nothing_is_told_of_one_whose_job_is_known(
    world: World, autojump_clock: MockClock
) -> None:
    runner = await world.stopped(job="7")
    world.sim.remove_agent(runner.name)
    await world.github.unregister_runner(runner)
    assert world.core.told == []
    assert world.calls() == 2
