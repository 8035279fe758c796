"""What sources deliver: once, durable, as far as there is room, and never without a reason."""

from __future__ import annotations

import itertools
import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import trio

from scaler import hookimpl
from scaler.clock import Clock
from scaler.errors import Unavailable
from scaler.ledger import Ledger, LedgerError
from scaler.records import Decline, Job, Room

if TYPE_CHECKING:
    from tests.engine.conftest import World


def judge(world: World, *declined: str) -> list[Job]:
    """A plugin that objects to these jobs; every job that it was asked about."""
    asked: list[Job] = []

    class Judge:
        def __init__(self, context: object) -> None:
            pass

        @hookimpl
        async def on_job_available(self, job: Job) -> Decline | None:
            asked.append(job)
            return Decline(reason="frozen") if job.id in declined else None

    world.plugins["judge"] = Judge
    return asked


async def test_delivered_twice_is_delivered_once(world: World, autojump_clock: object) -> None:
    asked = judge(world)
    async with world.running():
        for _ in range(3):
            await world.deliver(1, world.job(1), id="same")
        await world.deliver(1, world.job(1), id="the same in another message")
        await world.until(lambda: world.states() == {1: "booting"}, 5)
        await trio.sleep(100)
        assert len(world.machines) == 1
        assert [job.id for job in asked] == ["j1"]


async def test_the_same_message_again_confirms_nothing(
    world: World, autojump_clock: object
) -> None:
    async with world.running():
        await world.deliver(3)
        await world.until(lambda: list(world.states().values()) == ["booting"] * 3, 5)
        for _ in range(3):
            await world.deliver(0, id="the same")
        await trio.sleep(20)
        assert len(world.rows) == 3
        await world.deliver(0, id="another")
        await world.until(lambda: not world.rows, 5)


async def test_everything_of_a_message_is_durable_when_deliver_returns(
    world: World, autojump_clock: object
) -> None:
    world.rooms = []  # nothing else is written
    async with world.running(crash=True):
        await trio.sleep(100)
        await world.deliver(2, world.job(1), world.job(2, "offered"), cursor={"message": 7})
        assert await world.contexts["queue"].load("cursor/linux") == {"message": 7}
    ledger, stored = await Ledger.open(world.folder)
    await ledger.close()
    assert stored.facts["queue", "cursor/linux"] == {"message": 7}
    assert stored.demand["linux"].owed == 2
    assert {job_id for _, job_id in stored.jobs} == {"j1", "j2"}
    # no time in it lies ahead of the clock that the next run goes on with, whichever boot it is
    now = Clock({**stored.meta["clock"], "boot": "another"}).now()
    assert all(known.heard <= now for known in stored.jobs.values())
    assert stored.demand["linux"].at <= now


async def test_a_message_that_cannot_be_written_is_not_taken(
    world: World, autojump_clock: object
) -> None:
    async with world.running():
        world.disk_full = True
        with pytest.raises((LedgerError, Unavailable), match="full"):
            await world.deliver(1, world.job(1), id="m", cursor=5)
        assert await world.contexts["queue"].load("cursor/linux") is None
        world.disk_full = False
        await world.deliver(1, world.job(1), id="m", cursor=5)
        assert await world.contexts["queue"].load("cursor/linux") == 5


async def test_an_objection_keeps_an_offered_job_from_being_acquired(
    world: World, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    asked = judge(world, "j1", "j3")
    async with world.running():
        await world.until(lambda: world.engine.ceiling("linux") == 4)
        await world.deliver(
            0, world.job(1, "offered"), world.job(2, "offered"), world.job(3, "assigned")
        )
        await world.deliver(0, world.job(1, "offered"))
        await trio.sleep(100)
        assert world.acquired == [["j2"]]
        assert sorted(job.id for job in asked) == ["j1", "j2", "j3"]
        view = world.engine.view()
        assert view.waiting["linux", "j1"] == "declined by judge: frozen"
        # what is ours already is ours: it is told, and served
        text = "job j3 was declined by judge: frozen; it is assigned already"
        assert text in [event.text for event in view.events]
        assert text in caplog.text
        assert len(world.machines) == 2


async def test_the_ceiling_limits_what_is_acquired_and_the_rest_comes_later(
    world: World, autojump_clock: object
) -> None:
    world.rooms = [Room(name="a", total={"memory": 4})]
    async with world.running():
        await world.until(lambda: world.engine.ceiling("linux") == 2)
        await world.deliver(0, *(world.job(number, "offered") for number in range(5)))
        assert world.acquired == [["j0", "j1"]]
        assert "may have 2 runners" in world.engine.view().waiting["linux", "j4"]
        world.rooms = [Room(name="a", total={"memory": 6})]
        world.contexts["vm"].capacity_changed()
        await world.until(lambda: len(world.acquired) == 2, 5)
        assert world.acquired[1] == ["j2"]
        assert len(world.machines) == 3


async def test_jobs_assigned_in_the_same_message_count(
    world: World, autojump_clock: object
) -> None:
    async with world.running():
        await world.until(lambda: world.engine.ceiling("linux") == 4)
        jobs = [world.job(n, "assigned" if n < 3 else "offered") for n in range(6)]
        await world.deliver(None, *jobs)
        assert world.acquired == [["j3"]]


async def test_only_what_is_answered_is_ours(world: World, autojump_clock: object) -> None:
    """C21: a subset, and a try that fails."""
    world.script["acquire"] = [[Job(id="j1", state="assigned")], ValueError("no"), [], None]
    async with world.running():
        await world.until(lambda: world.engine.ceiling("linux") == 4)
        await world.deliver(0, world.job(1, "offered"), world.job(2, "offered"))
        assert [known.job.id for known in world.engine.state.jobs["linux"].values()] == ["j1"]
        await world.deliver(1, world.job(3, "offered"), world.job(4, "offered"))
        jobs = world.engine.state.jobs["linux"]
        assert {each: jobs[each].job.state for each in ("j3", "j4")} == {
            "j3": "offered",
            "j4": "offered",
        }
        await world.until(lambda: "j3" not in jobs or jobs["j3"].job.state == "assigned", 70)


async def test_a_full_profile_does_not_make_its_offers_wait(
    world: World, autojump_clock: object
) -> None:
    """Told of again and again while there is no room, a job is acquired at once when there is."""
    world.rooms = []
    async with world.running():
        for _ in range(8):
            await world.deliver(0, world.job(1, "offered"))
            await trio.sleep(1)
        world.rooms = [Room(name="a")]
        world.contexts["vm"].capacity_changed()
        await world.until(lambda: world.acquired, 2)


async def test_a_source_that_cannot_acquire_is_not_asked_without_end(
    world: World, autojump_clock: object
) -> None:
    del world.plugins["queue"].acquire_jobs
    async with world.running():
        await world.deliver(0, world.job(1, "offered"))
        version = world.engine.state.version
        await trio.sleep(1)
        assert world.engine.state.version - version < 20


async def test_a_job_that_no_profile_serves_is_told(
    world: World, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    async with world.running():
        await world.deliver(
            None,
            Job(id="1", state="assigned", labels=("self-hosted", "GPU")),
            Job(id="2", state="assigned", labels=("gpu", "windows")),
            Job(id="3", state="assigned"),
            profile=None,
        )
        assert set(world.engine.state.jobs["linux"]) == {"1"}
        with pytest.raises(LookupError, match="no profile 'mac'"):
            await world.deliver(1, profile="mac")
    assert "job 2 is served by no profile: none has all of its labels (gpu, windows)" in caplog.text
    assert "job 3 is served by no profile" in caplog.text


async def test_what_is_over_stays_over(world: World, autojump_clock: object) -> None:
    """A message that comes late does not bring a job back, and makes no machine for it."""
    asked = judge(world)
    async with world.running():
        await world.deliver(0, world.job(1, "done", "linux.7@host", result="succeeded"))
        await world.deliver(0, world.job(1, "running", "linux.7@host"))
        await world.deliver(0, world.job(1, "assigned"), world.job(1, "offered"))
        await world.deliver(0, world.job(1, "done", "linux.7@host", result="succeeded"))
        await trio.sleep(5)
        assert not world.rows
        assert world.engine.state.jobs["linux"] == {}
        assert len(world.engine.view().jobs) == 1
        assert asked == []
    ledger, stored = await Ledger.open(world.folder)
    await ledger.close()
    assert stored.jobs == {}


async def test_started_and_completed_in_every_order_for_two_runners(
    world: World, autojump_clock: object
) -> None:
    """C18: reversed, twice, and for runners that nobody knows."""
    world.profiles["linux"] = replace(world.profiles["linux"], max_count=1000)
    world.rooms = [Room(name="a")]

    def both_are(states: dict[int, str]) -> bool:
        return world.states() == states

    async with world.running():
        first = 1
        orders = list(itertools.permutations([(0, "running"), (0, "done"), (1, "running"),
                                              (1, "done")]))  # fmt: skip
        for order in orders[::5]:
            await world.deliver(2)
            both = {first: "booting", first + 1: "booting"}
            await world.until(partial(both_are, both), 60)
            for which, state in (*order, *order):
                number = first + which
                job = world.job(number, state, world.name(number))  # type: ignore[arg-type]
                await world.deliver(2, job, world.job(9000, state, "linux.9000@host"))  # type: ignore[arg-type]
                assert 9000 not in world.rows
            await world.deliver(0)
            await world.until(lambda: not world.rows, 60)
            first = world.engine.state.next_id
        assert not world.machines
        assert not world.agents


async def test_a_lower_demand_is_not_believed_at_once(
    world: World, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with world.running():
        await world.deliver(3)
        await world.until(lambda: list(world.states().values()) == ["booting"] * 3, 5)
        await world.deliver(0)
        await world.deliver(3)
        await trio.sleep(60)
        assert len(world.rows) == 3
        await world.deliver(1)
        began = trio.current_time()
        await world.until(lambda: len(world.rows) == 1, 60)
        assert trio.current_time() - began >= 29
        assert list(world.rows) == [1]  # the newest went first


async def test_ceilings_are_told(world: World, autojump_clock: object) -> None:
    seen: list[int] = []

    async def watch(context: Any) -> None:
        ceiling = context.ceiling("linux")
        while True:
            seen.append(ceiling)
            ceiling = await context.ceiling_changed("linux", ceiling)

    async with world.running():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch, world.contexts["queue"])
            await trio.sleep(40)
            world.rooms = [Room(name="a", total={"memory": 3})]
            world.contexts["vm"].capacity_changed()
            await trio.sleep(1)
            world.engine.stop()
            await trio.sleep(1)
            nursery.cancel_scope.cancel()
        assert seen[-3:] == [4, 1, 0]


async def test_a_new_place_knows_nothing_of_what_was_assigned_before(
    world: World, autojump_clock: object
) -> None:
    world.rooms = []
    async with world.running():
        running = replace(world.job(3, "running"), runner_name="")
        await world.deliver(2, world.job(1), world.job(2, "offered"), running)
        await world.deliver(0, world.job(2), id="elsewhere", reset=True)
        assert set(world.engine.state.jobs["linux"]) == {"j2"}
        await world.deliver(1, world.job(1, "offered"), id="and again")
        assert world.engine.state.jobs["linux"]["j1"].job.state == "offered"


async def test_a_job_that_its_own_message_does_not_owe_is_forgotten_in_the_end(
    world: World, autojump_clock: object
) -> None:
    """Totals of 0 were seen beside assigned jobs; and a plugin may take its time to object."""

    class Slow:
        def __init__(self, context: object) -> None:
            pass

        @hookimpl
        async def on_job_available(self, job: Job) -> None:
            await trio.sleep(2)

    world.plugins["slow"] = Slow
    async with world.running():
        await world.deliver(0, world.job(1))
        await world.until(lambda: len(world.machines) == 1, 5)
        await trio.sleep(300)
        assert world.engine.state.jobs["linux"]
        await world.until(lambda: not world.engine.state.jobs["linux"], 100)
