"""Reservations as labels: all three, or an error and none once it is taken back (C27)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from scaler import (
    Busy,
    Gone,
    Profile,
    Refused,
    Reservation,
    RunnerState,
    SettingsError,
    Unavailable,
)

World = Any
Reserve = Callable[..., Reservation]
WANTED = ["reserved-for:u-1", "reserved-since:1700000000", "reserved-by:acme/web/actions/runs/77"]


async def test_reserved_and_taken_back(
    world: World, reserve: Reserve, autojump_clock: MockClock
) -> None:
    runner = await world.registered()
    before = world.calls()
    await world.github.reserve_runner(runner, reserve())
    assert world.calls() - before == 1
    assert world.labels() == ["self-hosted", "bench", *WANTED]
    await world.github.reserve_runner(runner, None)
    assert world.labels() == ["self-hosted", "bench"]
    await world.github.reserve_runner(runner, None)


async def test_by_name_where_its_number_is_not_known(
    world: World, reserve: Reserve, autojump_clock: MockClock
) -> None:
    await world.registered()
    await world.github.reserve_runner(world.runner(), reserve())
    assert world.reserved() == WANTED
    await world.github.reserve_runner(world.runner(), None)
    assert world.reserved() == []


async def test_an_older_reservation_does_not_stay(
    world: World, reserve: Reserve, autojump_clock: MockClock
) -> None:
    runner = await world.registered()
    await world.github.reserve_runner(runner, reserve("u-0", run_id="1"))
    await world.github.reserve_runner(runner, reserve("U-1"))
    assert sorted(world.reserved()) == sorted([WANTED[0].replace("u", "U"), *WANTED[1:]])
    await world.github.reserve_runner(runner, reserve("u-1"))  # GitHub keeps how it was written
    assert len(world.reserved()) == 3


async def test_a_profiles_own_label_is_none_of_a_reservation(
    world: World, reserve: Reserve, autojump_clock: MockClock
) -> None:
    own = ("reserved-gpu", "Reserved-Forest")
    world.profiles["bench"] = replace(world.profiles["bench"], labels=own)
    world.build()
    runner = await world.registered(state=RunnerState.IDLE)
    await world.listed()  # the first list after a start takes away what a crash has left
    await world.github.reserve_runner(runner, reserve("u-0"))
    await world.github.reserve_runner(runner, reserve())
    assert sorted(world.labels()) == sorted(["self-hosted", *own, *WANTED])
    await world.github.reserve_runner(runner, None)
    assert world.labels() == ["self-hosted", *own]


@pytest.mark.parametrize("label", ["reserved-for:me", "Reserved-Since:x", "reserved-by:"])
async def test_a_profiles_label_that_looks_like_a_reservations_is_refused(
    world: World, label: str
) -> None:
    labels = ("bench", label)
    world.profiles["linux"] = Profile(name="linux", labels=labels, source="actions-queue")
    world.own["linux"] = world.own["bench"]
    world.build()  # those of a queue are nobody's business here
    world.profiles["bench"] = replace(world.profiles["bench"], labels=labels)
    with pytest.raises(SettingsError) as caught:
        world.build()
    [problem] = caught.value.problems
    assert problem.startswith(f'profiles.bench.labels: found "{label}", wanted none that begins')


@pytest.mark.parametrize(
    "unique_id", ["a/b", "ä ö", "50%", "x?y#z", "a,b", "..", "reserved-for:x", "+"]
)
async def test_odd_names_are_taken_back_too(
    world: World, reserve: Reserve, unique_id: str, autojump_clock: MockClock
) -> None:
    runner = await world.registered()
    await world.github.reserve_runner(runner, reserve(unique_id))
    assert f"reserved-for:{unique_id}" in world.labels()
    await world.github.reserve_runner(runner, None)
    assert world.reserved() == []


async def test_the_calls_of_a_reserved_job(
    world: World, reserve: Reserve, autojump_clock: MockClock
) -> None:
    """With two for a selector's artifact it may be five."""
    runner = await world.stopped()
    world.sim.bring_online(runner.name)
    [job] = world.sim.queue_jobs(labels=["bench", "reserved-for:u-1"])
    await world.github.reserve_runner(runner, reserve())
    assert job.runner_name == runner.name
    world.sim.finish_job(job)
    await world.github.unregister_runner(runner)
    assert world.core.told
    assert world.calls() == 3


@pytest.mark.parametrize("failing", [1, 2, 3])
async def test_c27_a_label_that_fails_leaves_none(
    world: World, reserve: Reserve, failing: int, autojump_clock: MockClock
) -> None:
    runner = await world.registered()
    world.sim.options.fail_labels = [failing]
    began = trio.current_time()
    with pytest.raises(Unavailable, match="500 to label runner"):
        await world.github.reserve_runner(runner, reserve())
    assert len(world.reserved()) == 2
    await world.released(runner)
    assert trio.current_time() - began < 1
    assert world.labels() == ["self-hosted", "bench"]
    await world.github.reserve_runner(runner, reserve())
    assert world.reserved() == WANTED


@pytest.mark.parametrize(
    "more",
    [
        ("rest-runner", {"status": 502}),
        ("rest-runner", {"kind": "drop"}),
        ("rest-delete-label", {"status": 502}),
        ("rest-delete-label", {"kind": "lose"}),
        ("rest-delete-label", {"status": 204, "body": ""}),
        ("rest-delete-label", {"status": 404}),
        ("rest-delete-label", {"status": 404, "skip": 1}),
    ],
    ids=str,
)
async def test_c27_what_fails_once_more_leaves_none_all_the_same(
    world: World, reserve: Reserve, more: tuple[str, Any], autojump_clock: MockClock
) -> None:
    """None is left when it says so, and it says so soon."""
    runner = await world.registered()
    world.sim.options.fail_labels = [3]
    world.sim.faults.add(more[0], **more[1])
    began = trio.current_time()
    with pytest.raises(Unavailable):
        await world.github.reserve_runner(runner, reserve())
    assert world.reserved() == WANTED[:2]
    with pytest.raises(Unavailable):
        await world.github.reserve_runner(runner, None)
    await world.released(runner)
    assert trio.current_time() - began < 5
    assert world.reserved() == []


@pytest.mark.parametrize(
    "fault",
    [{"kind": "lose"}, {"kind": "truncate"}, {"fields": {"labels": None}}, {"kind": "hang"}],
    ids=str,
)
async def test_c27_an_answer_that_is_lost_leaves_none(
    world: World, reserve: Reserve, fault: dict[str, Any], autojump_clock: MockClock
) -> None:
    runner = await world.registered()
    world.sim.faults.add("rest-add-labels", **fault)
    with pytest.raises(Unavailable), trio.fail_after(10):
        await world.github.reserve_runner(runner, reserve())
    assert world.reserved() == ([] if fault == {"kind": "hang"} else WANTED)
    await world.released(runner)
    assert world.labels() == ["self-hosted", "bench"]


async def test_c27_a_label_that_is_left_out_is_no_success(
    world: World, reserve: Reserve, autojump_clock: MockClock
) -> None:
    runner = await world.registered()
    labels = [{"name": name} for name in ["self-hosted", *WANTED[:2]]]
    world.sim.faults.add("rest-add-labels", fields={"labels": labels})
    with pytest.raises(Unavailable, match="not put every label"):
        await world.github.reserve_runner(runner, reserve())
    await world.released(runner)
    assert world.reserved() == []


async def test_c27_an_outage_is_outlasted(
    world: World, reserve: Reserve, autojump_clock: MockClock
) -> None:
    runner = await world.registered()
    world.sim.options.fail_labels = [3]
    async with world.running():
        world.sim.faults.add("rest-runner", status=503, times=6)
        with pytest.raises(Unavailable), trio.fail_after(10):
            await world.github.reserve_runner(runner, reserve())
        await world.released(runner)
        assert world.reserved() == []
        assert world.calls("rest-runner") == 7  # and then nobody asks any more
        await trio.sleep(3600)
        assert world.calls("rest-runner") == 7


@pytest.mark.parametrize("told", ["registration", "list", "state", "job"])
async def test_who_is_busy_is_not_reserved(
    world: World, reserve: Reserve, told: str, autojump_clock: MockClock
) -> None:
    runner = await world.registered()
    if told == "list":
        world.sim.bring_online(runner.name)
        world.sim.queue_jobs(labels=["bench"])
        await world.listed()
        await world.listed()
    elif told == "state":
        runner = replace(runner, state=RunnerState.BUSY)
    elif told == "job":
        runner = replace(runner, job="7")
    else:
        runner = replace(runner, registration=replace(runner.registration, busy=True))
    with pytest.raises(Busy):
        await world.github.reserve_runner(runner, reserve())
    assert world.calls("rest-add-labels") == 0


async def test_who_has_begun_its_job_is_not_taken_back(
    world: World, reserve: Reserve, autojump_clock: MockClock
) -> None:
    """The core has not heard of it yet; the labels say whose job it is."""
    runner = await world.registered()
    async with world.running():
        await world.github.reserve_runner(runner, reserve())
        world.sim.bring_online(runner.name)
        [job] = world.sim.queue_jobs(labels=["bench", "reserved-for:u-1"])
        assert job.runner_name == runner.name
        before = world.calls()
        with pytest.raises(Busy, match="runs a job"):
            await world.github.reserve_runner(runner, None)
        await trio.sleep(60)  # nor later
        assert world.reserved() == WANTED
        assert world.calls() - before == 1
        world.sim.finish_job(job)
        with pytest.raises(Gone):  # with its one job
            await world.github.reserve_runner(runner, None)


async def test_taking_back_does_not_trust_an_answer_without_labels(
    world: World, reserve: Reserve, autojump_clock: MockClock
) -> None:
    runner = await world.registered()
    await world.github.reserve_runner(runner, reserve())
    world.sim.faults.add("rest-runner", fields={"labels": None})
    with pytest.raises(Unavailable, match="tells no labels"):
        await world.github.reserve_runner(runner, None)
    await world.released(runner)
    assert world.reserved() == []
    assert world.calls("rest-runner") == 2


async def test_the_calls_of_taking_back(
    world: World, reserve: Reserve, autojump_clock: MockClock
) -> None:
    """One look, and one for each label."""
    runner = await world.registered()
    await world.github.reserve_runner(runner, reserve())
    before = world.calls()
    await world.github.reserve_runner(runner, None)
    assert world.calls() - before == 4


async def test_who_is_gone_is_not_reserved(
    world: World, reserve: Reserve, autojump_clock: MockClock
) -> None:
    runner = await world.registered()
    world.sim.remove_agent(runner.name)
    for wanted in (reserve(), None):
        with pytest.raises(Gone, match=r"knows no runner bench\.1@host-1"):
            await world.github.reserve_runner(runner, wanted)
    # by its name alone, nothing is certain: new ones are not shown at once
    with pytest.raises(Unavailable, match=r"knows no runner bench\.1@host-1"):
        await world.github.reserve_runner(world.runner(), reserve())
    await world.github.reserve_runner(world.runner(), None)


async def test_labels_that_github_does_not_take_are_refused(
    world: World, reserve: Reserve, autojump_clock: MockClock
) -> None:
    runner = await world.registered()
    with pytest.raises(Refused) as caught:
        await world.github.reserve_runner(runner, reserve("x" * 300))
    assert caught.value.code == "labels-refused"
    assert world.reserved() == []


@pytest.mark.parametrize("known", [False, True], ids=["told now", "told before"])
async def test_a_rate_limit_is_told_and_nothing_more_is_asked(
    world: World, reserve: Reserve, known: bool, autojump_clock: MockClock
) -> None:
    runner = await world.registered()
    world.sim.limit_secondarily(60)
    async with world.running():
        if known:
            with pytest.raises(Unavailable):
                await world.listed()
        with pytest.raises(Unavailable) as caught:
            await world.github.reserve_runner(runner, reserve())
        assert caught.value.retry_after is not None
        assert math.isclose(caught.value.retry_after, 60, abs_tol=1)
        await trio.sleep(300)
    assert world.calls("rest-runner") == 0
    assert world.calls("rest-add-labels") == (0 if known else 1)


async def test_a_missing_right_is_told_and_nothing_more_is_asked(
    world: World, reserve: Reserve, autojump_clock: MockClock
) -> None:
    runner = await world.registered()
    world.sim.faults.add("rest-add-labels", status=403)
    async with world.running():
        with pytest.raises(Unavailable, match="403"):
            await world.github.reserve_runner(runner, reserve())
        await trio.sleep(300)
    assert world.calls("rest-runner") == 0


async def test_the_last_calls_are_kept_for_runners(
    world: World, reserve: Reserve, autojump_clock: MockClock
) -> None:
    world.sim.limit_rate(500)
    runner = await world.registered()
    with pytest.raises(Unavailable, match="kept for runners"):
        await world.listed()
    await world.github.reserve_runner(runner, reserve())
    await world.github.unregister_runner(runner)
    assert world.calls("rest-runners") == 0
