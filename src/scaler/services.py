"""Running plugins' services: started, restarted, and shown as degraded meanwhile."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from scaler.dispatch.words import said
from scaler.errors import FatalError, HookFault, Unavailable
from scaler.hooks import SPEC, contract

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler.dispatch import Call, Dispatcher

log = logging.getLogger("scaler.services")

LONGEST = 60.0  # seconds until a failed service is started again, at most
STEADY = 300.0  # seconds of running after which its failures are forgotten
LOOK = 10.0  # seconds between two looks whether a service is ending and does not get there


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
        self._sooner = {name: trio.Event() for name in self._names}
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

    def hurry(self, name: str) -> None:
        """Start a service again at once that has failed: what it failed of may be mended."""
        if name in self._sooner:
            self._sooner[name].set()
            self._sooner[name] = trio.Event()

    async def _supervise(self, name: str) -> None:
        wait, told = 1.0, ""
        while True:
            began = trio.current_time()
            error, ended = await self._once(name)
            if error is None or self._stopping.is_set():
                return
            if trio.current_time() - began > STEADY:
                wait = 1.0
            expected = _expected(error)
            again = f"next try in {wait:g} s" if ended.is_set() else "no next try beside that"
            text = f"its service failed, {again}: {_line(error)}"
            if expected is None:
                log.error("%s: %s", name, text, extra={"plugin": name}, exc_info=error)
            elif str(expected) != told:  # one line, until it is something else
                log.error("%s: %s; it is tried again", name, expected, extra={"plugin": name})
            told = str(expected) if expected is not None else ""
            self._failed(name, text)
            await _first(ended, self._stopping)
            with trio.move_on_after(wait):
                await _first(self._stopping, self._sooner[name])
                if self._stopping.is_set():
                    return
                wait = 0.5  # what failed, failed of other settings
            wait = min(LONGEST, wait * 2)

    async def _once(self, name: str) -> tuple[BaseException | None, trio.Event]:
        """Run it once: what it failed with, None when it returned; and set when it has ended.

        Raises:
            FatalError: The service says that the scaler cannot run like this.
        """
        limit = contract(SPEC.run_service).deadline
        told = _Told()
        service = self._hooks.begin(name, SPEC.run_service, task_status=told)
        failure: BaseException | None = None
        try:
            with trio.move_on_after(limit) as starting:
                await _first(told.ready, service.over)
            if starting.cancelled_caught:
                failure = TimeoutError(f"it did not call started() within {limit:g} s")
                await self._hooks.stop(service)
            elif told.ready.is_set() or (service.done and service.error is None):
                # one that returns without `started()` has nothing to run, and is ready all the same
                self._hooks.set_ready(name, True)
                self._attempted[name].set()
                self._hooks.follow(service, "ready")
                self._ready(name)
                await _ended(service)
        except BaseException:  # cancelled; within a nursery of `_first` that is a group
            await self._hooks.stop(service)
            outcome, ended = self._hooks.ended(service)
            if not ended.is_set():
                log.error("%s", outcome, extra={"plugin": name})
                self._failed(name, str(outcome))
            raise
        finally:
            self._attempted[name].set()
        outcome, ended = self._hooks.ended(service)
        if outcome is not None and (fatal := _fatal_errors(outcome)):
            raise fatal[0]
        if failure is None or not ended.is_set():
            failure = outcome
        if failure is not None:
            self._hooks.set_ready(name, False)
        return failure, ended


class _Told:
    """What a service is given: remembers that `started()` was called; once more is harmless."""

    def __init__(self) -> None:
        self.ready = trio.Event()

    def started(self, value: None = None) -> None:
        """The service's hooks can be called."""
        del value
        self.ready.set()


async def _first(*events: trio.Event) -> None:
    """Wait until one of them is set."""
    async with trio.open_nursery() as nursery:

        async def wait(event: trio.Event) -> None:
            await event.wait()
            nursery.cancel_scope.cancel()

        for event in events:
            nursery.start_soon(wait, event)


async def _ended(service: Call) -> None:
    """Wait until it is over; hold what keeps it from ending, though it ends what it started."""
    before: set[trio.lowlevel.Task] = set()
    while True:
        with trio.move_on_after(LOOK):
            await service.over.wait()
            return
        unwilling = service.unwilling()
        for task in unwilling & before:
            service.rein(task)
        before = unwilling


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
    if isinstance(error, Unavailable):
        return str(error)
    return error.text if isinstance(error, HookFault) else said(error)


def _only(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
