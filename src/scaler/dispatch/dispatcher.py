"""The one way that hooks are called: typed, bounded in time, every failure with its plugin's name.

pluggy registers, validates and orders. Its own calls are not used: to pluggy a coroutine is an
answer, so its first-result would take the first coroutine and not the first answer.
"""

from __future__ import annotations

import inspect
import logging
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast

import trio

from scaler.dispatch.answers import wrong
from scaler.dispatch.breaker import Breaker
from scaler.dispatch.mailbox import Mailbox
from scaler.dispatch.tracing import Ending, HookCall
from scaler.dispatch.tracing import tell as trace
from scaler.dispatch.words import said, shown
from scaler.errors import HookFault, Incomplete, Outcome, Refused, Unavailable
from scaler.hooks import contract, hook_names

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import pluggy

    from scaler.hooks import Contract

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger("scaler.hooks")

# Cleaning up is repeated for ever, each runner with a backoff of its own: five runners that cannot
# be cleaned up must not keep a sixth from it.
UNBROKEN = frozenset({"unregister_runner", "destroy_runner"})


@dataclass(frozen=True)
class Gathered(Generic[R]):
    """Every plugin's answer or failure, under its name. A failure is "unknown", never "empty".

    Attributes:
        partial: What a plugin that could not tell all did tell; it stands in `failures`, too.
    """

    answers: dict[str, R] = field(default_factory=dict)
    failures: dict[str, Exception] = field(default_factory=dict)
    partial: dict[str, R] = field(default_factory=dict)


@dataclass
class _Plugin:
    """What the dispatcher keeps of one plugin."""

    mailbox: Mailbox
    ready: trio.Event = field(default_factory=trio.Event)
    threads: trio.CapacityLimiter = field(default_factory=lambda: trio.CapacityLimiter(1))
    breakers: dict[str, Breaker] = field(default_factory=dict)


@dataclass(frozen=True)
class _Impl:
    plugin: str
    hook: str
    function: Callable[..., Any]
    argnames: tuple[str, ...]


class Dispatcher:
    """Calls hooks. Every method takes the hook's declaration (`SPEC.x`) and its arguments by name.

    Args:
        manager: The plugins, registered so that pluggy's last-in-first-out is the settings' order.
        calls: Holds the calls while they run, and what goes on of them although it was cancelled.
            It must be open as long as anyone calls hooks.
        on_fault: Told of every fault; for the dashboard. The log is written here.
        on_recovery: Told of the plugin and hook when a hook that failed works again.
        trace: Told of every call, after it.
    """

    def __init__(
        self,
        manager: pluggy.PluginManager,
        calls: trio.Nursery,
        on_fault: Callable[[HookFault], None] = lambda _fault: None,
        on_recovery: Callable[[str, str], None] = lambda _plugin, _hook: None,
        *,
        trace: Callable[[HookCall], None] | None = None,
    ) -> None:
        self._calls = calls
        self._trace = trace
        self._on_fault = on_fault
        self._on_recovery = on_recovery
        names = [name for name, plugin in manager.list_name_plugin() if plugin is not None]
        self._plugins = {name: _Plugin(Mailbox(name, self._overflow)) for name in names}
        for plugin in self._plugins.values():
            plugin.ready.set()
        self._failing: set[tuple[str, str]] = set()
        self._impls: dict[str, list[_Impl]] = {}
        for name in hook_names():
            self._impls[name] = [
                _Impl(impl.plugin_name, name, impl.function, tuple(impl.argnames))
                for impl in reversed(getattr(manager.hook, name).get_hookimpls())
            ]

    # -- who

    def implementers(self, hook: Callable[..., Any]) -> list[str]:
        """The plugins that implement a hook, in the settings' order."""
        return [impl.plugin for impl in self._impls.get(hook.__name__, ())]

    def service(self, plugin: str, hook: Callable[..., Any]) -> Callable[..., Any] | None:
        """A plugin's own implementation, for hooks that the core runs itself."""
        for impl in self._impls.get(hook.__name__, ()):
            if impl.plugin == plugin:
                return impl.function
        return None

    def set_ready(self, plugin: str, ready: bool) -> None:
        """Whether the plugin's hooks can be called: false until its service has started."""
        state = self._plugins[plugin]
        if ready:
            state.ready.set()
        elif state.ready.is_set():
            state.ready = trio.Event()

    async def ready(self, plugin: str) -> None:
        """Wait until the plugin's hooks can be called."""
        await self._plugins[plugin].ready.wait()

    # -- tell

    async def run_mailboxes(self) -> None:
        """Deliver what is told, for every plugin, until cancelled."""
        async with trio.open_nursery() as nursery:
            for name, plugin in self._plugins.items():
                nursery.start_soon(plugin.mailbox.run, name=f"mailbox of {name}")

    async def drain_mailboxes(self) -> None:
        """Wait until everything that was told is delivered."""
        for plugin in self._plugins.values():
            await plugin.mailbox.drained()

    def tell(self, hook: Callable[P, Awaitable[Any]], /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Deliver to each plugin's mailbox; return at once. Costs nothing where nobody listens."""
        _by_name(hook, args)
        for impl in self._impls.get(hook.__name__, ()):
            self._plugins[impl.plugin].mailbox.post(partial(self._told, hook, impl, kwargs))

    async def _told(self, hook: Callable[..., Any], impl: _Impl, kwargs: dict[str, Any]) -> None:
        plugin = self._plugins[impl.plugin]
        if not plugin.ready.is_set():  # (a wait for what is there takes a turn of the loop)
            await plugin.ready.wait()  # letters wait in the mailbox until the plugin has started
        try:
            await self._call(hook, impl, kwargs)
        except Unavailable:
            plugin.mailbox.lose()  # its breaker is open
        except (HookFault, Outcome):
            return  # logged by _call, and nobody else's concern

    # -- vote, gather

    async def vote(
        self, hook: Callable[P, Awaitable[R | None]], /, *args: P.args, **kwargs: P.kwargs
    ) -> list[tuple[str, R]]:
        """Ask all at once; every objection with its plugin's name. A failure is no objection."""
        gathered = await self.gather(hook, *args, **kwargs)
        return [
            (plugin, answer) for plugin, answer in gathered.answers.items() if answer is not None
        ]

    async def gather(
        self, hook: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Gathered[R]:
        """Ask all at once; every answer or failure under its plugin's name."""
        _by_name(hook, args)
        impls = self._impls.get(hook.__name__, [])
        answers: dict[str, R] = {}
        failures: dict[str, Exception] = {}
        partial: dict[str, R] = {}

        async def one(impl: _Impl) -> None:
            try:
                answers[impl.plugin] = await self._call(hook, impl, kwargs)
            except Incomplete as error:
                failures[impl.plugin] = error
                if not wrong(contract(hook), error.listed):
                    partial[impl.plugin] = cast("R", error.listed)
            except (HookFault, Outcome) as error:
                failures[impl.plugin] = error

        if len(impls) == 1:
            await one(impls[0])
        elif impls:
            async with trio.open_nursery() as nursery:
                for impl in impls:
                    nursery.start_soon(one, impl, name=f"{impl.plugin}.{hook.__name__}")
        order = [impl.plugin for impl in impls]  # not the order in which they answered
        return Gathered(
            {name: answers[name] for name in order if name in answers},
            {name: failures[name] for name in order if name in failures},
            {name: partial[name] for name in order if name in partial},
        )

    # -- ask

    async def ask(
        self, hook: Callable[P, Awaitable[R | None]], /, *args: P.args, **kwargs: P.kwargs
    ) -> tuple[str, R] | None:
        """Ask one after another; the first answer wins.

        Raises:
            Refused: A plugin refused, or failed: an error ends it as a no.
            Unavailable: A plugin cannot decide now: a no as well, for the moment.
        """
        _by_name(hook, args)
        for impl in self._impls.get(hook.__name__, ()):
            try:
                answer = await self._call(hook, impl, kwargs)
            except (Refused, Unavailable):
                raise
            except (HookFault, Outcome) as error:
                raise Refused("selector-failed", f"{impl.plugin} could not decide") from error
            if answer is not None:
                return impl.plugin, answer
        return None

    # -- route

    async def route(
        self,
        plugin: str,
        deadline: float | None,
        hook: Callable[P, Awaitable[R]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Ask exactly this plugin. `deadline` in seconds replaces the contract's.

        Raises:
            Outcome: What the plugin said: `Busy`, `NoRoom`, `Unavailable`.
            HookFault: It broke its contract; the outcome of the call is unknown.
            Unavailable: It cannot be called now, or does not implement the hook.
        """
        _by_name(hook, args)
        for impl in self._impls.get(hook.__name__, ()):
            if impl.plugin == plugin:
                return cast("R", await self._call(hook, impl, kwargs, deadline))
        raise Unavailable(f"no plugin {plugin} with {hook.__name__} is enabled")

    # -- one call

    async def _call(
        self,
        hook: Callable[..., Any],
        impl: _Impl,
        kwargs: dict[str, Any],
        deadline: float | None = None,
    ) -> Any:
        """Call one implementation. Raises Outcome or HookFault, and nothing else."""
        terms = contract(hook)
        name = hook.__name__
        plugin = self._plugins[impl.plugin]
        if not plugin.ready.is_set():
            raise Unavailable(f"{impl.plugin} has not started yet")
        breaker = plugin.breakers.setdefault(name, Breaker())
        rest = breaker.rest(trio.current_time())
        if rest:
            raise Unavailable(f"{impl.plugin}.{name} failed too often, left alone", rest)
        limit = terms.deadline if deadline is None else deadline
        if self._trace is None:
            return await self._attempt(terms, impl, kwargs, limit, breaker)
        began = trio.current_time()
        outcome: Ending = "failed"
        text, answer = "was cancelled", None
        try:
            answer = await self._attempt(terms, impl, kwargs, limit, breaker)
            outcome, text = "answered", shown(answer)
            return answer
        except Outcome as error:
            outcome, text = "said", said(error)
            raise
        except HookFault as fault:
            text = fault.text
            raise
        finally:
            self._tell_of(
                plugin=impl.plugin,
                hook=name,
                arguments=kwargs,
                began=began,
                outcome=outcome,
                text=text,
                answer=answer,
            )

    def _tell_of(self, *, began: float, **more: Any) -> None:
        if self._trace is not None:
            seconds = trio.current_time() - began
            trace(self._trace, HookCall(began=began, seconds=seconds, **more))

    async def _attempt(
        self,
        terms: Contract,
        impl: _Impl,
        kwargs: dict[str, Any],
        limit: float,
        breaker: Breaker,
    ) -> Any:
        name = impl.hook
        error: BaseException | None = None
        answer: Any = None
        try:
            with trio.move_on_after(limit) as scope:
                answer = await self._answer(impl, kwargs)
            trouble = (
                # cancel_called: an answer from behind the deadline is not believed either
                f"took longer than {limit:g} s" if scope.cancel_called else wrong(terms, answer)
            )
        except Outcome:
            self._worked(impl.plugin, name, breaker)
            raise
        except (Exception, SystemExit) as raised:
            outcome = _only_outcome(raised)
            if outcome is not None:
                self._worked(impl.plugin, name, breaker)
                raise outcome from raised
            error, trouble = raised, f"raised {said(raised)}"
        except BaseExceptionGroup as group:
            # raised while being cancelled: the error stays here, the cancellation goes on upwards
            faults, others = group.split((Exception, SystemExit))
            if others is not None:
                if faults is not None:
                    text = f"raised {said(faults)}"
                    self._fault(HookFault(impl.plugin, name, text), breaker, faults)
                raise others from None
            error, trouble = group, f"raised {said(group)}"  # a SystemExit inside a nursery
        if trouble:
            fault = HookFault(impl.plugin, name, trouble)
            self._fault(fault, breaker, error)
            raise fault from error
        self._worked(impl.plugin, name, breaker)
        return answer

    async def _answer(self, impl: _Impl, kwargs: dict[str, Any]) -> Any:
        args = [kwargs[name] for name in impl.argnames]
        if inspect.iscoroutinefunction(impl.function):
            return await impl.function(*args)
        # a plain function may block: it gets a thread, one at a time per plugin
        # (its answer comes in a tuple, since trio refuses a coroutine: a decorator's, for example)
        [answer] = await trio.to_thread.run_sync(
            lambda: (impl.function(*args),),
            abandon_on_cancel=True,
            limiter=self._plugins[impl.plugin].threads,
        )
        return await answer if inspect.isawaitable(answer) else answer

    def _fault(self, fault: HookFault, breaker: Breaker, error: BaseException | None) -> None:
        opened = fault.hook not in UNBROKEN and breaker.failed(trio.current_time())
        extra = {"plugin": fault.plugin, "hook": fault.hook}
        log.error("%s", fault, extra=extra, exc_info=error)
        if opened:
            log.error("%s.%s is left alone for a minute", fault.plugin, fault.hook, extra=extra)
        self._failing.add((fault.plugin, fault.hook))
        self._on_fault(fault)

    def _worked(self, plugin: str, hook: str, breaker: Breaker) -> None:
        breaker.worked()
        if (plugin, hook) in self._failing:
            self._failing.discard((plugin, hook))
            self._on_recovery(plugin, hook)

    def _overflow(self, plugin: str, lost: int) -> None:
        text = f"reads too slowly: {lost} notifications dropped"
        log.warning("%s %s", plugin, text, extra={"plugin": plugin})
        self._on_fault(HookFault(plugin, "mailbox", text))


def _by_name(hook: Callable[..., Any], args: tuple[object, ...]) -> None:
    """ParamSpec lets positional arguments through; implementations get theirs by name."""
    if args:
        raise TypeError(f"{hook.__name__} is called with arguments by name only")


def _only_outcome(error: BaseException) -> Outcome | None:
    """The expected outcome inside an exception group that holds nothing else."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error if isinstance(error, Outcome) else None
