"""From a changed settings file to a scaler that goes by it, or that stays as it is and says why."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import trio

from scaler import log as logs
from scaler.engine.profiles import Profiles
from scaler.errors import FatalError, SettingsError, Unavailable
from scaler.hooks import SPEC
from scaler.records import SettingsChange
from scaler.reload.compare import Changes, compare, without
from scaler.reload.outcome import Reloaded, notes, spares, write_down
from scaler.reload.telling import HOOK, Telling
from scaler.reload.trying import try_file, try_mixture
from scaler.settings import load_again
from scaler.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from scaler.building import Built
    from scaler.dispatch import Dispatcher
    from scaler.engine import Engine
    from scaler.loading import LoadedPlugin
    from scaler.settings import Settings

log = logging.getLogger("scaler.reload")

READING = 30.0  # seconds that reading the file and what it names may take
PLANNING = 10.0  # seconds until a plan has been made of what is new
PATIENCE = 80.0  # seconds that whoever asked for a reload is let wait; it goes on after that
ASKING = 5.0  # seconds between two questions to plugins that say of a profile that it waits
AGAIN = 1.0  # seconds between two looks at profiles that leave, at least
ROOT = "settings"  # what a reload that failed is shown by, in place of a plugin's name
NAME = "reload"
EMPTY = (
    "there are no profiles: an empty file, or one that is being written, would have all of them"
    " leave; to take no jobs, scaler pause --all"
)


@dataclass
class _Turn:
    """One reload that is asked for, and everybody who waits for it."""

    over: trio.Event = field(default_factory=trio.Event)
    became: Reloaded | None = None


class Reloader:
    """Reads the settings anew and applies what is new; one at a time.

    Args:
        settings: What runs now.
        loaded: The plugins that run.
        built: Their instances and Contexts.
        hooks: How they are told.
        engine: Whose profiles they are.
        stopping: Set when the scaler stops.
        hide: Learns new secrets.
        supervisor: Told when a reload begins, and when it is over.

    Attributes:
        settings: What runs now; a reload replaces it.
        last: What became of the last one.
        hurry: Starts a plugin's service again that has failed.
        check_again: Has plugins look again that saw something wrong.
    """

    def __init__(
        self,
        settings: Settings,
        loaded: Mapping[str, LoadedPlugin],
        built: Built,
        hooks: Dispatcher,
        engine: Engine,
        *,
        stopping: trio.Event | None = None,
        hide: logs.Hider | None = None,
        supervisor: Supervisor | None = None,
    ) -> None:
        self.settings = settings
        self.last: Reloaded | None = None
        self.hurry: Callable[[str], None] = lambda _plugin: None
        self.check_again: Callable[[], None] = lambda: None
        self._loaded = loaded
        self._built = built
        self._hooks = hooks
        self._engine = engine
        self._state = engine.state
        self._profiles = Profiles(engine.state, engine.intake)
        self._stopping = trio.Event() if stopping is None else stopping
        self._hide = logs.hider_in_use(settings.secrets) if hide is None else hide
        self._supervisor = Supervisor() if supervisor is None else supervisor
        self._able = frozenset(hooks.implementers(SPEC.on_settings_changed))
        self._limiter = trio.CapacityLimiter(1)
        self._lock = trio.Lock()
        self._next: _Turn | None = None
        self._asked = trio.Event()
        self._leaves = trio.Event()
        self._telling = Telling(hooks, self._hide)
        self._at = ""  # whom it waits for, for people
        self._waits: tuple[str, ...] = ()  # what of the file the core cannot do without a restart

    def ask(self) -> None:
        """Have the file read soon, as a signal wants it. Never fails: what is wrong is shown."""
        self._turn()

    async def run(self) -> None:
        """Reload whenever it was asked for, and see profiles off that leave, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._see_off, name="profiles that leave")
            nursery.start_soon(self._ask_again, name="profiles that wait")
            while not self._stopping.is_set():
                await self._asked.wait()
                self._asked = trio.Event()
                turn, self._next = self._next, None
                if turn is not None:
                    try:  # (whoever waits is told, also where this is cancelled)
                        turn.became = await self._reload()
                    finally:
                        turn.over.set()

    async def reload(self) -> Reloaded:
        """Read the file and apply what is new. It goes on where whoever waits for it is cancelled.

        Raises:
            Unavailable: The scaler stops, or it takes long: then it goes on, and is shown.
        """
        if self._stopping.is_set():
            raise Unavailable("this scaler is stopping")
        turn = self._turn()
        with trio.move_on_after(PATIENCE) as patience:
            async with trio.open_nursery() as nursery:

                async def end_with(event: trio.Event) -> None:
                    await event.wait()
                    nursery.cancel_scope.cancel()

                nursery.start_soon(end_with, turn.over)
                nursery.start_soon(end_with, self._stopping)
        if turn.became is not None:
            return turn.became
        if patience.cancelled_caught and not self._stopping.is_set():
            text = f"{self._at or 'settings are being read anew'} for more than {PATIENCE:g} s"
            raise Unavailable(f"{text}: it goes on by itself, and scaler status shows what comes")
        raise Unavailable("this scaler is stopping")

    def _turn(self) -> _Turn:
        """The next reload: one that has begun may have read the file already."""
        if self._next is None:
            self._next = _Turn()
            self._asked.set()
        return self._next

    # -- one reload

    async def _reload(self) -> Reloaded:
        async with self._lock:
            self._supervisor.reloading()
            try:
                became = await self._read_and_apply()
            finally:
                if not self._stopping.is_set():
                    self._supervisor.ready()
        write_down(became)
        self.last = became
        if became.ok:
            self.check_again()
        self._state.shown()
        return became

    async def _read_and_apply(self) -> Reloaded:
        wall = self._state.clock.wall()
        changes, problems = await self._read()
        if changes is None:
            more = f" (and {len(problems) - 1} more)" if problems[1:] else ""
            self._engine.fault(ROOT, NAME, f"{problems[0]}{more}")
            return Reloaded(time=wall, ok=False, problems=tuple(problems))
        before = spares(self._state)
        due = self._apply(changes)
        self._engine.recovered(ROOT, NAME)
        if changes.applied or due:  # ceilings fall before plugins are told
            with trio.move_on_after(PLANNING):
                await self._engine.reconciler.planned()
        await self._tell(due)
        self._waits = changes.restart
        self._show_restart()
        late = {each.partition(": ")[0] for each in self._state.restart}
        counts = [each for each in changes.applied if each not in late]
        applied = (*counts, *notes(self._state, changes, before))
        return Reloaded(time=wall, ok=True, applied=applied, restart=self._state.restart)

    async def _read(self) -> tuple[Changes | None, list[str]]:
        """Read the file and try it on every plugin: what is to be done, or all that is wrong."""
        try:
            with trio.move_on_after(READING):
                return await self._in_thread(), []
        except SettingsError as error:
            problems = list(error.problems)
        except FatalError as error:
            problems = str(error).split("\n")
        except Exception as error:  # a plugin's own type of settings may raise anything
            log.exception("reading the settings")
            problems = [f"{self.settings.source_file}: {type(error).__name__}: {error}"]
        else:
            problems = [f"{self.settings.source_file}: reading it takes longer than {READING:g} s"]
        return None, [self._hide(text) for text in problems] or ["they cannot be read"]

    async def _in_thread(self) -> Changes:
        return await trio.to_thread.run_sync(
            partial(self._read_in_thread, frozenset(self._state.leaving_profiles)),
            abandon_on_cancel=True,
            limiter=self._limiter,
        )

    def _read_in_thread(self, leaving: frozenset[str]) -> Changes:
        again = load_again(self.settings, self._loaded)
        self._hide.add(again.settings.secrets)
        if self.settings.profiles and not again.settings.profiles:
            raise SettingsError([f"{self.settings.source_file}: {EMPTY}"])
        try_file(again.settings, self.settings, self._loaded)
        changes = compare(self.settings, again, leaving=leaving, able=self._able)
        try_mixture(changes, again.settings, self._loaded)
        return changes

    def _apply(self, changes: Changes) -> list[str]:
        """Go by the new settings, in one step: between two awaits there is no half of them.

        Returns:
            The plugins that are to be told.
        """
        self._go_by(changes.settings)
        due = self._telling.due(changes.told, self.settings.own, list(self._built.contexts))
        self._profiles.replace(
            changes.settings.profiles,
            leaving=changes.leaving,
            added=changes.added,
            untold=self._telling.awaited(),
        )
        self._engine.tick = float(changes.settings.tick)
        logs.renew(changes.settings.log)
        self._leaves.set()
        return due

    def _go_by(self, settings: Settings) -> None:
        self.settings = settings
        for name, context in self._built.contexts.items():
            context.config = settings.plugins.get(name)
            context.profiles = settings.profiles
            context.own = settings.own.get(name, {})

    # -- telling plugins

    async def _tell(self, plugins: Iterable[str]) -> None:
        for plugin in plugins:
            if self._stopping.is_set():
                return
            self._at = f"{plugin} is being told of new settings"
            trouble = await self._telling.tell(plugin)
            self._at = ""
            self.hurry(plugin)
            if trouble:
                self._engine.fault(plugin, HOOK, trouble)
            else:
                self._engine.recovered(plugin, HOOK)
                self._engine.survey.ask()
            self._serve()
        self._serve()

    def _serve(self) -> None:
        """Runners can be made where plugins know of it, and the source does not wait."""
        self._profiles.told(self._telling.awaited(), self._telling.waits())

    def _show_restart(self) -> None:
        """Say what counts only after a restart, until it does, or the file says what runs."""
        told = self._telling.restart(self._state.leaving_profiles)
        restart = tuple(dict.fromkeys([*self._waits, *told]))
        if restart != self._state.restart:
            self._state.restart = restart
            self._state.shown()

    async def _ask_again(self) -> None:
        """Ask plugins that said of a profile that it waits, until it does no more."""
        while not self._stopping.is_set():
            await trio.sleep(ASKING)
            for plugin in dict.fromkeys(plugin for plugin, _ in self._telling.waits()):
                async with self._lock:
                    if plugin not in self._telling.untold and not self._stopping.is_set():
                        await self._telling.ask(plugin)
                        self._serve()
                        self._show_restart()

    # -- profiles that leave

    async def _see_off(self) -> None:
        """Let go of profiles of which nothing is left."""
        while not self._stopping.is_set():
            if not self._state.leaving_profiles:
                await self._leaves.wait()
            self._leaves = trio.Event()
            for name in self._profiles.look():
                await self._let_go(name)
            with trio.move_on_after(self._engine.tick):
                await self._state.news.wait()
            await trio.sleep(AGAIN)

    async def _let_go(self, name: str) -> None:
        owners = [plugin for plugin, own in self.settings.own.items() if name in own]
        if not self._able.issuperset(owners):
            return  # one of them goes on with it until a restart
        async with self._lock:
            if name not in self._profiles.look():
                return  # it came back
            self._go_by(without(self.settings, name))
            gone = dict.fromkeys(owners, SettingsChange(removed=(name,)))
            self._telling.due(gone, self.settings.own, ())
            await self._tell(owners)
            await self._profiles.drop(name)
            self._show_restart()
