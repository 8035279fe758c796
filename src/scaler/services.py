"""Running plugins' services: started, restarted, and shown as degraded meanwhile."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from scaler.errors import FatalError, Unavailable
from scaler.hooks import SPEC, contract

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from scaler.dispatch import Dispatcher

log = logging.getLogger("scaler.services")

LONGEST = 60.0  # seconds until a failed service is started again, at most
STEADY = 300.0  # seconds of running after which its failures are forgotten


class Services:
    """The `run_service` of every plugin that has one, each in a task of its own.

    Args:
        hooks: Told which plugins' hooks can be called.
        failed: Told of the plugin whose service failed, and why.
        ready: Told of the plugin that became ready.
        stopping: When set, a service that ends in an error is not started again.
    """

    def __init__(
        self,
        hooks: Dispatcher,
        failed: Callable[[str, str], None],
        ready: Callable[[str], None],
        stopping: trio.Event,
    ) -> None:
        self._hooks = hooks
        self._failed = failed
        self._ready = ready
        self._stopping = stopping
        self._names = hooks.implementers(SPEC.run_service)
        self._attempted = {name: trio.Event() for name in self._names}
        for name in self._names:
            hooks.set_ready(name, False)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run them all; return when every one has returned for good."""
        async with trio.open_nursery() as nursery:
            for name in self._names:
                nursery.start_soon(self._supervise, name, name=f"service {name}")
            task_status.started()

    async def attempted(self) -> None:
        """Wait until every service has started, or has failed to once."""
        for event in self._attempted.values():
            await event.wait()

    async def _supervise(self, name: str) -> None:
        service = self._hooks.service(name, SPEC.run_service)
        assert service is not None
        wait, told = 1.0, ""
        while True:
            began = trio.current_time()
            error = await self._once(name, service)
            if error is None or self._stopping.is_set():
                return
            if trio.current_time() - began > STEADY:
                wait = 1.0
            expected = _expected(error)
            text = f"its service failed, next try in {wait:g} s: {_line(error)}"
            if expected is None:
                log.error("%s: %s", name, text, extra={"plugin": name}, exc_info=error)
            elif str(expected) != told:  # one line, until it is something else
                log.error("%s: %s; it is tried again", name, expected, extra={"plugin": name})
            told = str(expected) if expected is not None else ""
            self._failed(name, text)
            with trio.move_on_after(wait):
                await self._stopping.wait()
                return
            wait = min(LONGEST, wait * 2)

    async def _once(self, name: str, service: Callable[..., Awaitable[None]]) -> Exception | None:
        """Run it once: None when it returned, the error when it failed.

        Raises:
            FatalError: The service says that the scaler cannot run like this.
        """
        limit = contract(SPEC.run_service).deadline
        failure: Exception | None = None
        fatal: list[FatalError] = []
        try:
            async with trio.open_nursery() as nursery:
                with trio.move_on_after(limit) as starting:
                    await nursery.start(_call, service, name=f"service {name}")
                if starting.cancelled_caught:
                    raise TimeoutError(f"it did not call started() within {limit:g} s")
                self._hooks.set_ready(name, True)
                self._attempted[name].set()
                self._ready(name)
        except* (Exception, SystemExit) as group:
            failure = group if isinstance(group, Exception) else RuntimeError(repr(group))
            fatal += _fatal_errors(group)
        finally:
            self._attempted[name].set()
        if fatal:
            raise fatal[0]
        if failure is not None:
            self._hooks.set_ready(name, False)
        return failure


async def _call(
    service: Callable[..., Awaitable[None]], task_status: trio.TaskStatus[None]
) -> None:
    """A service that returns without `started()` has nothing to run, and is ready all the same."""
    told = _Told(task_status)
    await service(told)
    if not told.done:
        task_status.started()


class _Told:
    """Remembers whether `started()` was called; a second call is harmless."""

    def __init__(self, task_status: trio.TaskStatus[None]) -> None:
        self._task_status = task_status
        self.done = False

    def started(self, value: None = None) -> None:
        """The service's hooks can be called."""
        del value
        if not self.done:
            self.done = True
            self._task_status.started()


def _fatal_errors(error: BaseException) -> list[FatalError]:
    if isinstance(error, BaseExceptionGroup):
        return [each for inner in error.exceptions for each in _fatal_errors(inner)]
    return [error] if isinstance(error, FatalError) else []


def _expected(error: BaseException) -> Unavailable | None:
    """What the service itself said of its surroundings: no fault, so nothing to be traced."""
    error = _only(error)
    return error if isinstance(error, Unavailable) else None


def _line(error: BaseException) -> str:
    error = _only(error)
    return str(error) if isinstance(error, Unavailable) else f"{type(error).__name__}: {error}"


def _only(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
