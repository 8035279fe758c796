"""A machine's life, and several machines beside each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from scaler.errors import Unavailable
from scaler.hooks import SPEC
from scaler.testing.promises import promised
from scaler.testing.promises_plugin import CHECK_CHANGES_NOTHING, NO_FAULT
from scaler.testing.promises_provisioner import (
    ANY_CONFIG,
    AT_ONCE,
    EXISTS,
    LEAVES_NONE,
    LISTS_ALL,
    MACHINE,
    NEVER_WAS,
    NO_OTHER,
    ONE,
    ONE_AT_ONCE,
    OWN_ID,
    SAME_ID,
    SCREEN,
    TAGGED,
    TOTAL,
    TWICE,
)
from scaler.testing.provisioner_times import LATE
from scaler.testing.shop import LASTS
from scaler.testing.trial import check_what_all_have

if TYPE_CHECKING:
    from scaler.records import Machine, Profile, Runner
    from scaler.testing.promises import Promise
    from scaler.testing.shop import Shop

PNG = b"\x89PNG\r\n\x1a\n"
LARGEST = 4 << 20  # bytes of a picture
ASKED_AT_ONCE = 5


async def each_profile(shop: Shop, profiles: Mapping[str, Profile]) -> None:
    """The life of a machine of each profile."""
    gone: list[Runner] = []
    for profile in profiles:
        first = shop.runner(profile)  # what fails here fails whatever is asked of it
        await shop.make(first, harmless=True)
        await shop.destroy(replace(first, failed=True), NO_FAULT)
        await shop.clean([first], LEAVES_NONE)
        runner = shop.runner(profile)
        await life(shop, runner)
        gone += [first, runner]
    await trio.sleep(LATE)
    await shop.clean(gone, LEAVES_NONE)


async def life(shop: Shop, runner: Runner) -> None:
    """Make a machine, look at it from every side, and destroy it."""
    before = await _totals(shop)
    await shop.lacks([runner], LISTS_ALL)
    made = await shop.make(runner, ANY_CONFIG)
    _is_of(made, runner)
    seen = (await shop.shows([runner], EXISTS))[runner.id]
    if seen.id != made.id:
        raise SAME_ID.broken(f"{made.id} was answered for {runner.name}, and {seen.id} is listed")
    if seen.state == "stopped":
        raise EXISTS.broken(f"{seen.id} is listed as stopped{LASTS}")
    tags = (seen.runner_name, seen.profile, seen.room)
    if tags != (runner.name, runner.profile, runner.room):
        raise TAGGED.broken(
            f"runner_name {tags[0]!r}, profile {tags[1]!r} and room {tags[2]!r} are listed, wanted "
            f"{runner.name!r}, {runner.profile!r} and {runner.room!r}"
        )
    beside = await _totals(shop)
    again = await shop.make(runner, ONE)
    await shop.shows([runner], ONE)
    if again.id != made.id:
        raise ONE.broken(f"{made.id} is there, and {again.id} was answered")
    await _look(shop, seen)
    listed = await shop.listed()
    await check_what_all_have(shop.stage)
    await shop.lists(listed, CHECK_CHANGES_NOTHING)
    await shop.destroy(runner, machine=seen)
    await shop.clean([runner], LEAVES_NONE)
    if beside != before == await _totals(shop):
        raise TOTAL.broken(f"{before} without the machine, and {beside} beside it")
    await shop.destroy(runner, TWICE)
    await shop.destroy(shop.runner(runner.profile), NEVER_WAS)


async def several(shop: Shop, count: int) -> None:
    """Several machines, one after another and at the same time."""
    one, two = shop.runner(), shop.runner()
    first, second = await shop.make(one), await shop.make(two)
    if first.id == second.id:
        raise OWN_ID.broken(f"the machines of {one.name} and {two.name} are both {first.id}")
    await shop.shows([one, two], LISTS_ALL)
    await shop.destroy(one)
    await shop.shows([two], NO_OTHER)
    await shop.destroy(two)
    await shop.clean([one, two], LEAVES_NONE)

    runner = shop.runner()
    answers = await _make_at_once(shop, [runner] * ASKED_AT_ONCE, ONE_AT_ONCE)
    await shop.shows([runner], ONE_AT_ONCE)
    if len({each.id for each in answers}) > 1:
        raise ONE_AT_ONCE.broken(f"answered {sorted({each.id for each in answers})}")
    await shop.destroy(runner)
    await shop.clean([runner], ONE_AT_ONCE)

    many = [shop.runner() for _ in range(count)]
    await _make_at_once(shop, many, AT_ONCE)
    await shop.shows(many, AT_ONCE)
    async with trio.open_nursery() as nursery:
        for each in many:
            nursery.start_soon(shop.destroy, each, AT_ONCE)
    await shop.clean(many, AT_ONCE)


async def _make_at_once(shop: Shop, runners: list[Runner], promise: Promise) -> list[Machine]:
    answers: list[Machine] = []

    async def make(runner: Runner) -> None:
        answers.append(await shop.make(runner, promise))

    async with trio.open_nursery() as nursery:
        for runner in runners:
            nursery.start_soon(make, runner)
    return answers


def _is_of(made: Machine, runner: Runner) -> None:
    if made.runner != runner.id:
        raise MACHINE.broken(f"Machine.runner is {made.runner}, wanted {runner.id}")
    if not made.id:
        raise MACHINE.broken("Machine.id is empty")
    if made.room != runner.room:
        raise MACHINE.broken(f"Machine.room is {made.room!r}, wanted {runner.room!r}")


async def _totals(shop: Shop) -> dict[str, tuple[dict[str, int], dict[str, str]]]:
    if not shop.stage.has(SPEC.capacity):
        return {}
    rooms = await shop.stage.answer(SPEC.capacity)
    return {room.name: (dict(room.total), dict(room.refuses)) for room in rooms}


async def _look(shop: Shop, machine: Machine) -> None:
    if not shop.stage.has(SPEC.screenshot):
        return
    try:
        with promised(SCREEN, f"a picture of {machine.id}", Unavailable):
            png = await shop.stage.call(SPEC.screenshot, machine=replace(machine))
    except Unavailable:
        return
    if not png.startswith(PNG) or len(png) > LARGEST:
        raise SCREEN.broken(f"{len(png)} bytes that begin {png[:8]!r}")
