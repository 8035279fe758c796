"""What `check_provisioner` does to the world, and what it makes of a world that is slow or full."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import trio
from tests.testing.broken.lists import NamesAnew, TwoNames
from tests.testing.machines import InMemory, World

from scaler import (
    Context,
    FatalError,
    Machine,
    Registration,
    Room,
    RoomState,
    Runner,
    Unavailable,
    hookimpl,
)
from scaler.testing import PromiseBroken, check_provisioner

if TYPE_CHECKING:
    from trio.testing import MockClock


class SlowToTell(InMemory):
    """Lists a machine a second after it was made, and for a second after it was destroyed."""

    def __init__(self, context: Context[Any, Any], world: World | None = None) -> None:
        super().__init__(context, world)
        self.told: list[tuple[float, list[Machine]]] = []

    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.look)
            await trio.sleep(2)
            task_status.started()
            await self.context.stopping.wait()
            nursery.cancel_scope.cancel()

    async def look(self) -> None:
        while True:
            self.told.append((trio.current_time(), await super().list_machines()))
            await trio.sleep(0.05)

    @hookimpl
    async def list_machines(self) -> list[Machine]:
        await trio.lowlevel.checkpoint()
        known = [listed for at, listed in self.told if at <= trio.current_time() - 1]
        return known[-1] if known else []


class Asynchronous(InMemory):
    """Says that a machine is being destroyed until it is gone, and lists nothing meanwhile."""

    busy = 0.0

    @hookimpl
    async def destroy_runner(self, runner: Runner) -> None:
        if self.key(runner) in self.world.machines:
            del self.world.machines[self.key(runner)]
            self.busy = trio.current_time() + 1
        if self.busy > trio.current_time():
            raise Unavailable("is being destroyed", retry_after=2)

    @hookimpl
    async def list_machines(self) -> list[Machine]:
        if self.busy > trio.current_time():
            raise Unavailable("something is being destroyed")
        return await super().list_machines()


class TakesItsTime(InMemory):
    """Slow, and within each deadline."""

    @hookimpl
    async def destroy_runner(self, runner: Runner) -> None:
        await trio.sleep(100)
        await super().destroy_runner(runner)


class Counts(InMemory):
    """Counts its machines."""

    most = 0

    @hookimpl
    async def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
        made = await super().provision_runner(runner, registration)
        type(self).most = max(self.most, len(self.world.machines))
        return made


class OneProfile(InMemory):
    """Says that a room takes no machine of the profile."""

    @hookimpl
    async def capacity(self) -> list[Room]:
        await trio.lowlevel.checkpoint()
        down = Room(name="there", state=RoomState.DOWN)
        return [Room(name="here", refuses={"linux": "its image is being built"}), down]


class Unusable(InMemory):
    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        raise FatalError("the address is taken: choose another")


async def test_lists_that_come_late_are_waited_for_where_that_is_said(
    autojump_clock: MockClock,
) -> None:
    make = partial(SlowToTell, world=World())
    with pytest.raises(PromiseBroken) as caught:
        await check_provisioner(make, plugin=SlowToTell, points=2)
    assert caught.value.promise.name == "exists-when-answered"
    await check_provisioner(make, plugin=SlowToTell, points=2, settle=3)


@pytest.mark.parametrize("cls", [Asynchronous, TakesItsTime])
async def test_destroying_takes_several_calls_or_a_long_one(
    cls: type[InMemory], autojump_clock: MockClock
) -> None:
    world = World()
    await check_provisioner(partial(cls, world=world), plugin=cls, points=3, settle=3)
    assert world.machines == {}


@pytest.mark.parametrize("runners", [1, 2, 5])
async def test_there_are_never_more_machines_than_it_may_make(
    runners: int, autojump_clock: MockClock
) -> None:
    Counts.most = 0
    make = partial(Counts, world=World())
    await check_provisioner(make, plugin=Counts, points=2, runners=runners)
    assert Counts.most == runners


@pytest.mark.parametrize("cls", [TwoNames, NamesAnew])
async def test_what_a_check_that_failed_made_is_destroyed(
    cls: type[InMemory], autojump_clock: MockClock
) -> None:
    world = World()
    with pytest.raises(PromiseBroken):
        await check_provisioner(partial(cls, world=world), plugin=cls)
    assert world.machines == {}
    assert next(world.numbers) > 1


async def test_machines_that_were_there_before_stay(autojump_clock: MockClock) -> None:
    world = World()
    machine = Machine(runner=7, id="old", runner_name="linux.7@here", profile="linux")
    world.machines["here", 7] = machine
    await check_provisioner(partial(InMemory, world=world), plugin=InMemory, points=2)
    with pytest.raises(PromiseBroken):
        await check_provisioner(partial(TwoNames, world=world), plugin=TwoNames, points=2)
    assert world.machines == {("here", 7): machine}


async def test_with_no_room_there_is_nothing_to_check(autojump_clock: MockClock) -> None:
    with pytest.raises(RuntimeError, match="no room that takes machines of linux"):
        await check_provisioner(partial(OneProfile, world=World()), plugin=OneProfile)


async def test_each_profile_is_tried(autojump_clock: MockClock) -> None:
    world = World()
    seen: set[str] = set()

    class Notes(InMemory):
        @hookimpl
        async def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
            seen.add(runner.profile)
            return await super().provision_runner(runner, registration)

    settings = "[plugins.notes]\n[profiles.small]\n[profiles.large]"
    make = partial(Notes, world=world)
    await check_provisioner(make, plugin=Notes, settings=settings, points=2)
    assert seen == {"small", "large"}


async def test_a_service_that_cannot_run_says_so_itself(autojump_clock: MockClock) -> None:
    with pytest.raises(FatalError, match="choose another"):
        await check_provisioner(partial(Unusable, world=World()), plugin=Unusable)


async def test_it_is_cancelled_as_anything_else(autojump_clock: MockClock) -> None:
    world = World()
    with trio.move_on_after(1) as scope:
        await check_provisioner(partial(InMemory, world=world), plugin=InMemory)
    assert scope.cancelled_caught
    assert world.machines == {}
