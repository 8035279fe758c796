"""Seeing to it that the process ends: after so long, whatever still runs."""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn

from scaler.dispatch.words import said
from scaler.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from types import FrameType

    import trio

log = logging.getLogger("scaler.watchdog")

ECHO = 0.1  # seconds within which a second signal is the first one's echo
LOOK = 0.2  # seconds between two looks at the time
THREADS = 5.0  # seconds that threads have when all else has ended
LAST = 1.0  # seconds that logging and flushing may take
RESORT = 10.0  # seconds after which a thread that needs nothing of Python's ends the process

STDERR = 2  # written to directly, whatever stands in for the stream


class Guard:
    """A thread that ends the process when its time is over.

    Args:
        running: What still runs, in words; for the log.
    """

    def __init__(self, running: Callable[[], list[str]] = list) -> None:
        self.running = running
        self._until: float | None = None
        self._why = ""
        self._over = threading.Event()
        self._handlers: dict[signal.Signals, Callable[[int, FrameType | None], None]] = {}

    def stuck(self, calls: Sequence[str]) -> NoReturn:
        """End the process: these calls of plugins' cannot be ended, and all else is done."""
        what = "one call of a plugin's does" if len(calls) == 1 else "calls of plugins' do"
        self.end(f"{what} not end: {'; '.join(calls)}")

    @contextmanager
    def over_threads(self) -> Iterator[None]:
        """Look at the time; after the body, threads that were begun in it have to end soon.

        For who is about to end the process. Nothing looks at the time any more after the body,
        where no such thread is left.
        """
        there = set(threading.enumerate())
        threading.Thread(target=self._run, name="guard", daemon=True).start()
        try:
            yield
        finally:
            self.disarm()
            begun = [each for each in threading.enumerate() if each not in there]
            if names := [each.name for each in begun if not each.daemon]:
                self.arm(THREADS, f"these threads do not end: {', '.join(names)}")
            else:
                self._over.set()

    @contextmanager
    def leaving(self) -> Iterator[None]:
        """After the body the event loop has to end soon.

        It waits for tasks that are in no call, too: a thread of a plugin's may have begun them.
        """
        why = "the event loop does not end"
        try:
            yield
        except Exception as error:
            why = f"{said(error)}; and {why}"  # who waits for the loop does not come to tell it
            raise
        finally:
            self.arm(THREADS, why)

    def arm(self, seconds: float, why: str) -> None:
        """End the process in so long, if not sooner already. From any thread or signal handler."""
        until = time.monotonic() + seconds
        if self._until is None or until < self._until:
            # (without a lock: a signal handler may have interrupted who holds it)
            self._until, self._why = until, why

    def disarm(self) -> None:
        """What was waited for has ended."""
        self._until = None

    @contextmanager
    def on_signals(
        self, numbers: Collection[signal.Signals], first: Callable[[], float], then: float
    ) -> Iterator[None]:
        """Arm it when a signal comes, before whoever handles these now.

        In the handler itself: the loop may be blocked, and would not hear of it.

        Args:
            numbers: The signals.
            first: Seconds from the first one, as it is when it comes.
            then: Seconds from a second one.
        """
        came: list[float] = []
        before = {number: signal.getsignal(number) for number in numbers}

        def handle(number: int, frame: FrameType | None) -> None:
            now = time.monotonic()
            if not came or now - came[0] > ECHO:
                came.append(now)
                name = signal.Signals(number).name
                self.arm(then if len(came) > 1 else first(), f"{name} came, and not all ends")
            handler = before[signal.Signals(number)]
            if callable(handler):
                handler(number, frame)

        for number in numbers:
            signal.signal(number, handle)
            self._handlers[signal.Signals(number)] = handle
        try:
            yield
        finally:
            self._handlers.clear()
            for number in numbers:
                signal.signal(number, before[number])

    def retake(self, token: trio.lowlevel.TrioToken) -> None:
        """See that nobody else has taken the signals that end the process. From a thread."""
        if any(signal.getsignal(number) is not ours for number, ours in self._taken()):
            token.run_sync_soon(self._retake, idempotent=True)

    def _retake(self) -> None:
        for number, ours in self._taken():
            theirs = signal.getsignal(number)
            if theirs is ours:
                continue
            signal.signal(number, ours)
            code = getattr(theirs, "__code__", None)
            place = f" ({code.co_filename}:{code.co_firstlineno})" if code else ""
            log.error(
                "%s was taken by somebody in this process%s: it ends scaler, and is taken back",
                number.name,
                place,
            )

    def _taken(self) -> list[tuple[signal.Signals, Callable[[int, FrameType | None], None]]]:
        return list(self._handlers.items())

    def _run(self) -> None:
        while not self._over.wait(LOOK):
            until = self._until
            if until is not None and time.monotonic() >= until:
                self.end(self._why)

    def end(self, why: str) -> NoReturn:
        """End the process now, and say why."""
        with suppress(Exception):
            faulthandler.dump_traceback_later(RESORT, exit=True, file=STDERR)
        # who holds a lock of logging's or a stream's may be what does not end
        speaking = threading.Thread(target=self._say, args=(why,), daemon=True)
        with suppress(Exception):
            try:
                speaking.start()
            except RuntimeError:  # Python ends, and begins no thread any more (3.12 and newer)
                self._say(why)
            else:
                speaking.join(LAST)
        with suppress(Exception):
            faulthandler.dump_traceback(file=STDERR, all_threads=True)
        os._exit(ExitCode.FORCED)

    def _say(self, why: str) -> None:
        running = self.running()
        what = f"; still running: {'; '.join(running)}" if running else ""
        log.critical("%s: the process is ended%s", why, what)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
