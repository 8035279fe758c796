"""The end of a run: errors come out bare, and calls of plugins' that do not end are named."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

from scaler.dispatch import part
from scaler.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scaler.dispatch import Dispatcher

log = logging.getLogger("scaler")

AGAIN = 10.0  # seconds between two lines of who is waited for
LOOK = 0.5  # seconds between two looks whether anybody still is


@asynccontextmanager
async def unwrapped() -> AsyncIterator[None]:
    """A fatal error comes out bare, however many nurseries it went through."""
    try:
        yield
    except BaseExceptionGroup as group:
        error: BaseException | None = group.subgroup(FatalError)
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if error is None:
            raise
        raise error from group


async def leave(hooks: Dispatcher, on_stuck: Callable[[Sequence[str]], None] | None) -> None:
    """Let calls go that do not end, tell which cannot be, and wait for those as long as it takes.

    Whoever waits for this is told again and again for whom: no deadline of theirs can reach here.
    """
    await part(hooks, on_stuck)
    began = told = trio.current_time()
    with trio.CancelScope(shield=True):
        while stuck := hooks.given_up():
            await trio.sleep(LOOK)
            if (now := trio.current_time()) >= told + AGAIN:
                told = now
                log.error("waiting since %.0f s for: %s", now - began, "; ".join(stuck))
