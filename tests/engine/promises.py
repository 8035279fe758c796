"""A world whose runners can be promised, and those who ask for them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from scaler import hookimpl
from scaler.errors import Busy
from scaler.records import Reservation, Room, Runner, RunnerState, Selection

from .conftest import World, profile

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

REPO, RUN = "acme/widgets", "9"


class Labels:
    """What workflows see of reservations, and how to make seeing it fail."""

    def __init__(self) -> None:
        self.seen: dict[int, str] = {}


def reserving(world: World, labels: Labels) -> type[Any]:
    """The world's source, whose runners can be reserved."""
    base = world.plugins["queue"]

    class Source(base):  # type: ignore[misc, valid-type]
        @hookimpl
        async def reserve_runner(self, runner: Runner, reservation: Reservation | None) -> None:
            await world.called("reserve" if reservation else "release", runner.id)
            if world.agents[runner.name].busy:
                raise Busy(runner.name)
            if reservation is None:
                labels.seen.pop(runner.id, None)
            else:
                labels.seen[runner.id] = reservation.unique_id

    return Source


@asynccontextmanager
async def idle(world: World, count: int, **more: Any) -> AsyncIterator[World]:
    """A scaler with so many idle runners."""
    world.profiles = {"linux": profile(target_count=count, max_count=2 * count + 2, **more)}
    world.rooms = [Room(name="a", total={"memory": 100})]
    async with world.running():
        await world.deliver(0)
        await world.until(lambda: len(world.machines) == count)
        for number in list(world.agents):
            world.online(int(number.split(".")[1].split("@")[0]))
        await world.until(lambda: ready(world) == count)
        yield world


def ready(world: World) -> int:
    return sum(row.runner.state is RunnerState.IDLE for row in world.rows.values())


def reserved(world: World) -> list[int]:
    return [n for n, row in world.rows.items() if row.runner.state is RunnerState.RESERVED]


def unique(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012x}"


async def take(
    world: World, number: int = 1, count: int = 1, *, wait: float = 0.0, **more: Any
) -> tuple[Runner, ...]:
    values = {"qualified_repo": REPO, "run_id": RUN, "since": 1_800_000_000.0, **more}
    key = values.pop("profile", "linux")
    return await world.contexts["queue"].take(
        Selection(profile=key, count=count),
        Reservation(unique_id=unique(number), **values),
        wait=wait,
    )
