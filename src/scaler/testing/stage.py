"""A plugin on a stage: made over a FakeContext, its service running, called as a scaler would."""

from __future__ import annotations

import inspect
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import trio

from scaler.dispatch import Dispatcher
from scaler.dispatch.words import said
from scaler.errors import FatalError, ScalerError, Unavailable
from scaler.hooks import SPEC, contract
from scaler.loading import register
from scaler.testing.fakecontext import FakeContext
from scaler.testing.frames import raised_at
from scaler.testing.promises import PromiseBroken, promised
from scaler.testing.promises_plugin import (
    BUILT,
    ENDS,
    LOOP_FREE,
    NO_FAULT,
    STARTS,
    STAYS_UP,
    STOPS,
)
from scaler.testing.stepping import Cut, GivenUp, Steps, stepped

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator

    import pluggy

    from scaler.testing.fakecore import FakeCore
    from scaler.testing.memory import Memory
    from scaler.testing.site import Site

T = TypeVar("T")

STARTING = 30.0  # seconds until a service has called started()
STOPPING = 10.0  # seconds for a service to end
PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)  # seconds before a service that is `Unavailable` runs again
HELD_UP = 3  # times that a hook may hold the loop up until nothing more is tried


class NotAvailable(PromiseBroken):
    """A service did not start, and said itself that its other side is away."""


class Stage:
    """One instance of the plugin, for as long as `open_stage` lasts.

    Attributes:
        name: What the settings call it.
        scaler: The name of the scaler that it works for.
        plugin: The instance itself.
        context: What it was made with.
        hooks: The dispatcher that it is called through.
        steps: What was seen of its awaits.
        left: What was there when it crashed; None while it has not.
        broken_off: Where the last call of `cut_short` was broken off, in words.
    """

    def __init__(self, site: Site, plugin: object, contexts: dict[str, FakeContext[Any, Any]]):
        self.name = site.name
        self.plugin = plugin
        self.context = contexts[site.name]
        self.scaler = self.context.scaler
        self.steps = Steps()
        self.hooks: Dispatcher
        self._services: list[pluggy.HookImpl] = []
        self._contexts = contexts
        self.left: Memory | None = None
        self.broken_off = ""
        self._away = ""  # what its service said when it ended as `Unavailable`
        self._up = trio.Event()
        self._up.set()
        self._crashed = False
        self._ended = trio.Event()

    @property
    def core(self) -> FakeCore:
        """What the plugin said, and what it is answered."""
        return self.context.core

    @property
    def memory(self) -> Memory:
        """What will be left of this instance."""
        return self.context.memory

    def has(self, hook: Callable[..., Any]) -> bool:
        """Whether the plugin implements this hook (`SPEC.x`)."""
        return self.name in self.hooks.implementers(hook)

    async def call(
        self,
        hook: Callable[..., Awaitable[T]],
        /,
        *,
        deadline: float | None = None,
        **arguments: Any,
    ) -> T:
        """Call a hook of the plugin as a scaler does: under its deadline, its answer looked at.

        Args:
            hook: Its declaration, `SPEC.x`.
            deadline: In seconds; the contract's, or the profile's, where it is None.
            **arguments: The hook's arguments, by name.

        Raises:
            Outcome: What the plugin said: `Busy`, `NoRoom`, `Unavailable` and so on.
            HookFault: It broke its contract.
        """
        held_up(self.name, self.steps.slow, HELD_UP)
        with trio.move_on_after(sum(PAUSES)):  # a service that is started again is waited for
            await self._up.wait()
        if deadline is None and math.isinf(contract(hook).deadline):
            profile = self.context.profiles.get(arguments["runner"].profile)
            deadline = 240.0 if profile is None else profile.start_timeout
        return await self.hooks.route(self.name, deadline, hook, **arguments)

    async def answer(
        self, hook: Callable[..., Awaitable[T]], /, *, deadline: float | None = None, **given: Any
    ) -> T:
        """The same, where nothing but an answer will do: all else breaks the promise `no-fault`."""
        with promised(NO_FAULT, f"calling {hook.__name__}"):
            return await self.call(hook, deadline=deadline, **given)

    async def cut(
        self,
        at: int,
        hook: Callable[..., Awaitable[Any]],
        /,
        *,
        deadline: float | None = None,
        **arguments: Any,
    ) -> int:
        """Call a hook and cancel it at its n-th await (from 1); with 0, cancel nothing.

        What a call that is cancelled says is of no interest: its outcome is unknown.

        Returns:
            How many awaits there were. Fewer than `at`: it was over before, and not cancelled.
        """
        self.steps.arm(hook.__name__, at)
        try:
            await self.call(hook, deadline=deadline, **arguments)
        except Cut:
            pass
        except ScalerError:
            if not at or self.steps.seen < at:
                raise
        finally:
            seen = self.steps.disarm()
        if self.steps.stuck:
            raise ENDS.broken(
                f"{self.name}.{hook.__name__} was cancelled at its await number {at} and went on "
                f"for {STOPPING:g} s and longer"
            )
        return seen

    def crash(self) -> None:
        """Let it end with no warning, when the stage does: nothing is told to stop.

        What it leaves is what is there now, whatever it still writes while it is ended.
        """
        self._crashed = True
        self.left = self.memory.copy()

    # -- its service

    async def _serve(self, impl: pluggy.HookImpl, task_status: trio.TaskStatus[None]) -> None:
        own = impl.plugin_name == self.name
        told = _Once(task_status, self._started if own else lambda: None)
        stopping = self._contexts[impl.plugin_name].stopping
        try:
            for pause in (*PAUSES, None):
                away = await self._serve_once(impl, told)
                if away is None or stopping.is_set():
                    break
                if own:
                    self._away, self._up = said(away), trio.Event()
                if pause is None:
                    raise self._fell(impl.plugin_name, away, f" {len(PAUSES) + 1} times")
                with trio.move_on_after(pause):
                    await stopping.wait()
        finally:
            if own:
                self._ended.set()
                self._not_too_late()
        told.started()

    async def _serve_once(self, impl: pluggy.HookImpl, told: _Once) -> BaseException | None:
        """Run a service; answer the `Unavailable` that it ended with, which is no fault."""
        service: Any = impl.function
        try:
            await service(*[told for _ in impl.argnames])
        except (trio.Cancelled, PromiseBroken, FatalError):
            raise
        except GivenUp:
            pass
        except (Exception, SystemExit) as error:
            if not self._crashed and not _away(error):
                raise self._fell(impl.plugin_name, error) from None
            return error if _away(error) else None
        except BaseExceptionGroup as group:
            faults, others = group.split((Exception, SystemExit))
            if faults is not None and not self._crashed and not _away(faults):
                raise self._fell(impl.plugin_name, faults) from None
            if others is not None:
                raise others from None
        return None

    def _fell(self, name: str, error: BaseException, times: str = "") -> PromiseBroken:
        place = raised_at(error)
        shown = f"{name}.run_service raised{times} {said(error)}"
        return STAYS_UP.broken(f"{shown}{f' ({place})' if place else ''}")

    def _started(self) -> None:
        self._away = ""
        self._up.set()

    def _not_too_late(self) -> None:
        if self.steps.gave_up:
            raise ENDS.broken(
                f"{self.name}.run_service was cancelled and went on for {STOPPING:g} s and longer"
            )

    async def _start(self, nursery: trio.Nursery) -> None:
        for impl in self._services:
            name, limit = impl.plugin_name, min(STARTING, contract(SPEC.run_service).deadline)
            with trio.move_on_after(limit) as waiting:
                await nursery.start(self._serve, impl, name=f"service {name}")
            if waiting.cancelled_caught:
                shown = f"{name}: no started() within {limit:g} s"
                if name == self.name and self._away:
                    raise NotAvailable(STARTS, f"{shown}; it raised {self._away}")
                raise STARTS.broken(shown)

    async def _stop(self) -> None:
        for context in self._contexts.values():
            context.stopping.set()
        with trio.move_on_after(STOPPING) as waiting:
            await self._ended.wait()
        if waiting.cancelled_caught:
            raise STOPS.broken(f"{self.name}.run_service still runs after {STOPPING:g} s")

    async def _give_up(self) -> None:
        """See that a service that is cancelled ends, one way or the other."""
        with trio.CancelScope(shield=True):
            with trio.move_on_after(STOPPING):
                await self._ended.wait()
                return
        self.steps.gave_up = frozenset({SPEC.run_service.__name__})


@asynccontextmanager
async def open_stage(
    site: Site, *, scaler: str, memory: Memory, service: bool = True
) -> AsyncIterator[Stage]:
    """Make the plugin, and those beside it in the settings, and run their services.

    Args:
        site: The settings.
        scaler: The name of the scaler that it works for.
        memory: What an earlier instance left; what this one leaves.
        service: Whether services run; none does under `scaler check`.

    Raises:
        PromiseBroken: A service did not start, failed, or did not stop within 10 s.
        FatalError: A service said that a scaler cannot run like this.
    """
    contexts = _contexts(site, scaler, memory)
    plugins: dict[str, object] = {}
    for name, loaded in site.loaded.items():
        context = contexts[name]
        context.core.siblings = {type(each): each for each in plugins.values()}
        plugins[name] = await _made(site, name, loaded.cls, context)
    everyone = {type(each): each for each in plugins.values()}
    for context in contexts.values():
        context.core.siblings = everyone
    stage = Stage(site, plugins[site.name], contexts)
    registered = {**plugins, site.name: stepped(plugins[site.name], stage.steps)}
    with bare():
        async with trio.open_nursery() as calls, trio.open_nursery() as nursery:
            manager = register(registered)
            stage.hooks = Dispatcher(manager, calls)
            stage._services = list(reversed(manager.hook.run_service.get_hookimpls()))
            try:
                if not service or not stage.has(SPEC.run_service):
                    stage._ended.set()
                if service:
                    await stage._start(nursery)
                yield stage
                if not stage._crashed:
                    await stage._stop()
            finally:
                if not stage._ended.is_set():
                    nursery.start_soon(stage._give_up)
                nursery.cancel_scope.cancel()
                stage.hooks.release()
                calls.cancel_scope.cancel()


def _contexts(site: Site, scaler: str, memory: Memory) -> dict[str, FakeContext[Any, Any]]:
    settings = site.settings
    return {
        name: FakeContext(
            settings.plugins.get(name),
            name=name,
            scaler=scaler,
            profiles=settings.profiles,
            own=settings.own.get(name, {}),
            memory=memory if name == site.name else memory.beside(name),
        )
        for name in site.loaded
    }


async def _made(site: Site, name: str, cls: type[Any], context: FakeContext[Any, Any]) -> object:
    if name != site.name:
        return cls(context)
    try:
        made = site.make(context)
        return await made if inspect.isawaitable(made) else made
    except ScalerError:
        raise
    except Exception as error:
        place = raised_at(error)
        shown = f"{name} cannot be built: {said(error)}{f' ({place})' if place else ''}"
        raise BUILT.broken(shown) from None


def held_up(name: str, slow: list[tuple[str, float]], least: int) -> None:
    """See that no hook has held the loop up so many times.

    Raises:
        PromiseBroken: One has.
    """
    for hook, times in Counter(hook for hook, _ in slow).items():
        if times >= least:
            longest = max(seconds for each, seconds in slow if each == hook)
            raise LOOP_FREE.broken(
                f"{name}.{hook} held the loop up {times} times, for up to {longest:.1f} s"
            )


def _away(error: BaseException) -> bool:
    """Whether a service said that its other side is away, as scaler understands it."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return isinstance(error, Unavailable)


class _Once:
    """Takes `started()` once; a second call is harmless, as in a scaler."""

    def __init__(self, task_status: trio.TaskStatus[None], ready: Callable[[], None]) -> None:
        self._task_status = task_status
        self._ready = ready
        self._done = False

    def started(self, value: None = None) -> None:
        """The service's hooks can be called."""
        del value
        self._ready()
        if not self._done:
            self._done = True
            self._task_status.started()


@contextmanager
def bare() -> Iterator[None]:
    """A broken promise comes out by itself, however many nurseries it went through."""
    try:
        yield
    except BaseExceptionGroup as group:
        errors = list(_leaves(group))
        broken = [each for each in errors if isinstance(each, PromiseBroken)]
        others = [each for each in errors if not isinstance(each, trio.Cancelled)]
        if broken:
            raise broken[0] from None
        if len(others) == 1:
            raise others[0] from others[0].__cause__
        raise


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        yield error
        return
    for each in error.exceptions:
        yield from _leaves(each)
