"""Standing between trio and a plugin's coroutine, where one of them would harm the other.

`guarded` keeps what is not trio's from trio, which would end the nursery around. `rein` is for what
was cancelled and goes on: `while True: try: await trio.sleep(1) except BaseException: pass` ends on
no cancellation, and once cancelled it takes all the time that there is. It is given no further
turn, and costs nothing more.
"""

from __future__ import annotations

import ctypes
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import trio

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

FOREIGN = 100  # times that a coroutine may await what is not trio's
SWALLOWED = 100  # cancellations that it may catch: tidying up takes a few
STEPS = 20_000  # that it may take, for it may be behind a shield, where nothing cancels it
TRIO = f"{Path(trio.__file__).parent}{os.sep}"


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
    that catches one cancellation after another is held, just after something has woken it: so it
    stands in nobody's queue, and nothing wakes it again.

    Args:
        on_hold: Called when one is held.
        on_gone: Called with a held task that has ended.
    """

    def __init__(
        self, on_hold: Callable[[], None], on_gone: Callable[[trio.lowlevel.Task], None]
    ) -> None:
        self._on_hold = on_hold
        self._on_gone = on_gone
        self._released = self._over = False
        self._held: dict[trio.lowlevel.Task, Any] = {}

    def take(self, task: trio.lowlevel.Task) -> None:
        """Take the reins of a task that is not the one which runs now, and of all below it.

        What they begin from now on is taken, too. That a task's `coro` can be set is not promised
        by trio. A test holds it; without it, such a task is left as it is.
        """
        begun = _begun()
        if task not in begun.reins:
            driver = self._drive(task, task.coro)
            next(driver)
            try:
                task.coro = driver  # type: ignore[assignment]
            except AttributeError:
                return
            begun.reins[task] = self
        for nursery in task.child_nurseries:
            for child in nursery.child_tasks:
                self.take(child)

    async def hold(self) -> None:
        """Hold the task that runs now for good: it has a nursery that cannot be left."""
        self._held[trio.lowlevel.current_task()] = None
        self._on_hold()
        await trio.lowlevel.wait_task_rescheduled(_never)

    @property
    def holding(self) -> bool:
        """Whether a task is held; after `release`, one that cannot end."""
        return bool(self._held)

    def release(self) -> None:
        """Let tasks that are held end where they stand, now and whenever one is held later.

        What they were doing is never looked at again. A task with a nursery of its own cannot end.
        """
        self._released = True
        for task in [task for task in self._held if not task.child_nurseries]:
            _forget(self._held.pop(task))
            trio.lowlevel.reschedule(task)

    def let_go(self) -> None:
        """What was to end has ended: a task that goes on with something else is as it was."""
        self._over = True

    def _drive(self, task: trio.lowlevel.Task, coroutine: Any) -> Generator[Any, Any, Any]:
        caught = steps = 0
        given = yield
        while caught <= SWALLOWED and steps <= STEPS:
            cancelled = isinstance(getattr(given, "error", None), trio.Cancelled)  # outcome.Error
            try:
                message = coroutine.send(given)
            except StopIteration as end:
                return end.value
            steps += 1
            if cancelled and trio.current_effective_deadline() == -math.inf:
                caught += 1  # and it will come again
            if self._over:
                task.coro = coroutine
                _begun().forget(task)
            given = yield message
        self._on_hold()
        if self._released and not task.child_nurseries:
            _forget(coroutine)
        else:
            self._held[task] = coroutine
            waiting = trio.lowlevel.wait_task_rescheduled(_never)  # noqa: ASYNC105 - driven by hand
            yield waiting.send(None)
            waiting.close()
        self._on_gone(task)
        return None


class _Begun(trio.abc.Instrument):
    """Takes the reins of tasks that are begun below one which is reined."""

    def __init__(self) -> None:
        self.reins: dict[trio.lowlevel.Task, Rein] = {}

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        parent = None if task.parent_nursery is None else task.parent_nursery.parent_task
        if parent is not None and (rein := self.reins.get(parent)) is not None:
            rein.take(task)

    def task_exited(self, task: trio.lowlevel.Task) -> None:
        self.forget(task)

    def forget(self, task: trio.lowlevel.Task) -> None:
        if self.reins.pop(task, None) is not None and not self.reins:
            trio.lowlevel.remove_instrument(self)
            _BEGUN.set(None)


_BEGUN: trio.lowlevel.RunVar[_Begun | None] = trio.lowlevel.RunVar("reined", None)


def _begun() -> _Begun:
    """The one of this run; it is there as long as anything is reined."""
    found = _BEGUN.get()
    if found is None:
        found = _Begun()
        _BEGUN.set(found)
        trio.lowlevel.add_instrument(found)
    return found


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
        if frame is None or frame.f_code.co_filename.startswith(TRIO):
            break
        found = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    return found
