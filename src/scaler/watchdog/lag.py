"""Seeing from a thread that the event loop is blocked, by whom, and breaking that off."""

from __future__ import annotations

import faulthandler
import logging
import signal
import sys
import threading
import time
import traceback
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from scaler.dispatch.driving import Guarded
from scaler.errors import Blocked
from scaler.watchdog.frames import Place, homes, innermost, may_break, stack, step_of, task_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import FrameType

    from scaler.dispatch import Dispatcher
    from scaler.watchdog.guard import Guard

log = logging.getLogger("scaler.watchdog")

BEAT = 0.5  # seconds between two beats
LAG = 1.0  # seconds in which the loop has to answer one
BREAK = 5.0  # seconds of one step after which it is broken off, where it may be
GIVE_UP = 120.0  # seconds after which the process is ended
RESORT = 150.0  # seconds of processor time without a turn of this thread, and it ends, too
SHOWN = 60.0  # seconds that a plugin is shown as having blocked the loop


NOT_BROKEN = "%s at %s is not broken off: that would harm more than this call"


@dataclass(frozen=True)
class Look:
    """What the main thread does at one moment.

    Attributes:
        task: The outermost frame of the task that runs.
        step: The frame in which scaler has a plugin's coroutine take a step: another one for each.
    """

    places: list[Place]
    task: FrameType | None
    step: FrameType | None
    text: str


class Watchdog:
    """Watches the event loop of the main thread.

    Args:
        classes: The plugins' classes by name: whose code is whose.
        guard: Ends the process where nothing else helps.
    """

    def __init__(self, classes: Mapping[str, type], guard: Guard) -> None:
        self._hooks: Dispatcher | None = None
        self._shown: Callable[[str, str | None], None] = lambda _plugin, _text: None
        self._homes = homes(classes)
        self._guard = guard
        self._main = threading.main_thread()
        self._done = threading.Event()
        self._answered = threading.Event()
        self._aim: tuple[FrameType, str] | None = None
        self._clear: dict[str, float] = {}
        self._breaks = False
        self._rearm: Callable[[], None] = lambda: None

    def attach(self, hooks: Dispatcher, shown: Callable[[str, str | None], None]) -> None:
        """Know whose call a task is.

        Args:
            hooks: Runs the calls.
            shown: Told, in the loop, of a plugin that has blocked it, and how; None when that was
                long enough ago.
        """
        self._hooks, self._shown = hooks, shown
        self._guard.running = hooks.running

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the loop that runs now, in the main thread."""
        token = trio.lowlevel.current_trio_token()
        before = signal.getsignal(signal.SIGUSR2)
        if before is signal.SIG_DFL:
            signal.signal(signal.SIGUSR2, self._on_signal)
            self._breaks = True
        thread = threading.Thread(target=self._run, args=(token,), name="watchdog", daemon=True)
        with _resort() as self._rearm:
            self._rearm()  # what is called first may come before the first beat
            thread.start()
            try:
                yield
            finally:
                self._done.set()
                thread.join()
            if self._breaks:
                signal.signal(signal.SIGUSR2, before)

    # -- in the thread

    def _run(self, token: trio.lowlevel.TrioToken) -> None:
        try:
            while not self._done.wait(BEAT):
                self._rearm()
                self._answered.clear()
                token.run_sync_soon(self._answered.set)
                sent = time.monotonic()
                if not self._answered.wait(LAG) and not self._done.is_set():
                    self._blocked(token, sent)
                self._recover(token)
                self._guard.retake(token)
        except trio.RunFinishedError:
            return

    def _blocked(self, token: trio.lowlevel.TrioToken, since: float) -> None:
        if time.monotonic() - since > 2 * LAG:
            log.warning("this machine stood still for %.1f s", time.monotonic() - since)
            return
        first, used = self._look(), time.process_time()
        self._answered.wait(LAG / 10)
        second = self._look()
        blamed = self._blame(first, second)
        if blamed is None and time.process_time() - used < LAG / 1000:
            log.warning("the event loop does not answer since %.1f s; nothing runs", LAG)
        else:
            who = "{} at {}".format(*blamed[1:]) if blamed else "nobody in particular"
            extra = {"plugin": blamed[0]} if blamed else {}
            text = "the event loop is blocked since %.1f s by %s\n%s"
            log.error(text, LAG, who, second.text.rstrip(), extra=extra)
        lasts = turn = time.monotonic() - since
        again, told = BREAK, False
        while not self._answered.wait(LAG / 4) and not self._done.is_set():
            self._rearm()
            before, turn = turn, time.monotonic() - since
            lasts += min(turn - before, LAG)  # (a process may be stopped, and time goes on)
            if lasts >= GIVE_UP:
                self._guard.end(f"the event loop is blocked since {lasts:.0f} s")
            if lasts >= again and blamed is not None:
                again = lasts + LAG
                if not self._break(blamed) and not told:
                    told = True
                    log.warning(NOT_BROKEN, *blamed[1:], extra={"plugin": blamed[0]})
        if blamed is not None:
            plugin, hook, place = blamed
            text = f"{hook} blocked the event loop for {lasts:.1f} s at {place}"
            self._clear[plugin] = time.monotonic() + SHOWN
            token.run_sync_soon(self._shown, plugin, text)

    def _look(self) -> Look:
        frame = sys._current_frames().get(self._main.ident or 0)
        text = "".join(traceback.format_stack(frame)[-12:]) if frame is not None else ""
        return Look(stack(frame), task_of(frame), step_of(frame, _CALLER), text)

    def _blame(self, first: Look, second: Look) -> tuple[str, str, Place] | None:
        """The plugin, what of it, and where: only where both looks saw the same."""
        if first.task is not second.task or first.step is not second.step:
            return None
        found = innermost(second.places, self._homes)
        if found is None:
            return None
        with suppress(RuntimeError):  # it goes on in the meantime, and its tasks change
            if self._hooks is not None and (whose := self._hooks.whose(second.task)) is not None:
                return whose[0], ".".join(whose), found[1]
        return found[0], found[0], found[1]

    def _break(self, blamed: tuple[str, str, Place]) -> bool:
        """Break it off where that is safe; whether it is."""
        home = self._homes.get(blamed[0])
        if not self._breaks or home is None:
            return False
        look = self._look()
        if look.step is None or not may_break(look.places, home, _CALLER):
            return False
        self._aim = (look.step, home)
        with suppress(ProcessLookupError):
            signal.pthread_kill(self._main.ident or 0, signal.SIGUSR2)
        return True

    def _recover(self, token: trio.lowlevel.TrioToken) -> None:
        for plugin in [name for name, until in self._clear.items() if time.monotonic() > until]:
            del self._clear[plugin]
            token.run_sync_soon(self._shown, plugin, None)

    # -- in the main thread

    def _on_signal(self, _number: int, frame: FrameType | None) -> None:
        aim, self._aim = self._aim, None
        if aim is None or step_of(frame, _CALLER) is not aim[0]:
            return  # what was meant has ended in the meantime
        places = stack(frame)
        if may_break(places, aim[1], _CALLER):
            raise Blocked(f"it blocked the event loop at {places[0]}, and is broken off")


@contextmanager
def _resort() -> Iterator[Callable[[], None]]:
    """End the process, without a thread, once it used so much processor time since the last call.

    Processor time stands while the process is stopped, or the machine is.
    """
    if signal.getsignal(signal.SIGPROF) is not signal.SIG_DFL:  # a profiler's
        yield lambda: None
        return
    faulthandler.register(signal.SIGPROF, file=2, all_threads=True, chain=True)
    try:
        yield lambda: _set_timer(RESORT)
    finally:
        _set_timer(0)
        faulthandler.unregister(signal.SIGPROF)


def _set_timer(seconds: float) -> None:
    signal.setitimer(signal.ITIMER_PROF, seconds)


_CALLER = Guarded.send.__code__
