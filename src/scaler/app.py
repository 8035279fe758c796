"""The whole of a running scaler: one nursery, the order of start, and the two stages of the end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import trio

from scaler import log as logs
from scaler.building import Link, build_all, kin, origin, siblings, try_all, validate_all
from scaler.checking import check
from scaler.checks import CHECK, Checks
from scaler.clock import Clock
from scaler.control.server import Control
from scaler.dispatch import AT_ONCE, Dispatcher, HookCall, open_calls
from scaler.dispatch.calls import GRACE
from scaler.engine import Engine
from scaler.engine.overrides import META as OVERRIDE
from scaler.engine.state import State
from scaler.errors import HookFault
from scaler.evidence.files import Files
from scaler.hooks import SPEC
from scaler.leaving import leave, unwrapped
from scaler.ledger import Ledger, LedgerError
from scaler.loading import LoadedPlugin, register
from scaler.records import View
from scaler.reload import Reloaded, Reloader
from scaler.services import Services
from scaler.signalled import RELOADING, STOPPING, Around, watch
from scaler.supervisor import Supervisor, in_a_few_words
from scaler.units import Duration
from scaler.watchdog import Watchdog

if TYPE_CHECKING:
    from scaler.settings import Settings
    from scaler.watchdog import Guard

__all__ = ["Running", "check", "main", "serve"]

log = logging.getLogger("scaler")

LOOP = "event loop"  # what a plugin that blocks it is shown with, in place of a hook
UNENDING = 30.0  # seconds after shutdown_grace, until the process is ended
STUBBORN = 10.0  # seconds after a second signal
SERVICE = SPEC.run_service.__name__
PATIENT_SHARE = 0.6  # of shutdown_grace is for what is being made, the rest for unmaking it
PATIENCE = 10.0  # seconds that the start waits for services, and for the first survey


@dataclass(frozen=True)
class Running:
    """A scaler that runs: how others in the same process see it and stop it.

    Attributes:
        stopping: Set as soon as it begins to stop.
        stopped: Set when nothing of it runs any more.
    """

    _engine: Engine
    _reloader: Reloader
    stopping: trio.Event
    stopped: trio.Event
    _stop: trio.Event

    def stop(self) -> None:
        """Begin a clean stop; `serve` returns when it is done."""
        self._stop.set()

    async def reload(self) -> Reloaded:
        """Read the settings file anew and apply what is new; what became of it.

        Raises:
            Unavailable: It stops.
        """
        return await self._reloader.reload()

    def view(self) -> View:
        """What there is now."""
        return self._engine.view()

    async def next_view(self, after: View) -> View:
        """Wait for a newer view; at most ten a second."""
        return await self._engine.next_view(after)


def main(
    settings: Settings,
    loaded: Mapping[str, LoadedPlugin],
    *,
    guard: Guard,
    trace: Callable[[HookCall], None] | None = None,
    hung_up: Callable[[], bool] = lambda: False,
) -> None:
    """Run until a signal stops it; a second signal stops it at once. For a process of its own.

    Args:
        settings: What `load_settings` gave.
        loaded: The plugins that it gave with them.
        guard: Ends the process where something else does not.
        trace: Told of every call of a hook, after it.
        hung_up: Whether a SIGHUP came since before the settings were read; asked once, when the
            signal is taken here.

    Raises:
        FatalError: It could not start. Where settings are wrong, nothing was begun.
    """
    trio.run(_main, settings, loaded, trace, guard, hung_up)


async def _main(
    settings: Settings,
    loaded: Mapping[str, LoadedPlugin],
    trace: Callable[[HookCall], None] | None,
    guard: Guard,
    hung_up: Callable[[], bool],
) -> None:
    soon = partial(trio.lowlevel.current_trio_token().run_sync_soon, idempotent=True)
    watchdog = Watchdog({name: plugin.cls for name, plugin in loaded.items()}, guard)
    supervisor = Supervisor.of_this_process()
    around = Around(trio.Event(), trace, guard.stuck, watchdog, supervisor)
    async with unwrapped():
        with (
            logs.gathered(soon),
            trio.open_signal_receiver(*STOPPING, RELOADING) as signals,
            guard.on_signals(STOPPING, lambda: around.grace(settings) + UNENDING, STUBBORN),
            watchdog.watching(),
        ):
            if hung_up():
                around.reload()
            try_all(settings, loaded)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(watch, signals, around, nursery.cancel_scope, name="signals")
                nursery.start_soon(around.supervisor.run, name="supervisor")
                with guard.leaving():
                    await _serve(settings, loaded, around)
                nursery.cancel_scope.cancel()


async def serve(
    settings: Settings,
    loaded: Mapping[str, LoadedPlugin],
    *,
    stop: trio.Event | None = None,
    trace: Callable[[HookCall], None] | None = None,
    on_stuck: Callable[[Sequence[str]], None] | None = None,
    task_status: trio.TaskStatus[Running] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run a scaler inside someone else's nursery.

    `started()` gives a `Running`, once the first plan is about to be made. Returns when it was
    stopped; being cancelled is the same as a second signal.

    Args:
        settings: What `load_settings` gave.
        loaded: The plugins that it gave with them.
        stop: Setting it begins a clean stop, at any time; so does `Running.stop()`.
        trace: Told of every call of a hook, after it.
        on_stuck: Told at the end which calls of plugins' cannot be ended, as `plugin.hook at
            FILE:LINE`. All else is done by then; it may end the process. `serve` does not return
            as long as such calls go on, however it is cancelled: it logs every 10 s who is waited
            for.
        task_status: For `nursery.start`.

    Raises:
        FatalError: It could not start.
    """
    around = Around(trio.Event() if stop is None else stop, trace, on_stuck)
    await _serve(settings, loaded, around, task_status)


async def _serve(
    settings: Settings,
    loaded: Mapping[str, LoadedPlugin],
    around: Around,
    task_status: trio.TaskStatus[Running] = trio.TASK_STATUS_IGNORED,
) -> None:
    try:
        async with unwrapped(), open_calls() as calls:
            await _over_ledger(settings, loaded, around, calls, task_status)
    finally:
        around.stopped.set()


async def _over_ledger(
    settings: Settings,
    loaded: Mapping[str, LoadedPlugin],
    around: Around,
    calls: trio.Nursery,
    task_status: trio.TaskStatus[Running],
) -> None:
    ledger, stored = await Ledger.open(settings.state_dir)
    hooks: Dispatcher | None = None
    try:
        stopping = trio.Event()
        link = Link()
        hide = logs.hider_in_use(settings.secrets)
        built = build_all(settings, loaded, link, stopping)
        hooks = Dispatcher(
            register(built.plugins),
            calls,
            partial(_show_fault, link),
            partial(_clear, link),
            trace=around.trace,
            hide=hide,
        )
        if around.watchdog is not None:
            around.watchdog.attach(hooks, partial(_show_lag, link))
        clock = Clock(stored.meta.get("clock"))
        state = State(settings.name, settings.profiles, stored, ledger, hooks, clock)
        state.next_id = max(state.next_id, stored.least_id)
        async with trio.open_nursery() as nursery:
            engine = Engine(
                *(state, float(settings.tick), nursery, stored.meta.get(OVERRIDE)),
                files=Files(settings.state_dir / "evidence"),
                hide=hide,
            )
            await engine.evidence.open()
            engine.introduce(siblings(built.plugins, loaded), kin(loaded))
            link.engine = engine
            validate_all(built.plugins, loaded)
            if stored.damage:
                engine.fault("ledger", "open", stored.damage)
            reloader = Reloader(
                *(settings, loaded, built, hooks, engine),
                stopping=stopping,
                hide=hide,
                supervisor=around.supervisor,
            )
            around.reloads_by(reloader)
            running = Running(engine, reloader, stopping, around.stopped, around.stop)
            control = Control(settings.state_dir, engine, reloader, hide)
            await nursery.start(control.run, name="control")
            log.info("scaler %s starts, with %d runners", settings.name, len(state.rows))
            for plugin in loaded.values():
                log.info("plugin %s", origin(plugin), extra={"plugin": plugin.name})
            try:
                await _run(running, hooks, hide, around, nursery, task_status)
                hooks.hurry(GRACE)
            except BaseException:  # cancelled; within a nursery that is a group
                hooks.hurry(AT_ONCE)
                raise
            nursery.cancel_scope.cancel()
        try:
            await engine.remember()
        except LedgerError as error:
            log.error("%s", error)
        log.info("scaler %s stopped", settings.name)
    finally:
        await ledger.close()
        if hooks is not None:
            await leave(hooks, around.on_stuck)


async def _run(
    running: Running,
    hooks: Dispatcher,
    hide: logs.Hider,
    around: Around,
    nursery: trio.Nursery,
    task_status: trio.TaskStatus[Running],
) -> None:
    """Start in order, wait for the stop, wind down. Returns when only cancelling is left."""
    engine, reloader, stopping = running._engine, running._reloader, running.stopping
    services = Services(
        hooks,
        lambda plugin, text: engine.fault(plugin, SERVICE, text),
        partial(_ready, engine),
        stopping,
    )
    reloader.hurry = services.hurry
    ended = trio.Event()

    async def run_services(
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        await services.run(task_status)
        ended.set()

    nursery.start_soon(hooks.run_mailboxes, name="mailboxes")
    await nursery.start(run_services, name="services")
    async with trio.open_nursery() as patience:
        patience.start_soon(_first_look, services, engine, patience.cancel_scope)
        await running._stop.wait()  # a signal need not wait for the start to be over
        patience.cancel_scope.cancel()
    if not running._stop.is_set():
        checks = Checks(
            hooks,
            lambda plugin, text: engine.fault(plugin, CHECK, text),
            lambda plugin: engine.recovered(plugin, CHECK),
            stopping,
            hide,
        )
        reloader.check_again = checks.again
        nursery.start_soon(checks.run, name="checks")
    nursery.start_soon(engine.survey.run, name="survey")
    nursery.start_soon(engine.reconciler.run, nursery, name="reconciler")
    nursery.start_soon(engine.pictures.run, partial(_intervals, reloader), name="pictures")
    nursery.start_soon(engine.reserving.run, name="reservations")
    nursery.start_soon(engine.evidence.run, name="evidence")
    nursery.start_soon(reloader.run, name="reload")
    around.supervisor.attach(
        lambda: engine.reconciler.looked,
        lambda: float(reloader.settings.tick),
        lambda: in_a_few_words(engine.state.rows.values()),
    )
    around.supervisor.ready()
    task_status.started(running)

    await running._stop.wait()
    around.supervisor.stopping()
    engine.stop()
    stopping.set()
    patient = reloader.settings.shutdown_grace
    with trio.move_on_after(float(patient)) as grace:
        async with trio.open_nursery() as ending:
            making = float(patient) * PATIENT_SHARE
            ending.start_soon(engine.wind_down, making, name="wind down")
            ending.start_soon(ended.wait, name="services end")
        with trio.move_on_after(1):
            await hooks.drain_mailboxes()
    if grace.cancelled_caught:
        log.warning("shutdown_grace (%s) is over: the rest is broken off", patient)


def _intervals(reloader: Reloader) -> dict[str, float]:
    """How often each plugin's machines are pictured now, for those whose settings say it."""
    found = {
        name: getattr(config, "screenshot_interval", None)
        for name, config in reloader.settings.plugins.items()
    }
    return {name: float(each) for name, each in found.items() if isinstance(each, Duration)}


async def _first_look(services: Services, engine: Engine, done: trio.CancelScope) -> None:
    """Give services and the first survey a while; whoever needs longer comes in degraded."""
    with trio.move_on_after(PATIENCE):
        await services.attempted()
    with trio.move_on_after(PATIENCE):
        await engine.survey.once()
    done.cancel()


def _show_fault(link: Link, fault: HookFault) -> None:
    if link.engine is not None:
        link.engine.fault(fault.plugin, fault.hook, fault.text)


def _show_lag(link: Link, plugin: str, text: str | None) -> None:
    if text is not None:
        _show_fault(link, HookFault(plugin, LOOP, text))
    else:
        _clear(link, plugin, LOOP)


def _clear(link: Link, plugin: str, hook: str) -> None:
    if link.engine is not None:
        link.engine.recovered(plugin, hook)


def _ready(engine: Engine, plugin: str) -> None:
    """A plugin's hooks can be called now: what it alone knows is worth asking for."""
    engine.recovered(plugin, SERVICE)
    engine.survey.ask()
