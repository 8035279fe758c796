"""Lists, strays, restarts, the end, and a disk that is full."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import trio

from scaler.records import Machine, Registration, RunnerState
from scaler.units import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engine.conftest import World

    from scaler.model.row import Row

    Rows = Callable[..., Row]


def agent(world: World, number: int, *, online: bool = True, busy: bool = False) -> None:
    """A registration that is there before the start."""
    from_start = type(world).agent(f"r{number}")
    from_start.online, from_start.busy = online, busy
    world.agents[f"linux.{number}@host"] = from_start


def machine(world: World, number: int, **more: object) -> None:
    world.machines[number] = Machine(
        runner=number, id=f"old-{number}", room="a", runner_name=f"linux.{number}@host",
        profile="linux",
    )  # fmt: skip


# --- lists


async def test_lists_that_fail_change_nothing(world: World, autojump_clock: object) -> None:
    async with world.running():
        await world.deliver(2)
        await world.until(lambda: list(world.states().values()) == ["booting"] * 2, 5)
        world.online(1)
        world.online(2)
        agents, machines = dict(world.agents), dict(world.machines)
        for hook in ("list registrations", "list machines", "capacity"):
            world.script[hook] = [OSError("away")] * 200
        world.agents.clear()
        world.machines.clear()
        await trio.sleep(600)
        assert world.states() == {1: "idle", 2: "idle"}
        assert world.count("register") == 2
        # it comes back, with everything where it was
        world.agents.update(agents)
        world.machines.update(machines)
        world.script.clear()
        await trio.sleep(300)
        assert world.states() == {1: "idle", 2: "idle"}
        assert not world.count("unregister")


async def test_lists_of_the_wrong_type_change_nothing(world: World, autojump_clock: object) -> None:
    async with world.running():
        await world.deliver(1)
        await world.until(lambda: world.states() == {1: "booting"}, 5)
        rooms = world.engine.state.rooms
        world.script["capacity"] = ["nonsense"] * 3
        await trio.sleep(100)
        assert world.engine.state.rooms == rooms
        assert world.states() == {1: "booting"}


async def test_gone_is_absent_from_two_lists_and_not_one(
    world: World, autojump_clock: object
) -> None:
    async with world.running():
        await world.deliver(1)
        await world.until(lambda: world.states() == {1: "booting"}, 5)
        world.online(1)
        await trio.sleep(150)
        for _ in range(4):  # absent once, there again, absent once, there again
            there = world.agents.pop("linux.1@host"), world.machines.pop(1)
            await trio.sleep(30)
            world.agents["linux.1@host"], world.machines[1] = there
            await trio.sleep(30)
            assert world.states() == {1: "idle"}
        del world.machines[1]
        await world.until(lambda: "unregister 1" in world.calls, 61)


async def test_a_list_that_is_older_than_the_news_says_nothing(
    world: World, autojump_clock: object
) -> None:
    """It began before the registration was known to be there, and comes in much later."""
    async with world.running():
        await world.deliver(1)
        await world.until(lambda: world.states() == {1: "booting"}, 5)
        world.online(1)
        empty: list[Registration] = []
        for _ in range(6):
            before = world.rows[1]
            state = world.engine.state
            began = state.clock.now()
            await trio.sleep(40)
            world.tell(1)
            await world.engine.survey._fold_registrations("queue", empty, began)
            world.contexts["vm"].machine_changed(world.machines[1])
            await world.engine.survey._fold_machines("vm", [], began)
            assert world.rows[1].unlisted is None
            assert world.rows[1].unseen is None
            assert world.rows[1].born == before.born
        assert world.states() == {1: "idle"}


async def test_a_machine_that_changes_with_every_list_hides_no_registration(
    world: World, autojump_clock: object
) -> None:
    async with world.running():
        await world.deliver(1)
        await world.until(lambda: world.states() == {1: "booting"}, 5)
        world.agents["linux.1@host"].online = True  # and nobody tells: lists must
        slow = world.script.setdefault("list registrations", [])
        for number in range(3):
            world.machines[1] = replace(world.machines[1], facts={"seconds": number})
            slow.clear()
            await trio.sleep(30)
        assert world.states() == {1: "idle"}


@pytest.mark.parametrize("what", ["machine", "registration", "both", "busy"])
async def test_a_stray_is_taken_over_and_cleaned(
    world: World, autojump_clock: object, what: str
) -> None:
    """C31: also of an earlier life of this scaler; what is busy is left alone until it is done."""
    if what != "machine":
        agent(world, 7, busy=what == "busy")
    if what != "registration":
        machine(world, 7)
    world.agents["linux.8@other-host"] = type(world).agent("r8")
    world.machines[9000] = Machine(runner=9000, id="x", profile="unknown", room="a")
    world.machines[-1] = Machine(runner=None, id="builder", profile="linux", room="a")
    world.agents["linux.9999999999999999@host"] = type(world).agent("r9")
    async with world.running():
        if what == "busy":
            await world.until(lambda: world.states() == {7: "busy"}, 35)
            await trio.sleep(200)
            assert set(world.states()) == {7}
            assert 9000 not in world.machines
            assert 7 in world.machines
            del world.agents["linux.7@host"]
        await world.until(lambda: not world.rows and not {7, 9000} & world.machines.keys(), 300)
        assert "linux.7@host" not in world.agents
        # what is not ours is left alone
        assert set(world.agents) == {"linux.8@other-host", "linux.9999999999999999@host"}
        assert set(world.machines) == {-1}
        await world.deliver(1)
        await world.until(lambda: list(world.states().values()) == ["booting"], 5)
        assert list(world.rows) == [9001]  # and ids go on above everything that was seen


# --- restarts


async def test_a_new_ledger_waits_for_complete_lists(world: World, autojump_clock: object) -> None:
    agent(world, 41)
    world.script["list registrations"] = [OSError("away")] * 4
    async with world.running():
        await world.deliver(1)
        await trio.sleep(5)
        assert not world.count("register")
        assert "every list was complete" in world.engine.view().profiles["linux"].why
        await world.until(lambda: world.count("register"), 60)
        assert world.count("list registrations") == 5
        assert "register 42" in world.calls
    assert min(world.machines) == 42


async def test_a_restart_with_rows_in_every_state_ends_clean(
    world: World, autojump_clock: object, row: Rows
) -> None:
    await world.stored(
        row(1, RunnerState.PLANNED),  # registered, and the answer was lost
        row(2, RunnerState.PLANNED),  # never registered
        row(3, RunnerState.REGISTERED),  # no machine
        row(4, RunnerState.REGISTERED, config=Secret("s3cret")),  # its machine was made
        row(5, RunnerState.BOOTING),
        row(6, RunnerState.IDLE),
        row(7, RunnerState.BUSY),
        row(8, RunnerState.RETIRING),
        row(9, RunnerState.RETIRING, unregistered=True),
        row(10, RunnerState.RETIRING, unregistered=True, destroyed=True),
        row(11, RunnerState.IDLE),  # it went away meanwhile, without a word
    )
    world.profiles["linux"] = replace(world.profiles["linux"], max_count=20)
    world.rooms = [replace(world.rooms[0], total={})]
    for number in (1, 3, 4, 5, 6, 8):
        agent(world, number, online=number > 4)
    agent(world, 7, busy=True)
    for number in (4, 5, 6, 7, 8, 9):
        machine(world, number)
    async with world.running():
        await world.until(lambda: set(world.rows) == {4, 5, 6, 7, 11}, 35)
        assert not {"register 1", "register 3"} & set(world.calls)
        assert world.rows[4].runner.machine == world.machines[4]
        await world.until(lambda: set(world.rows) == {4, 5, 6, 7}, 150)
        assert set(world.machines) == {4, 5, 6, 7}
        assert world.states() == {4: "booting", 5: "idle", 6: "idle", 7: "busy"}
        # the very machines that were there
        assert {m.id for m in world.machines.values()} == {"old-4", "old-5", "old-6", "old-7"}
        # the source reports: nothing is needed but what is busy
        await world.deliver(1)
        await world.deliver(1)
        await world.until(lambda: world.states() == {7: "busy"}, 60)
        world.agents.clear()
        await world.deliver(0, world.job(1, "done", world.name(7)))
        await world.deliver(0)
        await world.until(lambda: not world.rows, 60)
        assert not world.machines
        await world.deliver(1)
        await world.until(lambda: world.states() == {100: "booting"}, 5)


@pytest.mark.parametrize("point", ["register", "provision", "unregister", "destroy"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_crash_at_any_step_leaves_nothing(
    world: World, autojump_clock: object, point: str, after: bool
) -> None:
    """P1 to P8: the process ends in the middle of a call, with or without its effect."""

    def end() -> None:
        world.crash()
        if after and point == "register":
            agent(world, 1, online=False)
        elif after and point == "provision":
            machine(world, 1)
        elif after and point == "unregister":
            del world.agents["linux.1@host"]
        elif after:
            world.machines.clear()

    world.script[point] = [end, world.HANG]
    world.agents["linux.5@other"] = type(world).agent("r5")  # so that a list is never empty
    with trio.CancelScope():
        async with world.running():
            await world.deliver(1)
            if point in ("unregister", "destroy"):
                await world.until(lambda: world.states() == {1: "booting"}, 5)
                world.stop_machine(1)
            await trio.sleep(500)
    world.script.clear()
    async with world.running():
        await world.until(lambda: 1 not in world.rows or world.states() == {1: "booting"}, 300)
        await world.deliver(0)
        await world.deliver(0)
        await world.until(lambda: not world.rows, 300)
        assert not world.machines
        assert set(world.agents) == {"linux.5@other"}
    assert world.count("register 1") <= 1


async def test_time_spent_before_the_restart_counts(
    world: World, autojump_clock: object, row: Rows
) -> None:
    old = row(5, RunnerState.BUSY)
    await world.stored(replace(old, born=10_000 - 86_400 + 100))
    agent(world, 5, busy=True)
    machine(world, 5)
    world.tick = 1000.0
    async with world.running():
        await trio.sleep(95)
        assert world.states() == {5: "busy"}
        world.machines[5] = replace(world.machines[5], state="stopped")  # for the fake's own check
        await world.until(lambda: "destroy 5" in world.calls, 10)


# --- the end


async def test_the_end_unregisters_what_has_no_machine_and_leaves_machines(
    world: World, autojump_clock: object
) -> None:
    async with world.running():
        await world.deliver(2)
        await world.until(lambda: list(world.states().values()) == ["booting"] * 2, 5)
        world.online(1)
        world.script["provision"] = [world.HANG]
        await world.deliver(3)
        await world.until(lambda: world.count("provision") == 3, 5)
        began = trio.current_time()
    assert world.ended - began <= 32
    assert set(world.machines) == {1, 2}
    assert {"linux.1@host", "linux.2@host"} <= set(world.agents)
    world.script.clear()
    async with world.running():  # and the next start adopts them
        assert world.states()[1] == "idle"
        await world.until(lambda: 3 not in world.rows, 100)
        assert {m.id for m in world.machines.values()} >= {"vm-1", "vm-2"}
        assert "linux.3@host" not in world.agents


async def test_the_end_lets_what_is_being_made_finish(world: World, autojump_clock: object) -> None:
    async with world.running():
        await world.deliver(1)
        await world.until(lambda: world.states() == {1: "booting"}, 5)
        world.script["register"] = [1.0]  # the signal comes while it is being registered
        await world.deliver(2)
        await world.until(lambda: world.count("register") == 2, 5)
        began = trio.current_time()
    assert 0.5 < world.ended - began < 3
    assert set(world.agents) == {"linux.1@host"}
    assert set(world.machines) == {1}
    assert "provision 2" not in world.calls
    assert world.calls[-1] == "unregister 2"  # no machine was asked for


async def test_the_end_does_not_wait_for_what_has_got_a_job(
    world: World, autojump_clock: object, row: Rows
) -> None:
    await world.stored(row(3, RunnerState.REGISTERED))
    agent(world, 3, busy=True)
    world.script["list machines"] = [OSError("away")] * 100
    world.script["list registrations"] = [OSError("away")] * 100
    async with world.running():
        await trio.sleep(1)
        began = trio.current_time()
    assert world.ended - began < 5
    assert "linux.3@host" in world.agents


async def test_nothing_is_begun_after_the_signal(world: World, autojump_clock: object) -> None:
    async with world.running():
        await world.deliver(1)
        await world.until(lambda: world.states() == {1: "booting"}, 5)
        world.engine.stop()
        assert world.engine.ceiling("linux") == 0
        await world.deliver(4, *(world.job(number, "offered") for number in range(3)))
        await trio.sleep(100)
        assert world.count("register") == 1
        assert world.acquired == []


# --- a disk that is full


async def test_on_a_full_disk_nothing_is_begun_and_cleaning_goes_on(
    world: World, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    """C39: the destroy path needs no space."""
    async with world.running():
        await world.deliver(2)
        await world.until(lambda: list(world.states().values()) == ["booting"] * 2, 5)
        world.disk_full = True
        world.stop_machine(1)
        await world.until(lambda: "destroy 1" in world.calls, 10)
        assert "linux.1@host" not in world.agents
        await trio.sleep(60)
        assert world.count("register") == 2  # nothing takes its place
        assert "nothing new is begun" in caplog.text
        world.disk_full = False
        await world.until(lambda: "booting" in world.states().values() and 1 not in world.rows, 70)
        await world.until(lambda: world.count("register") == 3, 70)
        assert world.count("destroy 1") == 1
