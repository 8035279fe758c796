"""Making and destroying machines, broken off and in each other's way."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import trio

from scaler.errors import HookFault, Outcome
from scaler.hooks import SPEC
from scaler.testing.cutting import cut_short
from scaler.testing.promises import promised
from scaler.testing.promises_plugin import NO_FAULT
from scaler.testing.promises_provisioner import CUT, DESTROY_CUT, RACE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler.records import Runner
    from scaler.testing.shop import Shop

LATE = 0.5  # seconds after which what was broken off is seen to have left nothing behind
RACES = (0.0, 0.25, 0.5, 0.75)  # parts of the time it takes by which making it is ahead


async def broken_off(shop: Shop, points: int) -> int:
    """Break off making machines, and destroying them; answer how many awaits making one has."""
    rounds: list[Runner] = []
    notes: dict[int, str] = {}

    async def making(_round: int) -> Mapping[str, Any]:
        runner = shop.runner()
        rounds.append(runner)
        return {"runner": runner, "registration": shop.registration(runner)}

    async def made(_round: int) -> None:
        notes[rounds[-1].id] = f"{shop.stage.broken_off}, and destroyed then"
        await shop.destroy_at_last(rounds[-1], CUT)
        await shop.clean(rounds[-1:], CUT)

    async def destroying(_round: int) -> Mapping[str, Any]:
        runner = shop.runner()
        rounds.append(runner)
        await shop.make(runner)
        return {"runner": runner}

    async def destroyed(_round: int) -> None:
        await shop.destroy_at_last(rounds[-1], DESTROY_CUT)
        await shop.clean(rounds[-1:], DESTROY_CUT)

    with promised(NO_FAULT, "making a machine"):
        awaits = await cut_short(shop.stage, SPEC.provision_runner, points, making, made)
    await trio.sleep(LATE)
    await shop.clean(rounds, CUT, notes)
    rounds.clear()
    with promised(NO_FAULT, "destroying a machine"):
        await cut_short(shop.stage, SPEC.destroy_runner, points, destroying, destroyed, again=True)
    await shop.clean(rounds, DESTROY_CUT)
    return awaits - 1


async def races(shop: Shop) -> None:
    """Destroy a machine while it is being made: whoever comes second, it is gone in the end."""
    runner = shop.runner()
    began = trio.current_time()
    await shop.make(runner)
    took = trio.current_time() - began
    await shop.destroy(runner)
    for part in RACES:
        runner, ahead = shop.runner(), part * took

        async def make(runner: Runner = runner) -> None:
            with suppress(HookFault, Outcome):  # (it may say that its runner is being retired)
                await shop.stage.call(
                    SPEC.provision_runner, runner=runner, registration=shop.registration(runner)
                )

        async def destroy(runner: Runner = runner, ahead: float = ahead) -> None:
            await trio.sleep(ahead)
            await shop.destroy_at_last(runner, RACE)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(make)
            nursery.start_soon(destroy)
        await shop.destroy_at_last(runner, RACE)
        await shop.clean([runner], RACE)
