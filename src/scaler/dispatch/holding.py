"""The nursery of calls: nothing outside cancels it, so each call is cancelled by its caller."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from scaler.dispatch.dispatcher import Dispatcher

log = logging.getLogger("scaler.hooks")

AT_ONCE = 1.0  # seconds that calls have to end when all is to stop at once, all together
TIDYING = 15.0  # seconds more for those that still do something: less than the process has


@asynccontextmanager
async def open_calls() -> AsyncIterator[trio.Nursery]:
    """Hold calls while the body runs, and until all of them have ended.

    A call lives where its caller's shields do not reach. So a cancellation from outside passes it
    by, and reaches it from its caller, who knows whether it is shielded.
    """
    async with trio.open_nursery() as around:
        closing = trio.Event()
        calls: trio.Nursery = await around.start(_hold, closing)
        try:
            yield calls
        finally:
            closing.set()


async def _hold(closing: trio.Event, task_status: trio.TaskStatus[trio.Nursery]) -> None:
    # (who is cancelled already is given nothing by `started`, and would wait for what is shielded)
    await trio.lowlevel.checkpoint_if_cancelled()
    with trio.CancelScope(shield=True):
        async with trio.open_nursery() as calls:
            task_status.started(calls)
            await closing.wait()
            calls.cancel_scope.cancel()


async def part(hooks: Dispatcher, on_stuck: Callable[[Sequence[str]], None] | None) -> None:
    """Let calls go that do not end, now that nothing depends on them; tell which cannot.

    One that still does something may be tidying up, and has so long for that.
    """
    hooks.release()
    with trio.move_on_after(AT_ONCE, shield=True):
        await _all_gone(hooks)
    if hooks.working():
        log.warning("waiting for: %s", "; ".join(hooks.given_up()))
        with trio.move_on_after(TIDYING, shield=True):
            await _all_gone(hooks)
    if stuck := hooks.given_up():
        log.error("these do not end: %s", "; ".join(stuck))
        if on_stuck is not None:
            on_stuck(stuck)


async def _all_gone(hooks: Dispatcher) -> None:
    """Wait until nothing is left but what is held for good."""
    while hooks.working():  # noqa: ASYNC110 - once, at the very end
        await trio.sleep(AT_ONCE / 10)
