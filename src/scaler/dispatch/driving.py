"""Standing between trio and a plugin's coroutine, where one of them would harm the other.

`guarded` keeps what is not trio's from trio, which would end the nursery around. `rein` is for what
was cancelled and goes on: `while True: try: await trio.sleep(1) except BaseException: pass` ends on
no cancellation, and once cancelled it takes all the time that there is. It is given no further
turn, and costs nothing more.
"""

from __future__ import annotations

import ctypes
import math
from typing import TYPE_CHECKING, Any, cast

import trio

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

FOREIGN = 100  # times that a coroutine may await what is not trio's
SWALLOWED = 100  # cancellations that it may catch: tidying up takes a few
STEPS = 20_000  # that it may take behind a shield, where nothing cancels it


class Guarded:
    """Awaits a coroutine of a plugin's. What it awaits that is not trio's is an error in there.

    Looks like a coroutine to who walks a task's frames.
    """

    __slots__ = ("_coroutine", "_foreign", "_send")

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine: Any = coroutine
        self._send = coroutine.send
        self._foreign = 0

    def __await__(self) -> Generator[Any, Any, Any]:
        return cast("Generator[Any, Any, Any]", self)  # all of one that is asked for

    def __iter__(self) -> Guarded:
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def send(self, given: Any) -> Any:
        """One step of the coroutine."""
        message = self._send(given)
        while not getattr(message, "__module__", "").startswith("trio."):  # a class, or of one
            self._foreign += 1
            error = TypeError(
                f"it awaits {type(message).__name__}, which is not trio's: is that of a library "
                "for asyncio? (trio.to_thread can run it in a thread)"
            )
            if self._foreign > FOREIGN:
                raise error
            message = self._coroutine.throw(error)
        return message

    @property
    def cr_frame(self) -> Any:
        """See `inspect`."""
        return self._coroutine.cr_frame

    @property
    def cr_await(self) -> Any:
        """See `inspect`."""
        return self._coroutine.cr_await


class Rein:
    """Holds a task that was told to stop, and every task in nurseries of its own.

    Such a task goes on as before, so that it can tidy up behind a shield as long as that takes. One
    that catches one cancellation after another is held.
    """

    def __init__(self, on_hold: Callable[[], None]) -> None:
        self._on_hold = on_hold
        self._released = False
        self._reined: dict[trio.lowlevel.Task, Any] = {}
        self._held: dict[trio.lowlevel.Task, Any] = {}

    def take(self, task: trio.lowlevel.Task) -> None:
        """Take the reins of a task that is not the one which runs now, and of all below it.

        That a task's `coro` can be set is not promised by trio. A test holds it; without it, such a
        task is left as it is.
        """
        if task not in self._reined:
            self._reined[task] = task.coro
            driver = self._drive(task, task.coro)
            next(driver)
            try:
                task.coro = driver  # type: ignore[assignment]
            except AttributeError:
                return
        for nursery in task.child_nurseries:
            for child in nursery.child_tasks:
                self.take(child)

    async def hold(self) -> None:
        """Hold the task that runs now."""
        self._on_hold()
        while not self._released:
            await trio.lowlevel.wait_task_rescheduled(_never)

    def holds(self, task: trio.lowlevel.Task) -> bool:
        """Whether a task is held."""
        return task in self._held

    def release(self) -> bool:
        """Let held tasks end where they stand; whether all of them can.

        What they were doing is never looked at again. A task with a nursery of its own cannot end.
        """
        if any(task.child_nurseries for task in self._held):
            return False
        self._released = True
        for task, coroutine in self._held.items():
            _forget(coroutine)
            trio.lowlevel.reschedule(task)
        self._held.clear()
        return True

    def _drive(self, task: trio.lowlevel.Task, coroutine: Any) -> Generator[Any, Any, Any]:
        swallowed = steps = 0
        given = yield
        while True:
            try:
                message = coroutine.send(given)
            except StopIteration as end:
                return end.value
            steps += 1
            if (
                isinstance(getattr(given, "error", None), trio.Cancelled)  # an outcome.Error
                and trio.current_effective_deadline() == -math.inf  # and it will come again
            ):
                swallowed += 1
            if swallowed > SWALLOWED or steps > STEPS:
                break
            given = yield message
        self._held[task] = coroutine
        self._on_hold()
        waiting = trio.lowlevel.wait_task_rescheduled(_never)  # noqa: ASYNC105 - driven by hand
        message = waiting.send(None)
        while not self._released:  # what it had been waiting for may still wake it
            yield message
        waiting.close()
        return None


def _never(_raise_cancel: object) -> trio.lowlevel.Abort:
    return trio.lowlevel.Abort.FAILED


def _forget(coroutine: object) -> None:
    """Never close it: a coroutine that catches everything would catch that too, for ever."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(coroutine))


def where(coroutine: Any) -> str:
    """The file and line at which a plugin's coroutine waits; empty where it does not."""
    found = ""
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is None or "/trio/" in frame.f_code.co_filename:
            break
        found = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    return found
