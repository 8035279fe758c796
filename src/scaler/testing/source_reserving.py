"""The part of a source's check about reservations, for a source that has them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import trio

from scaler.errors import Busy, Gone, HookFault, Outcome, Refused, Unavailable
from scaler.hooks import SPEC
from scaler.records import Reservation, Runner
from scaler.testing.cutting import cut_short
from scaler.testing.promises import promised
from scaler.testing.promises_source import RESERVES, TAKES_BACK, UNREGISTERS
from scaler.testing.source_runners import PATIENCE

if TYPE_CHECKING:
    from scaler.testing.source_runners import Desk

_CLEAN = Reservation(
    unique_id="8d4f2e0a-9f62-4a1b-8c33-2d1d7a9f0b11",
    qualified_repo="acme/widgets",
    run_id="4711",
    since=1_700_000_000.0,
)
#: What someone may have written into a request; the core passes on what a selector let through.
_STRANGE = (
    replace(_CLEAN, unique_id="a b,c;d'e\"f"),
    replace(_CLEAN, unique_id="line\nbreak\r\nand\ttab"),
    replace(_CLEAN, unique_id="../../../etc/passwd"),
    replace(_CLEAN, unique_id="x" * 10_000),
    replace(_CLEAN, unique_id="ünïcödé \N{SNOWMAN}\u202e"),
    replace(_CLEAN, qualified_repo="no-slash", run_id="not a number"),
)


async def check_reserving(desk: Desk, fresh: Callable[[int], Runner], points: int) -> None:
    """Reserve, reserve again, take back, take back again; break it off; reserve strange texts.

    Args:
        desk: The instance; nothing happens where it has no `reserve_runner`.
        fresh: A runner that was never registered, by a number.
        points: At how many awaits it is cancelled, at most.

    Raises:
        PromiseBroken: It breaks a promise.
    """
    if not desk.stage.has(SPEC.reserve_runner):
        return
    made = await desk.register(fresh(0))
    runner = replace(fresh(0), registration=replace(made, config=None, online=True, busy=False))
    clerk = _Clerk(desk)
    await clerk.take_back(runner, "where nothing was reserved")
    for doing in ("reserving it", "reserving it again"):
        await clerk.reserve(runner, _CLEAN, doing)
    for doing in ("where it was reserved", "where it was taken back already"):
        await clerk.take_back(runner, doing)
    for number, strange in enumerate(_STRANGE):
        await clerk.reserve(runner, strange, f"reserving it for strange text, number {number}")
        await clerk.take_back(runner, f"after strange text, number {number}")
    await clerk.cut_short(runner, points)
    await desk.unregister(runner, UNREGISTERS, "unregistering it")
    await clerk.take_back(runner, "where the runner is gone")


class _Clerk:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def reserve(self, runner: Runner, reservation: Reservation, doing: str) -> None:
        """Reserve it; an outcome that the contract names is an answer, too."""
        allowed = (Busy, Gone, Unavailable, Refused)
        with suppress(*allowed), promised(RESERVES, doing, *allowed):
            await self._call(runner, reservation)

    async def take_back(self, runner: Runner, doing: str) -> None:
        """Take it back, again and again as the core does, for a minute."""
        pause, until = 0.02, trio.current_time() + PATIENCE
        while True:
            try:
                return await self._call(runner, None)
            except (Gone, Busy):
                return None  # nothing is shown, or what is shown is used
            except (HookFault, Outcome) as error:
                wait = max(pause, getattr(error, "retry_after", None) or 0.0)
                if isinstance(error, HookFault) or trio.current_time() + wait > until:
                    raise TAKES_BACK.broken(f"taking it back {doing}: {error}") from error
            await trio.sleep(wait)
            pause = min(5.0, pause * 2)

    async def cut_short(self, runner: Runner, points: int) -> None:
        """Break reserving off wherever it waits: it can be taken back."""

        async def arguments(number: int) -> Mapping[str, Any]:
            return {"runner": runner, "reservation": replace(_CLEAN, unique_id=f"unique-{number}")}

        async def after(number: int) -> None:
            del number
            await self.take_back(runner, "after a reservation that was broken off")

        allowed = (Busy, Gone, Unavailable, Refused)
        with suppress(*allowed), promised(RESERVES, "reserving it", *allowed):
            await cut_short(self._desk.stage, SPEC.reserve_runner, points, arguments, after)

    def _call(self, runner: Runner, reservation: Reservation | None) -> Awaitable[None]:
        return self._desk.stage.call(SPEC.reserve_runner, runner=runner, reservation=reservation)
