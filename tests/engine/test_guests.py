"""Guests: who is known by what, what each is given, and until when."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import trio

from scaler.errors import GuestAmbiguous, GuestNotReady, GuestUnknown, GuestUsed
from scaler.records import Machine, Registration
from scaler.units import Secret

from .conftest import profile

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engine.conftest import World

    from scaler.context import Guest

HERE = "192.0.2.7"
KEY = "0123456789abcdef"


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def guest(world: World, address: str = HERE, secret: str | None = None) -> Guest:
    return world.contexts["queue"].guest(address, secret)


async def config(world: World, address: str = HERE, secret: str | None = None) -> str:
    return (await guest(world, address, secret).registration()).reveal()


def learnt(world: World, number: int, *addresses: str, **more: Any) -> None:
    """The provisioner tells what it learnt of a machine."""
    world.machines[number] = replace(world.machines[number], addresses=addresses, **more)
    world.contexts["vm"].machine_changed(world.machines[number])


async def boots(world: World, count: int = 1, address: str = HERE, **more: Any) -> None:
    await world.deliver(count)
    await world.until(lambda: list(world.states().values()) == ["booting"] * count, 10)
    learnt(world, 1, address, **more)


def builder(world: World, **more: Any) -> Machine:
    machine = Machine(**{"runner": None, "id": "b1", "profile": "linux", **more})
    world.contexts["vm"].machine_changed(machine)
    return machine


# --- known by what


async def test_a_guest_is_known_by_its_address(world: World, autojump_clock: object) -> None:
    async with world.running():
        await boots(world)
        found = guest(world)
        assert (found.profile, found.runner) == ("linux", 1)
        assert await config(world) == "s3cret"


@pytest.mark.parametrize("spelling", ["::ffff:192.0.2.7", "::FFFF:c000:207%eth0"])
async def test_d17_an_address_is_the_same_however_it_is_told(
    world: World, autojump_clock: object, spelling: str
) -> None:
    async with world.running():
        await boots(world)
        assert guest(world, spelling).runner == 1
        learnt(world, 1, spelling)
        assert guest(world).runner == 1


async def test_d17_a_machine_with_a_key_is_known_by_its_secret_alone(
    world: World, autojump_clock: object
) -> None:
    async with world.running():
        await boots(world, key=digest(KEY))
        assert guest(world, "198.51.100.1", KEY).runner == 1
        assert await config(world, "whatever", KEY) == "s3cret"
        for secret in ("", KEY[:-1], KEY.upper(), digest(KEY), "\udc80é"):
            with pytest.raises(GuestUnknown, match="key"):
                guest(world, HERE, secret)
        with pytest.raises(GuestUnknown, match=HERE):
            guest(world)


async def test_d17_a_machine_without_a_key_is_not_found_by_one(
    world: World, autojump_clock: object
) -> None:
    async with world.running():
        await boots(world)
        with pytest.raises(GuestUnknown):
            guest(world, HERE, KEY)
        with pytest.raises(GuestUnknown):
            guest(world, HERE, "")


async def test_d17_two_claims_are_none(world: World, autojump_clock: object) -> None:
    async with world.running():
        await boots(world, 2)
        learnt(world, 2, HERE, "192.0.2.8")
        with pytest.raises(GuestAmbiguous, match=r"2 machines have the address 192\.0\.2\.7"):
            guest(world)
        assert guest(world, "192.0.2.8").runner == 2
        builder(world, addresses=("192.0.2.8",))
        with pytest.raises(GuestAmbiguous):
            guest(world, "192.0.2.8")
        learnt(world, 2, "192.0.2.9")
        assert guest(world).runner == 1


async def test_d18_who_has_the_address_of_one_that_is_gone_is_itself(
    world: World, autojump_clock: object
) -> None:
    answers = [
        Registration(name=f"linux.{number}@host", ref=f"r{number}", config=Secret(f"of {number}"))
        for number in (1, 2)
    ]
    world.script["register"] = list(answers)
    async with world.running():
        await boots(world)
        old = guest(world)
        world.stop_machine(1)
        await world.until(lambda: world.states().get(2) == "booting", 10)
        learnt(world, 2, HERE)
        assert guest(world).runner == 2
        assert await config(world) == "of 2"
        with pytest.raises(GuestUsed):
            await old.registration()


async def test_d18_while_the_old_one_still_runs_nobody_is_it(
    world: World, autojump_clock: object
) -> None:
    world.script["destroy"] = [world.HANG]
    async with world.running():
        await boots(world)
        world.agents.pop("linux.1@host")
        world.contexts["queue"].registration_changed(Registration(name="linux.1@host", gone=True))
        await world.until(lambda: world.states().get(2) == "booting", 10)
        with pytest.raises(GuestUsed, match="retired"):
            await config(world)
        learnt(world, 2, HERE)
        with pytest.raises(GuestAmbiguous):
            guest(world)
        world.grace = 1.0
        world.crash()


async def test_who_may_be_known_soon_is_asked_to_come_again(
    world: World, autojump_clock: object
) -> None:
    world.script["provision"] = [10.0]
    async with world.running():
        with pytest.raises(GuestUnknown, match=r"by the address 192\.0\.2\.7"):
            guest(world)
        await world.deliver(1)
        await world.until(lambda: world.states() == {1: "registered"}, 5)
        for secret in (None, KEY):  # it may run before its provisioner says so
            with pytest.raises(GuestNotReady) as caught:
                guest(world, HERE, secret)
            assert caught.value.retry_after > 0
        await world.until(lambda: world.states() == {1: "booting"}, 20)
        await trio.sleep(1)
        with pytest.raises(GuestNotReady):
            guest(world)
        with pytest.raises(GuestUnknown):
            guest(world, HERE, KEY)  # the one that starts has no key
        learnt(world, 1, "192.0.2.8")
        await trio.sleep(1)
        with pytest.raises(GuestUnknown):
            guest(world)


async def test_strangers_do_not_cost_a_look_at_every_runner_each(
    world: World, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.running():
        guests = world.engine.guests
        looks: list[None] = []
        look = guests._look

        def counted() -> tuple[bool, bool]:
            looks.append(None)
            return look()

        monkeypatch.setattr(guests, "_look", counted)
        for number in range(1000):
            with pytest.raises(GuestUnknown):
                guest(world, f"198.51.100.{number % 250}")
        assert len(looks) <= 1


# --- the registration


async def test_d19_a_config_is_served_until_120_s_after_the_first_time(
    world: World, autojump_clock: object
) -> None:
    async with world.running():
        await boots(world)
        await trio.sleep(100)
        assert await config(world) == "s3cret"
        await trio.sleep(60)
        assert await config(world) == "s3cret"  # its first try may have got lost
        await trio.sleep(59)
        assert await config(world) == "s3cret"
        await trio.sleep(1)
        with pytest.raises(GuestUsed, match="already"):
            await config(world)
        await trio.sleep(5)
        assert world.rows[1].config is None
        with pytest.raises(GuestUsed, match="already"):
            await config(world)
        assert world.states() == {1: "booting"}


async def test_d19_and_only_until_its_runner_is_online(
    world: World, autojump_clock: object
) -> None:
    async with world.running():
        await boots(world)
        assert await config(world) == "s3cret"
        world.online(1)
        with pytest.raises(GuestUsed):
            await config(world)
        world.works(1)
        with pytest.raises(GuestUsed):
            await config(world)


async def test_d19_over_a_restart_it_is_the_same_time(world: World, autojump_clock: object) -> None:
    async with world.running():
        await boots(world)
        assert await config(world) == "s3cret"
        await trio.sleep(100)
    async with world.running():
        assert await config(world) == "s3cret"
        await trio.sleep(21)
        with pytest.raises(GuestUsed):
            await config(world)


async def test_d19_the_first_time_is_durable_before_it_is_served(
    world: World, autojump_clock: object
) -> None:
    async with world.running(crash=True):
        await boots(world)
        world.disk_full = True
        for _ in range(3):
            with pytest.raises(GuestNotReady, match="written down"):
                await config(world)
        world.disk_full = False
        assert await config(world) == "s3cret"
    async with world.running():
        assert world.rows[1].fetched is not None


async def test_who_comes_online_while_it_is_written_has_it_already(
    world: World, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.running():
        await boots(world)
        keep = world.engine.state.keep

        async def late(*rows: Any, **more: Any) -> None:
            world.online(1)
            await keep(*rows, **more)

        monkeypatch.setattr(world.engine.state, "keep", late)
        with pytest.raises(GuestUsed):
            await config(world)


async def test_d19_what_was_delivered_otherwise_is_not_served(
    world: World, autojump_clock: object
) -> None:
    async with world.running():
        await boots(world, delivered=True)
        with pytest.raises(GuestUsed, match="put into this machine"):
            await config(world)


async def test_an_expired_config_is_not_served(world: World, autojump_clock: object) -> None:
    world.script["register"] = [
        Registration(
            name="linux.1@host", ref="r1", config=Secret("s3cret"), expires=time.time() + 1000
        )
    ]
    async with world.running():
        await boots(world)
        assert await config(world) == "s3cret"
        row = world.rows[1]
        registration = row.runner.registration
        assert registration is not None
        world.engine.state.rows[1] = replace(
            row,
            runner=replace(row.runner, registration=replace(registration, expires=time.time() - 1)),
        )
        with pytest.raises(GuestUsed, match="expired"):
            await config(world)


async def test_a_runner_that_is_retired_is_given_nothing(
    world: World, autojump_clock: object, tmp_path: Path
) -> None:
    (tmp_path / "boot.sh").write_text("hello")
    world.profiles["linux"] = profile(boot_script=str(tmp_path / "boot.sh"))
    world.script["unregister"] = [100.0]
    async with world.running():
        await boots(world)
        assert await config(world) == "s3cret"
        world.contexts["queue"].registration_changed(Registration(name="linux.1@host", gone=True))
        assert world.states()[1] == "retiring"
        with pytest.raises(GuestUsed):
            await config(world)
        with pytest.raises(GuestUsed):
            await guest(world).boot()


async def test_a_machine_that_stopped_is_nobody(world: World, autojump_clock: object) -> None:
    async with world.running():
        await boots(world)
        found = guest(world)
        world.stop_machine(1)
        with pytest.raises(GuestUnknown):
            guest(world)
        with pytest.raises(GuestUsed):
            await found.registration()
