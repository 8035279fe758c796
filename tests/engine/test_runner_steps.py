"""One runner at a time: made, retired, and every way in which that can fail."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
import trio

from scaler import hookimpl
from scaler.errors import NoRoom, Unavailable
from scaler.records import Machine, Registration, Room, Runner

if TYPE_CHECKING:
    from tests.engine.conftest import World


async def test_from_a_job_to_nothing_left(world: World, autojump_clock: object) -> None:
    async with world.running():
        await world.deliver(1, world.job(1))
        await world.until(lambda: world.states() == {1: "booting"}, 5)
        assert world.calls[-2:] == ["register 1", "provision 1"]
        world.online(1)
        assert world.states() == {1: "idle"}
        world.works(1)
        await world.deliver(1, world.job(1, "running", world.name(1)))
        assert world.rows[1].runner.job == "j1"
        assert world.states() == {1: "busy"}
        world.agents.clear()
        await world.deliver(0, world.job(1, "done", world.name(1), result="succeeded"))
        world.stop_machine(1)
        await world.until(lambda: not world.rows, 5)
        assert world.calls[-2:] == ["unregister 1", "destroy 1"]
        assert not world.machines
        view = world.engine.view()
        assert "s3cret" not in repr(view)
        assert next(e.text for e in view.events if e.runner == 1).endswith("is planned")


async def test_the_same_with_real_time_and_the_ledgers_thread(real_world: World) -> None:
    world = real_world
    async with world.running():
        await world.deliver(2, world.job(1), world.job(2))
        with trio.fail_after(5):
            while list(world.states().values()) != ["booting"] * 2:
                await world.engine.next_view(world.engine.view())
    assert len(world.machines) == 2
    connection = sqlite3.connect(world.folder / "ledger.sqlite3")
    rows = [json.loads(row) for (row,) in connection.execute("SELECT row FROM runners")]
    connection.close()
    assert [row["runner"]["state"] for row in rows] == ["booting", "booting"]


async def test_the_row_is_durable_before_each_step(world: World, autojump_clock: object) -> None:
    seen: list[tuple[str, int]] = []

    def look(what: str) -> None:
        connection = sqlite3.connect(world.folder / "ledger.sqlite3")
        [row] = [json.loads(row) for (row,) in connection.execute("SELECT row FROM runners")]
        connection.close()
        known = row["runner"]
        seen.append((what, bool(known["registration"]) + bool(row["unregistered"])))

    for hook in ("register", "provision", "unregister", "destroy"):
        world.script[hook] = [lambda hook=hook: look(hook)]
    async with world.running():
        await world.deliver(1)
        await world.until(lambda: world.states() == {1: "booting"}, 5)
        await world.deliver(0)
        await world.until(lambda: not world.rows)
    assert seen == [("register", 0), ("provision", 1), ("unregister", 1), ("destroy", 2)]


@pytest.mark.parametrize(
    "failure",
    [ValueError("no"), Unavailable("away"), "nonsense", None],
    ids=["error", "unavailable", "wrong type", "hang"],
)
async def test_what_cannot_be_registered_is_removed_by_name(
    world: World, autojump_clock: object, failure: object
) -> None:
    world.script["register"] = [world.HANG if failure is None else failure]
    async with world.running():
        await world.deliver(1)
        await world.until(lambda: world.states() == {2: "booting"}, 120)
        assert world.count("unregister 1") == 1
        assert "provision 1" not in world.calls
        assert not world.count("destroy 1")  # nobody was asked for its machine
        assert set(world.agents) == {"linux.2@host"}


async def test_what_cannot_be_registered_takes_no_room_while_the_source_refuses(
    world: World, autojump_clock: object
) -> None:
    world.rooms = [Room(name="a", total={"memory": 2})]  # for one
    world.script["register"] = [Unavailable("401")] * 2
    world.script["unregister"] = [Unavailable("401")] * 40
    async with world.running():
        await world.deliver(1)
        await world.until(lambda: len(world.rows) == 2, 20)
        assert "401" in world.engine.view().profiles["linux"].why
        await world.until(lambda: world.states() == dict.fromkeys((1, 2), "retiring"), 20)
        await world.until(lambda: world.states().get(3) == "booting", 60)
        assert world.states()[1] == "retiring", "it is still asked for, by name"
    assert not world.count("destroy 1")


@pytest.mark.parametrize(
    "failure",
    [ValueError("no"), NoRoom("full"), Registration(name="x"), None],
    ids=["error", "no room", "wrong type", "hang"],
)
async def test_what_cannot_be_provisioned_is_removed_on_both_sides(
    world: World, autojump_clock: object, failure: object
) -> None:
    world.script["provision"] = [world.HANG if failure is None else failure]
    async with world.running():
        await world.deliver(1)
        await world.until(lambda: world.states() == {2: "booting"}, 300)
        if failure is None:
            assert world.times("unregister 1")[0] - world.times("provision 1")[0] >= 240
        assert world.count("unregister 1") == world.count("destroy 1") == 1
        assert set(world.agents) == {"linux.2@host"}
        assert set(world.machines) == {2}


async def test_a_machine_that_comes_after_its_deadline_is_found(
    world: World, autojump_clock: object
) -> None:
    def late() -> None:
        world.machines[1] = Machine(runner=1, id="late", room="a", runner_name="linux.1@host")

    world.script["provision"] = [world.HANG]
    async with world.running():
        await world.deliver(1)
        await world.until(lambda: world.states() == {2: "booting"}, 300)
        late()
        await world.until(lambda: set(world.machines) == {2}, 60)
        assert world.states() == {2: "booting"}


async def test_every_failure_waits_longer_and_takes_a_new_id(
    world: World, autojump_clock: object
) -> None:
    world.script["register"] = [ValueError("no"), NoRoom(), Unavailable("x")] * 3 + [NoRoom()]
    async with world.running():
        await world.deliver(1)
        await world.until(lambda: world.states() == {11: "booting"}, 900)
        began = world.times("register")
        waits = [round(b - a) for a, b in pairwise(began)]
        assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
        # while it waits, it says so; and after three it promises nothing
        assert "came to nothing" in " ".join(e.text for e in world.engine.view().events)
        # a job that runs makes good for all of it
        world.works(11)
        await world.deliver(1, world.job(1, "running", world.name(11)))
        assert world.engine.state.backoffs.profiles == {}


async def test_a_source_that_says_when_is_believed(world: World, autojump_clock: object) -> None:
    world.script["register"] = [Unavailable("limit", retry_after=90)]
    async with world.running():
        await world.deliver(1)
        await world.until(lambda: world.states() == {2: "booting"}, 200)
        first, second = world.times("register")
        assert second - first >= 90


async def test_a_room_that_failed_is_passed_over(world: World, autojump_clock: object) -> None:
    world.rooms = [Room(name="a", total={"memory": 8}), Room(name="b", total={"memory": 8})]
    world.script["provision"] = [NoRoom("a is full after all")]
    async with world.running():
        await world.deliver(1)
        await world.until(lambda: world.states() == {2: "booting"})
        assert world.rows[2].runner.room == "b"


async def test_busy_sends_it_back_and_it_is_asked_again_after_30_s(
    world: World, autojump_clock: object
) -> None:
    world.tick = 400.0  # not by the slow look at everything
    async with world.running():
        await world.deliver(1, world.job(1))
        await world.until(lambda: world.states() == {1: "booting"}, 5)
        world.works(1)
        # C19: completed, while it works on
        await world.deliver(0, world.job(1, "done", world.name(1), result="succeeded"))
        await world.until(lambda: world.count("unregister 1") == 1, 5)
        assert world.states() == {1: "busy"}
        await world.until(lambda: world.count("unregister 1") == 3, 100)
        waits = [b - a for a, b in pairwise(world.times("unregister 1"))]
        assert all(30 <= wait <= 31 for wait in waits)
        assert "destroy 1" not in world.calls
        assert world.machines
        world.agents.clear()
        await world.until(lambda: not world.rows, 40)
        assert not world.machines


async def test_a_surplus_runner_that_got_a_job_meanwhile_is_left_alone(
    world: World, autojump_clock: object
) -> None:
    """C26: a job was given to it between the look and the question."""
    async with world.running():
        await world.deliver(1)
        await world.until(lambda: world.states() == {1: "booting"}, 5)
        world.online(1)
        await world.deliver(0)
        await trio.sleep(2.1)  # reports in a rush are one
        world.agents["linux.1@host"].busy = True  # and nobody has told yet
        await world.deliver(0)
        await world.until(lambda: world.count("unregister 1") == 1, 35)
        assert world.states() == {1: "busy"}
        await trio.sleep(300)
        assert world.states() == {1: "busy"}
        assert world.count("unregister 1") == 1
        assert "destroy 1" not in world.calls


async def test_a_stopped_machine_goes_and_its_registration_is_asked_until_it_is_gone(
    world: World, autojump_clock: object
) -> None:
    async with world.running():
        await world.deliver(1, world.job(1))
        await world.until(lambda: world.states() == {1: "booting"}, 5)
        world.works(1)
        world.stop_machine(1, "kernel panic")
        await world.until(lambda: "destroy 1" in world.calls, 5)
        assert world.states()[1] == "retiring"  # and another one is made for the job
        await trio.sleep(100)
        assert world.count("unregister 1") == 4
        assert world.count("destroy 1") == 1
        world.agents.clear()
        await world.until(lambda: 1 not in world.rows, 40)


async def test_cleaning_up_is_repeated_for_ever(world: World, autojump_clock: object) -> None:
    world.script["unregister"] = [ValueError("no")] * 7
    world.script["destroy"] = [ValueError("no"), world.HANG, "nonsense", Unavailable("x", 100)]
    async with world.running():
        await world.deliver(1)
        await world.until(lambda: world.states() == {1: "booting"}, 5)
        world.stop_machine(1)
        await world.until(lambda: 1 not in world.rows, 900)
        waits = [round(b - a) for a, b in pairwise(world.times("unregister 1"))]
        assert waits[:6] == [1, 2, 4, 8, 16, 32]
        assert world.count("unregister 1") == 8  # once it is gone, it is not asked for again


async def test_not_online_in_time(world: World, autojump_clock: object) -> None:
    """C25: it is replaced, and never more machines than there may be."""
    world.profiles["linux"] = profile = world.profiles["linux"]
    assert profile.start_timeout == 240
    async with world.running():
        await world.deliver(4)
        await world.until(lambda: list(world.states().values()) == ["booting"] * 4, 5)
        for _ in range(300):
            await trio.sleep(1)
            assert len(world.machines) <= 4
        assert min(world.rows) > 4
        assert all(world.count(f"unregister {n}") == 1 for n in range(1, 5))


async def test_a_lifetime_that_is_over_ends_even_what_works(
    world: World, autojump_clock: object
) -> None:
    world.profiles["linux"] = replace(world.profiles["linux"], max_lifetime=600.0)
    async with world.running():
        await world.deliver(1, world.job(1))
        await world.until(lambda: world.states() == {1: "booting"}, 5)
        world.works(1)
        world.agents["linux.1@host"].busy = True
        await trio.sleep(590)
        assert world.states() == {1: "busy"}
        world.machines[1] = replace(world.machines[1], state="stopped")  # for the fake's own check
        await world.until(lambda: "destroy 1" in world.calls, 45)


async def test_plain_notifications_reach_observers_without_secrets(
    world: World, autojump_clock: object
) -> None:
    said: list[Runner] = []

    class Observer:
        def __init__(self, context: object) -> None:
            pass

        @hookimpl
        async def on_runner_changed(self, runner: Runner, before: Runner | None) -> None:
            said.append(runner)

    world.plugins["observer"] = Observer
    async with world.running():
        await world.deliver(1)
        await world.until(lambda: world.states() == {1: "booting"}, 5)
    assert [runner.state for runner in said] == ["planned", "registered", "booting"]
    assert "s3cret" not in repr(said)
    assert all(r.registration is None or r.registration.config is None for r in said)
