"""Calling plugins' hooks: bounded in time, judged, and left behind where a call does not end."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import trio

from scaler.about import GIVEN
from scaler.dispatch.breaker import Breaker
from scaler.dispatch.calls import GRACE, TURNS, Call, Impl
from scaler.dispatch.subject import given, of_call
from scaler.dispatch.tracing import HookCall, Verdict, tell
from scaler.dispatch.turns import HangingError, Turns
from scaler.dispatch.words import said, shown
from scaler.errors import HookFault, Outcome, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

log = logging.getLogger("scaler.hooks")

# Cleaning up is repeated for ever, each runner with a backoff of its own: five runners that cannot
# be cleaned up must not keep a sixth from it.
UNBROKEN = frozenset({"unregister_runner", "destroy_runner"})
LEFT = 8  # calls of one plugin that go on although they were cancelled, until none is added
CANCELLED: Final = trio.Cancelled  # stands for: the caller was cancelled, and so was the call


@dataclass
class Health:
    """How one plugin does."""

    name: str
    ready: trio.Event = field(default_factory=trio.Event)
    turns: Turns = field(default_factory=Turns)
    breakers: dict[str, Breaker] = field(default_factory=dict)
    left: list[Call] = field(default_factory=list)

    def check(self, impl: Impl, kwargs: dict[str, Any]) -> None:
        """Raise Unavailable where the implementation is not called now."""
        if not self.ready.is_set():
            raise Unavailable(f"{self.name} has not started yet")
        breaker = self.breakers.get(impl.hook)
        if breaker is None:
            breaker = self.breakers[impl.hook] = Breaker()
        elif breaker.opened is not None and (rest := breaker.rest(trio.current_time())):
            raise Unavailable(f"{impl.label} failed too often, left alone", rest)
        if not self.left:
            return
        if impl.hook not in UNBROKEN:
            if len(self.left) >= LEFT:
                names = ", ".join(f"{call.impl.hook}{call.where()}" for call in self.left)
                raise Unavailable(f"{self.name} is left alone: cancelled, and going on: {names}")
            return
        runner = kwargs["runner"].id
        for call in self.left:
            if call.impl.hook == impl.hook and call.kwargs["runner"].id == runner:
                since = trio.current_time() - call.began
                raise Unavailable(
                    f"{impl.label} of this runner was cancelled and goes on since {since:.0f} s"
                    f"{call.where()}; it is not called again beside that"
                )


class Caller:
    """Calls implementations, and keeps how their plugins do.

    Args:
        calls: Holds the calls.
        on_fault: Told of every fault.
        on_recovery: Told of the plugin and hook when a hook that failed works again.
        trace: Told of every call.
        hide: Puts `***` in place of secrets, in what a plugin says went wrong.
    """

    def __init__(
        self,
        calls: trio.Nursery,
        on_fault: Callable[[HookFault], None],
        on_recovery: Callable[[str, str], None],
        trace: Callable[[HookCall], None] | None,
        hide: Callable[[str], str] = str,
    ) -> None:
        self.calls = calls
        self._hide = hide
        self._on_fault = on_fault
        self._on_recovery = on_recovery
        self._trace = trace
        self._failing: set[tuple[str, str]] = set()
        self._left: dict[Call, None] = {}
        self._graces: set[trio.CancelScope] = set()
        self._end_by: float | None = None

    def left(self) -> list[Call]:
        """The calls that were cancelled and go on."""
        return list(self._left)

    def hurry(self, seconds: float) -> None:
        """From now on all that is cancelled has so long to end, all together."""
        self._end_by = trio.current_time() + seconds
        for grace in self._graces:
            grace.deadline = min(grace.deadline, self._end_by)

    async def attempt(
        self, impls: Sequence[Impl], healths: Sequence[Health], kwargs: dict[str, Any], limit: float
    ) -> list[Any]:
        """Call all at once, each in a task of its own: the answers, or errors in their place."""
        within = trio.current_effective_deadline()
        calls = [
            Call(impl, kwargs, health.turns, limit, within)
            for impl, health in zip(impls, healths, strict=True)
        ]
        for call in calls:
            self.calls.start_soon(call.run, name=call.impl.label)
        try:
            await self._wait(calls)
        except trio.Cancelled:
            await self.stop(calls)
            results = [
                self.settle(call, health, cancelled=True)
                for call, health in zip(calls, healths, strict=True)
            ]
            if any(result is CANCELLED for result in results):
                raise
            return results  # all of them ended of themselves: the cancellation comes again
        return [self.settle(call, health) for call, health in zip(calls, healths, strict=True)]

    def begin(self, impl: Impl, health: Health, kwargs: dict[str, Any]) -> Call:
        """Begin a call that has no deadline."""
        call = Call(impl, kwargs, health.turns, math.inf)
        self.calls.start_soon(call.run, name=impl.label)
        return call

    def ended(self, call: Call, health: Health) -> tuple[BaseException | None, trio.Event]:
        """What such a call has failed with, without a count; set when it has ended."""
        ended = trio.Event()
        if not call.done:
            text = self._leave(call, health, cancelled=True, ended=ended.set)
            return HookFault(call.impl.plugin, call.impl.hook, text), ended
        ended.set()
        error = call.error
        if call.ending.outcome is not None:
            error = call.ending.outcome
        elif call.ending.fault is not None:
            error = call.ending.fault
        elif error is not None and not call.stopped:
            error = RuntimeError("it was cancelled, and not from outside")
        self.follow(call, "answered" if error is None else "failed", said(error) if error else "")
        return error, ended

    def follow(self, call: Call, outcome: Verdict, text: str, answer: object = None) -> None:
        """Tell who follows calls."""
        if self._trace is None:
            return
        told = HookCall(
            plugin=call.impl.plugin,
            hook=call.impl.hook,
            arguments=call.kwargs,
            began=call.began,
            seconds=trio.current_time() - call.began,
            outcome=outcome,
            text=text,
            answer=answer,
        )
        tell(self._trace, told)

    def _follow(self, call: Call, result: Any) -> None:
        if isinstance(result, HookFault):
            self.follow(call, "failed", result.text)
        elif isinstance(result, Outcome):
            self.follow(call, "said", said(result))
        elif result is CANCELLED:
            self.follow(call, "failed", "was cancelled")
        else:
            self.follow(call, "answered", shown(result), result)

    async def _wait(self, calls: Sequence[Call]) -> None:
        """Wait until they are over, and so much longer as each has to end after its deadline."""
        with trio.CancelScope(deadline=max(call.due for call in calls)) as scope:
            for call in calls:
                await call.over.wait()
        if scope.cancelled_caught:
            with trio.move_on_after(GRACE):
                await self.last(calls)

    async def last(self, calls: Sequence[Call]) -> None:
        """Wait until they are over. They were cancelled: they may not catch that for ever."""
        for _ in range(TURNS):  # (no time: a clock that jumps stands while anything runs)
            if all(call.over.is_set() for call in calls):
                return
            await trio.lowlevel.checkpoint()
        for call in calls:
            call.rein()
        for call in calls:
            await call.over.wait()

    async def stop(self, calls: Sequence[Call]) -> None:
        """Cancel them and wait a little until they have ended, also while being cancelled."""
        for call in calls:
            call.cancel()
        if all(call.done for call in calls):
            return
        until = trio.current_time() + GRACE
        if self._end_by is not None:
            until = min(until, self._end_by)
        with trio.CancelScope(shield=True, deadline=until) as grace:
            self._graces.add(grace)
            try:
                await self.last(calls)
            finally:
                self._graces.discard(grace)

    def settle(self, call: Call, health: Health, *, cancelled: bool = False) -> Any:
        """What a call comes to: its answer; or an error: Outcome, HookFault, or CANCELLED.

        Args:
            call: It has ended, or is left behind now.
            health: Of its plugin.
            cancelled: The caller was cancelled.
        """
        if call.given_up:
            return CANCELLED
        told = GIVEN.set(given(call.kwargs))  # none of it shows in what is said of the call
        try:
            result = self._settle(call, health, cancelled)
        finally:
            GIVEN.reset(told)
        if self._trace is not None:
            self._follow(call, result)
        return result

    def _settle(self, call: Call, health: Health, cancelled: bool) -> Any:
        breaker = health.breakers.setdefault(call.impl.hook, Breaker())
        if not call.done:
            text = self._leave(call, health, cancelled=cancelled)
            fault = self._faulty(call, text, breaker, None)
            return CANCELLED if cancelled else fault
        if call.error is None:
            if not (call.late or call.trouble):
                self._worked(call.impl, breaker)
                # (where the contract wants nothing, anything may be answered, also an exception)
                return None if call.impl.terms.answers is None else call.answer
            # an answer from behind the deadline is not believed either
            trouble = f"took longer than {call.limit:g} s" if call.late else call.trouble
            return self._faulty(call, trouble, breaker, None)
        ending = call.ending
        upwards = cancelled and ending.cancelled
        if ending.outcome is not None:
            if not isinstance(ending.outcome, HangingError):
                self._worked(call.impl, breaker)
            self._clean(ending.outcome)
            return CANCELLED if upwards else ending.outcome
        if ending.fault is None:
            if upwards:
                return CANCELLED
            late = f"took longer than {call.limit:g} s"
            trouble = late if call.late else "was cancelled, and not from outside"
        else:
            trouble = ending.text
        fault = self._faulty(call, trouble, breaker, ending.fault)
        return CANCELLED if upwards else fault

    def _leave(
        self,
        call: Call,
        health: Health,
        *,
        cancelled: bool,
        ended: Callable[[], None] = lambda: None,
    ) -> str:
        """Go on without it; what is wrong, in words. `ended` is called when it ends after all."""

        def afterwards(call: Call) -> None:
            self._left.pop(call, None)
            health.left.remove(call)
            took = trio.current_time() - call.began
            log.warning(
                "%s has ended after all, after %.0f s",
                call.impl.label,
                took,
                extra=of_call(call.impl.plugin, call.kwargs),
            )
            ended()

        self._left[call] = None
        health.left.append(call)
        call.given_up, call.afterwards = True, afterwards
        call.rein()  # where it had no time to be
        text = "was cancelled"
        if call.error is not None:
            text = call.ending.text or "was cancelled"
        elif not cancelled:
            text = f"took longer than {call.limit:g} s, was cancelled"
        return f"{text} and goes on{call.where()}"

    def _faulty(
        self, call: Call, text: str, breaker: Breaker, error: BaseException | None
    ) -> HookFault:
        impl = call.impl
        fault = HookFault(impl.plugin, impl.hook, self._hide(text))
        fault.__cause__ = error
        opened = impl.hook not in UNBROKEN and breaker.failed(trio.current_time())
        extra = {**of_call(impl.plugin, call.kwargs), "hook": impl.hook}
        log.error("%s", fault, extra=extra, exc_info=error)
        if opened:
            log.error("%s is left alone for a minute", impl.label, extra=extra)
        self._failing.add((impl.plugin, impl.hook))
        self._on_fault(fault)
        return fault

    def _clean(self, outcome: Outcome) -> None:
        """Hide secrets in its text: it is told to people, and pages show it to anybody."""
        texts = (self._hide(each) if type(each) is str else each for each in outcome.args)
        outcome.args = tuple(texts)

    def _worked(self, impl: Impl, breaker: Breaker) -> None:
        if breaker.faults:
            breaker.worked()
        if self._failing and (impl.plugin, impl.hook) in self._failing:
            self._failing.discard((impl.plugin, impl.hook))
            self._on_recovery(impl.plugin, impl.hook)
