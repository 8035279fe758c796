"""One call for all who ask at the same time, and none anew for a while."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Generic, TypeVar

import trio

from scaler.errors import ScalerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


class Flight(Generic[T]):
    """Asks something that has a price. One who gives up waiting spoils it for nobody else.

    Args:
        call: What is asked. Errors of ours are an answer, too.
        rest: Seconds for which an answer is given again.
    """

    def __init__(self, call: Callable[[], Awaitable[T]], rest: float) -> None:
        self._call = call
        self._rest = rest
        self._under_way: trio.Event | None = None
        self._answer: list[T] = []
        self._error: ScalerError | None = None
        self._at = -math.inf

    async def ask(self) -> T:
        """The answer, a new one or that of a moment ago.

        Raises:
            ScalerError: What the call raised.
        """
        began = trio.current_time()
        while self._at < began - self._rest:
            if self._under_way is None:
                await self._fly()
            else:
                await self._under_way.wait()
        await trio.lowlevel.checkpoint()
        if self._error is not None:
            raise self._error.with_traceback(None)
        return self._answer[0]

    async def _fly(self) -> None:
        self._under_way = trio.Event()
        try:
            self._answer, self._error = [await self._call()], None
        except ScalerError as error:
            self._answer, self._error = [], error
        finally:
            self._under_way.set()
            self._under_way = None
        self._at = trio.current_time()
