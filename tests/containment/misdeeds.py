"""What a plugin may do wrong, whichever hook it is in."""

from __future__ import annotations

import asyncio
import types
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import trio
import trio.lowlevel

from scaler.records import Registration, Room

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator


class Unprintable(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)

    __repr__ = __str__


class Everything(BaseException):
    """Nothing that `except Exception` would see."""


class Hostile(Registration):
    """A record in name, and an error to who looks into it."""

    def __getattribute__(self, name: str) -> Any:
        raise Everything(name)


async def kept() -> trio.Cancelled:
    """A cancellation that somebody has kept for later."""
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.sleep(1)
        except trio.Cancelled as cancelled:
            return cancelled
    raise AssertionError


@types.coroutine
def foreign(what: object) -> Generator[object, Any, None]:
    yield what


def raising(error: BaseException) -> Callable[[], Awaitable[Any]]:
    async def do() -> None:
        raise error

    return do


async def exits() -> None:
    raise SystemExit(3)


async def groups() -> None:
    raise BaseExceptionGroup("both", [ValueError("a"), await kept()])


async def raises_kept() -> None:
    raise await kept()


async def raises_kept_late() -> None:
    """After a cancellation that was real."""
    await trio.sleep(1)
    raise BaseExceptionGroup("", [BaseExceptionGroup("", [await kept()])])


async def opens_nursery() -> None:
    await trio.open_nursery().__aenter__()


async def opens_nursery_for_ever() -> None:
    nursery = await trio.open_nursery().__aenter__()
    nursery.start_soon(swallows)


async def opens_scope() -> None:
    trio.CancelScope().__enter__()


async def awaits_foreign() -> None:
    await asyncio.sleep(0)


async def awaits_foreign_for_ever() -> None:
    while True:
        with suppress(TypeError):
            await foreign("a letter")


async def cancels_around() -> None:
    task = trio.lowlevel.current_task()
    scope = trio.CancelScope()
    with scope:
        scope.cancel()
        try:
            await trio.sleep(1)
        finally:
            raise Everything(task.name)


async def never_returns() -> None:
    await trio.sleep_forever()


async def swallows_once() -> None:
    with suppress(BaseException):
        await trio.sleep_forever()


async def swallows() -> None:
    while True:
        with suppress(BaseException):
            await trio.sleep(1)


async def swallows_below() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(swallows)
        nursery.start_soon(swallows)


async def shielded() -> None:
    """Once it is cancelled: before, a clock that jumps would stand still."""
    try:
        await trio.sleep_forever()
    finally:
        with trio.CancelScope(shield=True):
            while True:
                await trio.lowlevel.checkpoint()


async def wrong() -> Any:
    return object()


async def hostile() -> Any:
    return Hostile(name="x", ref="1")


ERRORS = {
    "ValueError": raising(ValueError("no")),
    "SystemExit": exits,
    "GeneratorExit": raising(GeneratorExit()),
    "StopIteration": raising(StopIteration()),
    "asyncio.CancelledError": raising(asyncio.CancelledError()),
    "BaseException": raising(Everything("no")),
    "unprintable": raising(Unprintable()),
    "kept Cancelled": raises_kept,
    "kept Cancelled in a group": groups,
    "kept Cancelled in groups": raises_kept_late,
    "scope left open": opens_scope,
    "nursery left open": opens_nursery,
    "foreign": awaits_foreign,
    "foreign for ever": awaits_foreign_for_ever,
    "raises while it cancels itself": cancels_around,
}
WORDS = {
    "kept Cancelled": "raised Cancelled, though nothing was cancelled",
    "nursery left open": "it left a nursery open",
    "foreign": "it awaits NoneType, which is not trio's",
}
WRONG = {"wrong type": wrong, "hostile record": hostile}
LATE = {"never returns": never_returns, "swallows once": swallows_once}
STUCK = {
    "swallows": swallows,
    "swallows in children": swallows_below,
    "swallows in a nursery left open": opens_nursery_for_ever,
    "spins behind a shield": shielded,
}
ROOM = Room(name="a")
