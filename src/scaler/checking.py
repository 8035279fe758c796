"""`scaler check`: ask every plugin what is well, without running anything."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

import trio

from scaler.building import Bare, Link, build_all, siblings, validate_all
from scaler.checks import survey
from scaler.dispatch import Dispatcher, open_calls
from scaler.leaving import leave
from scaler.loading import register
from scaler.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from scaler.checks import Progress
    from scaler.dispatch import HookCall
    from scaler.loading import LoadedPlugin
    from scaler.records import Finding
    from scaler.settings import Settings
    from scaler.watchdog import Guard

UNENDING = 30.0  # seconds after Ctrl-C, until the process is ended


def check(
    settings: Settings,
    loaded: Mapping[str, LoadedPlugin],
    progress: Progress = lambda _waiting: None,
    *,
    trace: Callable[[HookCall], None] | None = None,
    guard: Guard | None = None,
    on_stuck: Callable[[list[tuple[str, Finding]], Sequence[str]], None] | None = None,
) -> list[tuple[str, Finding]]:
    """Ask every plugin what is well and what is wrong around it; nothing is started or changed.

    Args:
        settings: What `load_settings` gave.
        loaded: The plugins that it gave with them.
        progress: Told once a second who has not answered yet, and nobody at the end.
        trace: Told of every call of a hook, after it.
        guard: Ends the process where something else does not, if it is this check's own.
        on_stuck: Told what was found, and which calls of plugins' cannot be ended, where there are
            any: this does not return as long as they go on.
    """
    found = trio.run(_check, settings, loaded, progress, trace, guard, on_stuck)
    if found is None:
        raise KeyboardInterrupt
    return found


async def _check(
    settings: Settings,
    loaded: Mapping[str, LoadedPlugin],
    progress: Progress,
    trace: Callable[[HookCall], None] | None,
    guard: Guard | None,
    on_stuck: Callable[[list[tuple[str, Finding]], Sequence[str]], None] | None,
) -> list[tuple[str, Finding]] | None:
    """What was found; None where Ctrl-C came first."""
    link = Link()
    plugins = build_all(settings, loaded, link, trio.Event(), folders=False).plugins
    link.engine = Bare(siblings(plugins, loaded))  # type: ignore[assignment]
    validate_all(plugins, loaded)
    found: list[tuple[str, Finding]] | None = None
    main = threading.current_thread() is threading.main_thread()
    registered = register(plugins)
    signals: AbstractContextManager[AsyncIterator[int] | None] = (
        trio.open_signal_receiver(signal.SIGINT) if main else nullcontext()
    )
    with signals as came:
        async with open_calls() as calls:
            hooks = Dispatcher(registered, calls, trace=trace)
            with nullcontext() if guard is None else _watching(guard, hooks, loaded):
                async with trio.open_nursery() as nursery:
                    if came is not None:
                        nursery.start_soon(_interrupted, came, nursery.cancel_scope)
                    found = await survey(hooks, settings.profiles, progress)
                    nursery.cancel_scope.cancel()
                await leave(hooks, None if on_stuck is None else partial(on_stuck, found or []))
    return found


@contextmanager
def _watching(
    guard: Guard, hooks: Dispatcher, loaded: Mapping[str, LoadedPlugin]
) -> Iterator[None]:
    watchdog = Watchdog({name: plugin.cls for name, plugin in loaded.items()}, guard)
    watchdog.attach(hooks, lambda _plugin, _text: None)
    signals = guard.on_signals([signal.SIGINT], lambda: UNENDING, UNENDING / 3)
    with signals, watchdog.watching(), guard.leaving():
        yield


async def _interrupted(came: AsyncIterator[int], everything: trio.CancelScope) -> None:
    async for _number in came:
        everything.cancel()
