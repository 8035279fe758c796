"""The one way that hooks are called: typed, bounded in time, every failure with its plugin's name.

pluggy registers, validates and orders. Its own calls are not used: to pluggy a coroutine is an
answer, so its first-result would take the first coroutine and not the first answer.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast

import trio

from scaler.dispatch.caller import Caller, Health
from scaler.dispatch.calls import Impl
from scaler.dispatch.mailbox import Mailbox
from scaler.errors import HookFault, Incomplete, Outcome, Refused, Unavailable
from scaler.hooks import SPEC, contract, hook_names

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import FrameType

    import pluggy

    from scaler.dispatch.calls import Call
    from scaler.dispatch.tracing import HookCall

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger("scaler.hooks")


@dataclass(frozen=True)
class Gathered(Generic[R]):
    """Every plugin's answer or failure, under its name. A failure is "unknown", never "empty".

    Attributes:
        partial: What a plugin that could not tell all did tell; it stands in `failures`, too.
    """

    answers: dict[str, R] = field(default_factory=dict)
    failures: dict[str, Exception] = field(default_factory=dict)
    partial: dict[str, R] = field(default_factory=dict)


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
        hide: Callable[[str], str] = str,
    ) -> None:
        self._on_fault = on_fault
        self._caller = Caller(calls, on_fault, on_recovery, trace, hide)
        names = [name for name, plugin in manager.list_name_plugin() if plugin is not None]
        self._healths = {name: Health(name) for name in names}
        self._mailboxes = {
            name: Mailbox(health, self._caller, self._overflow)
            for name, health in self._healths.items()
        }
        for health in self._healths.values():
            health.ready.set()
        self._impls: dict[str, list[Impl]] = {}
        for name in hook_names():
            terms = contract(getattr(SPEC, name))
            self._impls[name] = [
                Impl(impl.plugin_name, name, terms, impl.function, impl.argnames)
                for impl in reversed(getattr(manager.hook, name).get_hookimpls())
            ]

    # -- who

    def implementers(self, hook: Callable[..., Any]) -> list[str]:
        """The plugins that implement a hook, in the settings' order."""
        return [impl.plugin for impl in self._impls.get(hook.__name__, ())]

    def set_ready(self, plugin: str, ready: bool) -> None:
        """Whether the plugin's hooks can be called: false until its service has started."""
        state = self._healths[plugin]
        if ready:
            state.ready.set()
        elif state.ready.is_set():
            state.ready = trio.Event()

    async def ready(self, plugin: str) -> None:
        """Wait until the plugin's hooks can be called."""
        await self._healths[plugin].ready.wait()

    def given_up(self) -> list[str]:
        """The calls that were cancelled and go on, as `plugin.hook at FILE:LINE`."""
        return [f"{call.impl.label}{call.where()}" for call in self._caller.left()]

    def running(self) -> list[str]:
        """The calls that run now. From any thread, when all else stands."""
        return sorted(task.name for task in self._caller.calls.child_tasks)

    def whose(self, frame: FrameType | None) -> tuple[str, str] | None:
        """The plugin and hook of the call that a task is, or was begun by. From any thread.

        Args:
            frame: The outermost of the task.
        """
        for call in list(self._caller.calls.child_tasks):
            look = [call]
            while look:
                task = look.pop()
                if frame is not None and getattr(task.coro, "cr_frame", None) is frame:
                    plugin, _, hook = call.name.rpartition(".")
                    return (plugin, hook) if plugin in self._healths else None
                look += [each for nursery in task.child_nurseries for each in nursery.child_tasks]
        return None

    def hurry(self, seconds: float) -> None:
        """From now on all calls that are cancelled have so long to end, all together."""
        self._caller.hurry(seconds)

    def release(self) -> None:
        """Let the calls that go on end where they stand, for ever, as soon as each is held."""
        for call in self._caller.left():
            call.release()

    def working(self) -> bool:
        """Whether some of the calls that go on still do something, and are not held for good."""
        return not all(call.held for call in self._caller.left())

    # -- services

    def begin(self, plugin: str, hook: Callable[..., Any], **kwargs: Any) -> Call:
        """Begin a call that has no deadline. Whoever begins it ends it: `stop`, then `ended`."""
        [impl] = [impl for impl in self._impls[hook.__name__] if impl.plugin == plugin]
        return self._caller.begin(impl, self._healths[plugin], kwargs)

    async def stop(self, call: Call) -> None:
        """Cancel it, and wait a little until it has ended, also while being cancelled."""
        await self._caller.stop([call])

    def ended(self, call: Call) -> tuple[BaseException | None, trio.Event]:
        """What a call that is over, or was stopped, has failed with; set when it has ended.

        A call that has not ended is left behind. Nothing is logged or counted here.
        """
        return self._caller.ended(call, self._healths[call.impl.plugin])

    def follow(self, call: Call, text: str) -> None:
        """Tell who follows calls that this one has come so far."""
        self._caller.follow(call, "answered", text)

    # -- tell

    async def run_mailboxes(self) -> None:
        """Deliver what is told, for every plugin, until cancelled."""
        async with trio.open_nursery() as nursery:
            for name, mailbox in self._mailboxes.items():
                nursery.start_soon(mailbox.run, name=f"mailbox of {name}")

    async def drain_mailboxes(self) -> None:
        """Wait until everything that was told is delivered."""
        for mailbox in self._mailboxes.values():
            await mailbox.drained()

    def tell(self, hook: Callable[P, Awaitable[Any]], /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Deliver to each plugin's mailbox; return at once. Costs nothing where nobody listens."""
        _by_name(hook, args)
        for impl in self._impls.get(hook.__name__, ()):
            self._mailboxes[impl.plugin].post((impl, kwargs))

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
        gathered: Gathered[R] = Gathered()
        asked: list[Impl] = []
        for impl in impls:
            try:
                self._healths[impl.plugin].check(impl, kwargs)
            except Unavailable as error:
                gathered.failures[impl.plugin] = error
            else:
                asked.append(impl)
        if asked:
            healths = [self._healths[impl.plugin] for impl in asked]
            limit = asked[0].terms.deadline
            results = await self._caller.attempt(asked, healths, kwargs, limit)
            for impl, result in zip(asked, results, strict=True):
                if not isinstance(result, (HookFault, Outcome)):
                    gathered.answers[impl.plugin] = result
                    continue
                gathered.failures[impl.plugin] = result
                if isinstance(result, Incomplete):
                    gathered.partial[impl.plugin] = cast("R", result.listed)
        return gathered

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
                answer = await self._call(impl, kwargs)
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
                return cast("R", await self._call(impl, kwargs, deadline))
        raise Unavailable(f"no plugin {plugin} with {hook.__name__} is enabled")

    # -- one call

    async def _call(self, impl: Impl, kwargs: dict[str, Any], deadline: float | None = None) -> Any:
        """Call one implementation. Raises Outcome or HookFault, and nothing else."""
        health = self._healths[impl.plugin]
        health.check(impl, kwargs)
        limit = impl.terms.deadline if deadline is None else deadline
        [result] = await self._caller.attempt((impl,), (health,), kwargs, limit)
        if isinstance(result, (HookFault, Outcome)):
            raise result
        return result

    def _overflow(self, plugin: str, lost: int) -> None:
        text = f"reads too slowly: {lost} notifications dropped"
        log.warning("%s %s", plugin, text, extra={"plugin": plugin})
        self._on_fault(HookFault(plugin, "mailbox", text))


def _by_name(hook: Callable[..., Any], args: tuple[object, ...]) -> None:
    """ParamSpec lets positional arguments through; implementations get theirs by name."""
    if args:
        raise TypeError(f"{hook.__name__} is called with arguments by name only")
