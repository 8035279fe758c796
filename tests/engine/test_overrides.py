"""The policy override: begun, kept, and ended, by whom or by what."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import trio

from scaler.errors import Refused, Unavailable
from scaler.ledger import Ledger
from scaler.ledger.ledger import Transaction

from .conftest import profile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.engine.conftest import World

    from scaler.model.row import Row


async def ask(world: World, by: str = "ci", **counts: int) -> Mapping[str, int] | None:
    return await world.contexts["vm"].override(counts, by)


async def end(world: World, by: str = "") -> Mapping[str, int] | None:
    return await world.contexts["vm"].override(None, by)


def told(world: World) -> list[str]:
    return [each.text for each in world.engine.view().events if "override" in each.text]


def targets(world: World) -> dict[str, int]:
    return {name: each.target for name, each in world.engine.view().profiles.items()}


def small(world: World) -> None:
    """One runner stands ready, and there is never more than one."""
    world.profiles["linux"] = profile(target_count=1, max_count=1)


def live(world: World) -> list[int]:
    return [n for n, state in world.states().items() if state not in ("retiring", "gone")]


async def ready(world: World) -> None:
    """Its source has reported, and one is idle."""
    await world.deliver(0)
    await world.until(lambda: world.states() == {1: "booting"}, 10)
    world.online(1)


async def kept(world: World) -> Any:
    ledger, stored = await Ledger.open(world.folder)
    await ledger.close()
    return stored.meta.get("override")


async def test_it_adds_runners_until_all_have_come_and_gone(
    world: World, autojump_clock: object
) -> None:
    small(world)
    async with world.running():
        await ready(world)
        assert await ask(world, linux=3) == {"linux": 2}
        await world.until(lambda: live(world) == [1, 2, 3], 5)
        shown = world.engine.view().override
        assert shown is not None
        assert (shown.counts, shown.targets, shown.by) == ({"linux": 2}, {"linux": 3}, "ci")
        assert shown.until == shown.since + 86400
        assert targets(world) == {"linux": 3}
        assert world.engine.ceiling("linux") == 3
        for number in (2, 3):
            world.works(number)
        await trio.sleep(200)
        assert live(world) == [1, 2, 3]
        for number in (2, 3):
            world.agents[world.name(number)].busy = False
            job = world.job(number, "done", world.name(number), result="succeeded")
            await world.deliver(0, job)
        await world.until(lambda: world.engine.view().override is None, 10)
        assert await end(world) is None
        await world.until(lambda: live(world) == [1], 60)  # others were coming already
        assert targets(world) == {"linux": 1}
        assert [text.partition(":")[0] for text in told(world)] == [
            "override begun by ci",
            "override begun by ci has ended",
        ]
        assert "all of its runners have come and gone" in told(world)[1]
    assert await kept(world) is None


async def test_d30_it_is_begun_once_and_ended_by_name(world: World, autojump_clock: object) -> None:
    small(world)
    async with world.running():
        await ready(world)
        assert await end(world) is None
        await ask(world, "someone\nwith a \x1b[1mname", linux=3)
        with pytest.raises(Refused, match=r"begun by someone\?with a") as caught:
            await ask(world, linux=4)
        assert caught.value.code == "override-active"
        await world.until(lambda: live(world) == [1, 2, 3], 5)
        assert await end(world, "ops") == {"linux": 2}
        assert await end(world, "ops") is None
        assert world.engine.view().override is None
        await world.until(lambda: live(world) == [1], 60)
        assert told(world) == [
            "override begun by someone?with a ?[1mname: linux 2 are added; targets are linux 3",
            "override ended by ops",
        ]
        assert await ask(world, "", linux=2) == {"linux": 1}
        assert "begun by somebody" in told(world)[-1]


@pytest.mark.parametrize(
    ("counts", "error"),
    [
        ({}, ValueError),
        ({"linux": -1}, ValueError),
        ({"windows": 1}, LookupError),
        ({"linux": 1}, Refused),
    ],
    ids=str,
)
async def test_d30_what_cannot_be_begun_changes_nothing(
    world: World, autojump_clock: object, counts: dict[str, int], error: type[Exception]
) -> None:
    small(world)
    async with world.running():
        await ready(world)
        with pytest.raises(error):
            await world.contexts["vm"].override(counts)
        await trio.sleep(60)
        assert live(world) == [1]
        assert world.engine.view().override is None
        assert told(world) == []
    assert await kept(world) is None


async def test_others_give_way_and_come_back(world: World, autojump_clock: object) -> None:
    small(world)
    world.profiles["other"] = profile("other", target_count=3)
    async with world.running():
        await world.deliver(0)
        await world.deliver(0, profile="other")
        await world.until(lambda: len(world.machines) == 4, 5)
        for number in list(world.machines):
            world.online(number)
        works = next(n for n, row in world.rows.items() if row.runner.profile == "other")
        world.works(works)
        assert await ask(world, linux=4) == {"linux": 2}  # four machines of 2 fit into 8
        assert targets(world)["linux"] == 1  # (the plan comes next)
        await world.until(lambda: targets(world)["linux"] == 3, 5)
        assert targets(world)["other"] == 4  # it has a job: its usual target counts
        await world.deliver(0, profile="other")
        await end(world)
        await world.until(lambda: len(live(world)) == 4, 60)
        assert works in live(world)


async def test_d30_it_is_kept_over_a_restart(world: World, autojump_clock: object) -> None:
    small(world)
    async with world.running(crash=True):
        await ready(world)
        await ask(world, linux=3)
        since = world.engine.view().override
        await world.until(lambda: live(world) == [1, 2, 3], 5)
        world.online(2)
        await trio.sleep(5)
    async with world.running(crash=True):
        assert world.engine.view().override == since
        await trio.sleep(100)
        assert live(world) == [1, 2, 3]
        world.online(3)
        await trio.sleep(5)
        assert (await kept_now(world))["came"] == {"linux": [2, 3]}
        world.machines.pop(2)
        world.agents.pop(world.name(2))
    async with world.running():
        await world.until(lambda: 2 not in world.rows, 200)
        assert world.engine.view().override is not None
        world.stop_machine(3)
        await world.until(lambda: world.engine.view().override is None, 10)
    async with world.running():
        assert world.engine.view().override is None
        assert told(world) == []


async def kept_now(world: World) -> Any:
    """What another connection reads from the ledger that is open."""
    connection = sqlite3.connect(world.folder / "ledger.sqlite3")
    [[value]] = connection.execute("SELECT value FROM meta WHERE key = 'override'").fetchall()
    connection.close()
    return json.loads(value)


async def test_d30_a_forgotten_one_ends(world: World, autojump_clock: object) -> None:
    small(world)
    world.tick = 36000.0
    async with world.running():
        await ready(world)
        await ask(world, linux=2)
        began = trio.current_time()
        await trio.sleep(86399)
        assert world.engine.view().override is not None
        await world.until(lambda: world.engine.view().override is None, 10)
        assert 86400 <= trio.current_time() - began <= 86402
        assert told(world)[-1] == "override begun by ci has ended: 24 hours are over"


async def test_nothing_is_begun_that_is_not_durable(world: World, autojump_clock: object) -> None:
    small(world)
    async with world.running():
        await ready(world)
        world.disk_full = True
        with pytest.raises(Unavailable, match="disk is full"):
            await ask(world, linux=2)
        await trio.sleep(10)
        assert world.engine.view().override is None
        assert live(world) == [1]
        world.disk_full = False
        await trio.sleep(40)
        assert await kept_now(world) is None  # whatever became of the write, this is how it is
        assert await ask(world, linux=2) == {"linux": 1}
        world.disk_full = True
        with pytest.raises(Unavailable, match="disk is full"):
            await end(world)
        assert world.engine.view().override is not None
        world.disk_full = False
        await trio.sleep(40)
        assert (await kept_now(world))["counts"] == {"linux": 1}
        assert await end(world) == {"linux": 1}


async def test_the_end_is_kept_once_the_disk_has_room(world: World, autojump_clock: object) -> None:
    small(world)
    async with world.running(crash=True):
        await ready(world)
        await ask(world, linux=2)
        await world.until(lambda: world.states().get(2) == "booting", 5)
        world.works(2)
        await trio.sleep(5)
        world.disk_full = True
        world.stop_machine(2)
        world.agents.pop(world.name(2))
        await world.until(lambda: world.engine.view().override is None, 120)
        world.disk_full = False
        await trio.sleep(60)
    assert await kept(world) is None


async def test_who_asked_and_went_away_changes_nothing(
    world: World, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(world)
    async with world.running():
        await ready(world)
        keep = world.engine.state.keep

        async def slowly(*rows: Row, transaction: Transaction | None = None) -> None:
            await trio.sleep(1)
            await keep(*rows, transaction=transaction)

        monkeypatch.setattr(world.engine.state, "keep", slowly)
        with trio.move_on_after(0.5) as scope:
            await ask(world, linux=2)
        assert scope.cancel_called
        shown = world.engine.view().override
        assert shown is not None
        assert (await kept_now(world))["counts"] == shown.counts == {"linux": 1}
        assert len(told(world)) == 1
        with trio.move_on_after(0.5):
            await end(world)
        assert world.engine.view().override is None
        assert await kept_now(world) is None


async def test_a_ledger_that_never_answers_holds_nobody_for_ever(
    world: World, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(world)
    async with world.running():
        await ready(world)
        with monkeypatch.context() as patch:

            async def never(*rows: Row, transaction: Transaction | None = None) -> None:
                await trio.sleep_forever()

            patch.setattr(world.engine.state, "keep", never)
            began = trio.current_time()
            with pytest.raises(Unavailable, match="took more than 60 s"):
                await ask(world, linux=2)
            with trio.move_on_after(1), pytest.raises(Unavailable, match="60 s"):
                await ask(world, linux=2)  # also where whoever asked has gone away
            assert trio.current_time() - began == pytest.approx(120)
        assert world.engine.view().override is None
        assert await ask(world, linux=2) == {"linux": 1}


async def test_what_came_after_the_reconcilers_write_is_not_taken_for_written(
    world: World, autojump_clock: object
) -> None:
    small(world)
    async with world.running():
        await ready(world)
        overrides = world.engine.overrides
        overrides.look(Transaction())
        world.disk_full = True
        with pytest.raises(Unavailable, match="disk is full"):
            await ask(world, linux=2)
        overrides.written()  # that of the look
        after = Transaction()
        overrides.look(after)
        assert after.changes
        world.disk_full = False


async def test_two_at_once_get_one(world: World, autojump_clock: object) -> None:
    small(world)
    answers: list[object] = []

    async def client() -> None:
        try:
            answers.append(await ask(world, linux=2))
        except Refused as error:
            answers.append(error.code)

    async with world.running():
        await ready(world)
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(client)
        assert answers == [{"linux": 1}, "override-active", "override-active"]
        await world.until(lambda: live(world) == [1, 2], 5)


async def test_d30_after_other_settings_it_has_ended(world: World, autojump_clock: object) -> None:
    small(world)
    world.profiles["other"] = profile("other")
    async with world.running():
        await ready(world)
        await ask(world, linux=2)
    del world.profiles["other"]
    async with world.running():
        assert world.engine.view().override is None
        assert "other is not in the settings any more" in told(world)[0]
        await trio.sleep(5)
    assert await kept(world) is None


@pytest.mark.parametrize("left", ["rubbish", {"counts": {"linux": -1}}, [1], {}], ids=str)
async def test_what_cannot_be_read_has_ended(
    world: World, autojump_clock: object, left: object
) -> None:
    await world.stored()
    ledger, _ = await Ledger.open(world.folder)
    transaction = Transaction()
    transaction.meta("override", left)
    await ledger.write(transaction)
    await ledger.close()
    async with world.running():
        assert "cannot be read" in told(world)[0]
        await world.deliver(1)
        await world.until(lambda: len(world.machines) == 1, 5)
    assert await kept(world) is None


async def test_rooms_are_kept(world: World, autojump_clock: object) -> None:
    small(world)
    async with world.running():
        await ready(world)
        world.works(1)
        assert await ask(world, linux=9) == {"linux": 3}
        await trio.sleep(60)
        assert len(live(world)) == 4
        world.rooms = [replace(world.rooms[0], total={"memory": 4})]
        world.contexts["vm"].capacity_changed()
        world.stop_machine(4)
        await trio.sleep(60)
        assert len(live(world)) == 3  # nothing is made where there is no room


async def test_nothing_is_begun_while_stopping(world: World, autojump_clock: object) -> None:
    small(world)
    async with world.running():
        await ready(world)
        world.stop()
        await trio.sleep(0.1)
        with pytest.raises(Unavailable, match="stopping"):
            await ask(world, linux=2)
