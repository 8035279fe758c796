"""Orders given through the socket to an engine that follows them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import trio
from tests.control.conftest import ask, calling, error, result
from tests.engine.conftest import World

from scaler.records import Room, RoomState
from scaler.telling import offline_status


async def state_of(world: World, number: int) -> str | None:
    found = await result(world.folder, "status")
    states = {each["id"]: each["state"] for each in found["runners"]}
    state: str | None = states.get(number)
    return state


async def test_a_profile_is_paused_and_resumed(world: World) -> None:
    async with world.running():
        found = await result(world.folder, "pause", profiles=["linux"])
        assert [each["name"] for each in found["orders"]] == ["linux"]
        await world.deliver(1, world.job(1))
        status = await result(world.folder, "status")
        assert (status["runners"], status["ok"]) == ([], True)
        assert status["profiles"][0]["paused"]["since"] == found["orders"][0]["since"]
        (problem,) = status["problems"]
        assert "; 1 job waits for it" in problem["text"]
        assert problem["cure"] == "scaler resume linux"
        told = (await result(world.folder, "why", about="j1"))["found"][0]
        assert "paused since" in told["text"]
        assert told["cure"] == "scaler resume linux"
        again = await result(world.folder, "pause", all=True)
        assert again["orders"] == found["orders"], "it says since when it has been"
        assert await result(world.folder, "resume", all=True) == {"resumed": ["linux"]}
        assert await result(world.folder, "resume", all=True) == {"resumed": []}
        await world.until(lambda: world.states() == {1: "booting"})


async def test_a_room_is_drained_and_says_what_is_left(world: World) -> None:
    world.rooms = [Room(name="a", total={"memory": 8}), Room(name="b", total={"memory": 8})]
    async with world.running():
        await world.deliver(1)
        await world.until(lambda: world.states() == {1: "booting"})
        room = world.rows[1].runner.room
        world.works(1)
        await world.until(lambda: world.states() == {1: "busy"})
        found = await result(world.folder, "drain", host=room)
        assert (found["order"]["name"], found["runners"]) == (f"vm/{room}", [])
        assert found["machines"] == 1
        status = await result(world.folder, "status")
        (there,) = [each for each in status["rooms"] if each["name"] == room]
        assert (there["state"], there["machines"]) == ("draining", 1)
        assert there["drained"]["by"] == found["order"]["by"]
        found = await result(world.folder, "drain", host=room, now=True)
        assert [each["name"] for each in found["runners"]] == ["linux.1@host"]
        known = {"undrained": f"vm/{room}", "state": "up"}
        found = await result(world.folder, "undrain", host=room)
        assert found == {**known, "was_drained": True}
        found = await result(world.folder, "undrain", host=room)
        assert found == {**known, "was_drained": False}


async def test_names_that_are_wrong_are_met_by_those_there_are(world: World) -> None:
    async with world.running():
        await world.until(lambda: world.engine.state.rooms.get("vm"))
        for command, options, known in (
            ("pause", {"profiles": ["lynux"]}, "linux"),
            ("drain", {"host": "z"}, "a"),
            ("undrain", {"host": "z"}, "a"),
            ("destroy", {"runner": 99}, "it has never been"),
            ("release", {"runner": "linux.99"}, "it has never been"),
        ):
            found = await error(world.folder, command, **options)
            assert found["code"] == "not-found", found
            assert known in found["text"]


async def test_only_the_kind_of_an_error_says_that_a_name_is_ambiguous(world: World) -> None:
    world.rooms = [Room(name="a")]
    async with world.running():
        await world.until(lambda: world.engine.state.rooms.get("vm"))
        found = await error(world.folder, "drain", host="more than one")
        assert (found["code"], found["fix"]) == ("not-found", "see: scaler status")


async def test_what_is_left_in_a_room_that_cannot_be_asked_is_not_known(world: World) -> None:
    async with world.running():
        await world.deliver(1)
        await world.until(lambda: world.states() == {1: "booting"})
        room, rooms = world.rows[1].runner.room, world.engine.state.rooms
        world.rooms = [replace(each, state=RoomState.DOWN) for each in world.rooms]
        world.contexts["vm"].capacity_changed()
        await world.until(lambda: rooms["vm"] and rooms["vm"][0].state is RoomState.DOWN)
        assert (await result(world.folder, "drain", host=room))["machines"] is None
        rooms["vm"] = None  # as before its first answer
        assert (await result(world.folder, "drain", host=room))["machines"] is None


async def test_a_host_of_two_plugins_is_ambiguous(world: World) -> None:
    world.plugins["other"] = world.plugins["vm"]
    async with world.running():
        await world.until(lambda: world.engine.state.rooms.get("other"))
        found = await error(world.folder, "drain", host="a")
        assert (found["code"], found["text"]) == (
            "ambiguous",
            "there is more than one host 'a': say vm/a or other/a",
        )
        assert (await result(world.folder, "drain", host="other/a"))["order"]["name"] == "other/a"


async def test_a_runner_is_destroyed_unless_it_is_busy(world: World) -> None:
    async with world.running():
        await world.deliver(2)
        await world.until(lambda: world.states() == {1: "booting", 2: "booting"})
        world.works(1)
        await world.until(lambda: world.states()[1] == "busy")
        found = await error(world.folder, "destroy", runner="linux.1")
        assert found["code"] == "busy"
        assert "--busy" in found["fix"]
        assert await state_of(world, 1) == "busy"
        assert (await error(world.folder, "release", runner=1))["code"] == "refused"
        found = await result(world.folder, "destroy", runner=2)
        assert found["gone"], found
        assert (found["runner"]["name"], found["runner"]["state"]) == ("linux.2@host", "gone")


async def test_orders_outlive_the_scaler_and_are_told_without_it(world: World) -> None:
    async with world.running(crash=True):
        await result(world.folder, "pause", all=True)
        await result(world.folder, "drain", host="vm/a")
    found = offline_status(world.folder)
    assert [(each["kind"], each["name"]) for each in found["orders"]] == [
        ("drain", "vm/a"),
        ("pause", "linux"),
    ]
    async with world.running():
        status = await result(world.folder, "status")
        assert {each["name"] for each in status["orders"]} == {"linux", "vm/a"}
        assert status["profiles"][0]["paused"]


async def test_it_is_answered_while_everything_outside_hangs(world: World) -> None:
    async with world.running():
        await world.deliver(1)
        await world.until(lambda: world.states() == {1: "booting"})
        for hook in ("list registrations", "list machines", "capacity", "register", "unregister"):
            world.script[hook] = [World.HANG] * 100
        await world.deliver(3)
        with trio.fail_after(3):
            assert (await result(world.folder, "pause", all=True))["orders"]
            assert (await result(world.folder, "drain", host="a"))["order"]
            assert (await result(world.folder, "why", about="linux.1"))["found"]
            assert (await result(world.folder, "status"))["running"]
        world.crash()


async def test_a_client_that_dies_does_not_part_what_is_written_from_what_counts(
    world: World,
) -> None:
    async with world.running():
        for number in range(20):
            command: dict[str, Any] = {"command": "resume" if number % 2 else "pause", "all": True}
            async with calling(world.folder) as caller:
                await caller.send(command)
                await trio.sleep(0.002 * (number % 4))
        await ask(world.folder, {"command": "pause", "all": True})
        await trio.sleep(0.2)
        counts = set(world.engine.state.orders)
    found = offline_status(world.folder)
    assert {(each["kind"], each["name"]) for each in found["orders"]} == counts


async def test_c45_a_settings_file_that_is_wrong_is_told_of_and_changes_nothing(
    world: World,
) -> None:
    """(This world has none at all.)"""
    async with world.running():
        found = await error(world.folder, "reload")
        assert found["code"] == "settings"
        assert found["problems"], found
        assert "scaler reload" in found["fix"]
        status = await result(world.folder, "status")
        assert not status["ok"]
        assert [each["about"] for each in status["problems"]] == ["settings"]
        assert status["reload"]["problems"] == found["problems"]
        assert [each["name"] for each in status["profiles"]] == ["linux"]
