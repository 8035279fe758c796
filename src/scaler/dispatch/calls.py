"""One call of a plugin's hook, in a task that whoever waits for it can go on without."""

from __future__ import annotations

import inspect
import math
import signal
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import trio

from scaler.about import ABOUT, GIVEN
from scaler.dispatch.answers import judged
from scaler.dispatch.driving import Guarded, Rein, where
from scaler.dispatch.endings import Ending, cut, read
from scaler.dispatch.subject import given, of_call
from scaler.dispatch.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from scaler.hooks import Contract

GRACE = 10.0  # seconds that a call has to end after it was cancelled
TURNS = 50  # of the loop, that it has before it may not catch cancellations for ever


class Impl:
    """A plugin's implementation of a hook."""

    def __init__(
        self,
        plugin: str,
        hook: str,
        terms: Contract,
        function: Callable[..., Any],
        argnames: Sequence[str],
    ) -> None:
        self.plugin = plugin
        self.hook = hook
        self.label = f"{plugin}.{hook}"
        self.terms = terms
        self.function = function
        self.argnames = tuple(argnames)
        self.awaited = inspect.iscoroutinefunction(function)
        self.judge = partial(judged, terms)

    def begin(self, kwargs: dict[str, Any], turns: Turns) -> Coroutine[Any, Any, Any]:
        """The coroutine of one call."""
        args = [kwargs[name] for name in self.argnames]
        if self.awaited:
            coroutine: Coroutine[Any, Any, Any] = self.function(*args)
            return coroutine
        return self._in_thread(args, turns)

    async def _in_thread(self, args: list[Any], turns: Turns) -> Any:
        answer = await turns.run(self.hook, partial(self.function, *args))
        return await answer if inspect.isawaitable(answer) else answer


class Call:
    """One call. `run` runs it, in a task that nobody else's work depends on.

    Args:
        limit: Seconds that it may take.
        within: When the caller's own time is over, on the event loop's clock.

    Attributes:
        over: Set when it has ended, or is held for good.
        done: It has ended.
        late: It took longer than it may.
        answer: What it returned, in records of scaler's own.
        trouble: What is wrong with the answer; empty where it is well.
        error: What it raised; only `ending` may be looked into.
        ending: What that means.
        began: When, on the event loop's clock.
        due: When it has to have ended.
        stopped: It was told to stop.
        given_up: Nobody waits for it any more.
        afterwards: Called when it ends although it was given up.
    """

    __slots__ = (
        "_coroutine",
        "_rein",
        "_scope",
        "_task",
        "_turns",
        "afterwards",
        "answer",
        "began",
        "done",
        "due",
        "ending",
        "error",
        "given_up",
        "impl",
        "kwargs",
        "late",
        "limit",
        "over",
        "stopped",
        "trouble",
    )

    def __init__(
        self,
        impl: Impl,
        kwargs: dict[str, Any],
        turns: Turns,
        limit: float,
        within: float = math.inf,
    ) -> None:
        self.impl = impl
        self.kwargs = kwargs
        self.limit = limit
        self.over = trio.Event()
        self.done = self.late = self.given_up = self.stopped = False
        self.answer: Any = None
        self.trouble = ""
        self.error: BaseException | None = None
        self.ending = Ending()
        self.began = trio.current_time()
        self.afterwards: Callable[[Call], None] | None = None
        self.due = self.began + limit
        self._turns = turns
        self._coroutine: Coroutine[Any, Any, Any] | None = None
        self._scope = trio.CancelScope(deadline=min(self.due, within))
        self._task: trio.lowlevel.Task | None = None
        self._rein: Rein | None = None

    async def run(self) -> None:
        """Run it. Raises nothing, whatever the plugin does."""
        self._task = task = trio.lowlevel.current_task()
        task.name = self.impl.label
        ABOUT.set(of_call(self.impl.plugin, self.kwargs))
        GIVEN.set(given(self.kwargs))
        before = len(task.child_nurseries)
        try:
            with self._scope:
                await self._run()
        except BaseException as error:  # it left a cancel scope open, for example
            if interrupt(error) is not None:
                raise
            self._failed(error, cancelled=False)
        finally:
            if len(task.child_nurseries) == before:
                self._end()
        if not self.done:
            text = "it left a nursery open; long work belongs in run_service"
            self._failed(RuntimeError(text), cancelled=False)
            await self._close(task.child_nurseries[before:])
            self._end()

    async def _close(self, nurseries: Sequence[trio.Nursery]) -> None:
        """Leave nurseries that the plugin has left open.

        To end the task with them would be an error of the nursery around it. That this can be done
        is not promised by trio, but held by a test ("nursery left open", among the misdeeds);
        without it, the task is held.
        """
        for nursery in reversed(nurseries):
            nursery.cancel_scope.cancel()
            for _ in range(TURNS):
                await trio.lowlevel.cancel_shielded_checkpoint()
            for task in nursery.child_tasks:
                self.rein(task)
            leave = getattr(nursery, "_nested_child_finished", None)
            if leave is None:
                await self._reins().hold()
            else:
                await leave(None)
                nursery.cancel_scope.__exit__(None, None, None)

    async def _run(self) -> None:
        try:
            self._coroutine = self.impl.begin(self.kwargs, self._turns)
            self.answer, self.trouble = self.impl.judge(await Guarded(self._coroutine))
        except BaseException as error:
            if (wanted := interrupt(error)) is not None:
                raise wanted from None
            self._failed(error, cancelled=trio.current_effective_deadline() == -math.inf)
        self.late = trio.current_time() >= self.due

    def _failed(self, error: BaseException, *, cancelled: bool) -> None:
        with suppress(BaseException):  # what it is may be of a plugin's own making
            cut(error, Call._run.__code__)
        self.error = error
        self.ending = read(error, cancelled, self.impl.terms)

    def _end(self) -> None:
        self.done = True
        self.over.set()
        if self._rein is not None:
            self._rein.let_go()
        if self.given_up and self.afterwards is not None:
            self.afterwards(self)

    def cancel(self) -> None:
        """Tell it to stop."""
        self.stopped = True
        self._scope.cancel()

    def rein(self, task: trio.lowlevel.Task | None = None) -> None:
        """It should have stopped, or the task has: hold what does nothing but go on."""
        task = self._task if task is None else task
        if not self.done and task is not None:
            self._reins().take(task)

    def unwilling(self) -> set[trio.lowlevel.Task]:
        """The tasks that run in nurseries of its own which were cancelled."""
        found: set[trio.lowlevel.Task] = set()
        look = [] if self.done or self._task is None else [self._task]
        while look:
            for nursery in look.pop().child_nurseries:
                if nursery.cancel_scope.cancel_called:
                    found |= nursery.child_tasks
                look += nursery.child_tasks
        return found

    def release(self) -> None:
        """Let it end where it stands, now or as soon as it is held."""
        if not self.done:
            self._reins().release()

    @property
    def held(self) -> bool:
        """Whether it is held; after `release`, for good."""
        return not self.done and self._rein is not None and self._rein.holding

    def _reins(self) -> Rein:
        if self._rein is None:
            self._rein = Rein(self.over.set, self._gone)
        return self._rein

    def _gone(self, task: trio.lowlevel.Task) -> None:
        if task is self._task and not self.done:
            self._end()  # (what `run` still had to do is never done)

    def where(self) -> str:
        """` at FILE:LINE`, where it waits."""
        place = where(self._coroutine)
        return f" at {place}" if place else ""


def interrupt(error: BaseException) -> BaseException | None:
    """A Ctrl-C that is in there, where it is left to raise KeyboardInterrupt: no plugin's doing."""
    found: BaseException | None = None
    with suppress(
        BaseException
    ):  # an error of a plugin's own class may raise where it is looked at
        if isinstance(error, KeyboardInterrupt):
            found = error
        elif isinstance(error, BaseExceptionGroup):
            found = error.subgroup(KeyboardInterrupt)
    if found is None:
        return None
    handler = signal.getsignal(signal.SIGINT)
    left = (
        handler is signal.default_int_handler
        or getattr(handler, "__module__", "") == "trio._core._ki"
    )
    return found if left else None
