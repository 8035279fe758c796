"""What a process is given by who starts it: standard streams that may be missing, and signals."""

from __future__ import annotations

import gc
import os
import signal
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FrameType

_hangups: list[int] = []


@contextmanager
def leaving_at(codes: Mapping[signal.Signals, int]) -> Iterator[None]:
    """Until someone else takes them, these signals end the process at once, with these codes.

    Leaving is all there is to do while nothing was begun. An exception would not do: raised in the
    middle of an import, it may end in a traceback or be swallowed. A signal that is ignored, or
    that someone handles already, is left to them.
    """

    def leave(number: int, _frame: FrameType | None) -> None:
        os._exit(codes[signal.Signals(number)])

    as_before = (signal.SIG_DFL, signal.default_int_handler)
    found = {number: signal.getsignal(number) for number in codes}
    taken = [number for number, handler in found.items() if handler in as_before]
    try:
        for number in taken:
            with suppress(ValueError):  # signals belong to the main thread
                signal.signal(number, leave)
        yield
    finally:
        for number in taken:
            if signal.getsignal(number) is leave:
                signal.signal(number, found[number])


@contextmanager
def minding_hangups() -> Iterator[None]:
    """Until someone else takes it, remember a SIGHUP: it asks to read the settings, once one can.

    One that comes because the terminal went away, from which this was started, ends it instead:
    nobody could stop it any more. A signal that is ignored, or handled already, is left as it is.
    """
    _hangups.clear()
    terminal = os.isatty(2)

    def mind(number: int, _frame: FrameType | None) -> None:
        if terminal and not os.isatty(2):
            os._exit(0)
        _hangups.append(number)

    found = signal.getsignal(signal.SIGHUP)
    try:
        if found is signal.SIG_DFL:
            with suppress(ValueError):  # signals belong to the main thread
                signal.signal(signal.SIGHUP, mind)
        yield
    finally:
        if signal.getsignal(signal.SIGHUP) is mind:
            signal.signal(signal.SIGHUP, found)


def hung_up() -> bool:
    """Whether a SIGHUP came while they were minded."""
    return bool(_hangups)


def open_streams() -> None:
    """Let what was closed lead nowhere, and let no text be unprintable.

    The next file to be opened would otherwise get the number of the closed stream, and whatever
    is written there with it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
    if sys.stdout is None:
        sys.stdout = _nowhere()
    if sys.stderr is None:
        sys.stderr = _nowhere()
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # as the standard error has it


def tune() -> None:
    """Set Python's own machinery for a process that serves for long, once all is imported.

    What was imported is never garbage: it need not be looked at again and again, and what is new
    not after every 700 objects, which takes a tenth of a burst. And while the loop works, a thread
    that comes back from libvirt or the disk waits at most so long for its turn; with Python's 5 ms
    a commit in a burst takes four times as long.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)
    sys.setswitchinterval(0.0005)


def give_up(stream: TextIO) -> None:
    """Let what is still to be written go nowhere: also the flush at exit would complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _nowhere() -> TextIO:
    return os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", closefd=False)
