"""A terminal's other screen, which is put back however it ends."""

from __future__ import annotations

import os
import shutil
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"  # the other screen; no cursor; what is too long is cut
_LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"
_HOME, _LINE, _REST = "\x1b[H", "\x1b[K", "\x1b[J"
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Ended(BaseException):
    """A signal ends it.

    Attributes:
        number: Which.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Screen:
    """Shows pages in place of each other, in a screen of its own.

    While it is there, signals that end the process raise `Ended` in the main thread, being stopped
    by Ctrl-Z gives the terminal back for so long, and `on_resize` is called when the size changes.

    Args:
        stream: A terminal.
        on_resize: Must be of a kind that may run between any two steps.
    """

    def __init__(self, stream: TextIO, on_resize: Callable[[], object]) -> None:
        self._stream = stream
        self._on_resize = on_resize
        self._before: dict[signal.Signals, Any] = {}
        self._leaving = False

    def __enter__(self) -> Self:
        for number in _ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._end)
        for number in (signal.SIGTSTP, signal.SIGWINCH):
            handler = self._stop if number == signal.SIGTSTP else self._resize
            self._before[number] = signal.signal(number, handler)
        self._write(_ENTER)
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving = True
        with suppress(OSError):  # the terminal has gone
            self._write(_LEAVE)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def size(self) -> tuple[int, int]:
        """Its columns and lines."""
        try:
            columns, lines = os.get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):
            columns, lines = shutil.get_terminal_size()
        return max(columns, 1), max(lines, 1)

    def show(self, lines: Sequence[str]) -> None:
        """Show these; no more of them than there are lines."""
        # what was there is deleted before a line is written, not behind it: where that is as long
        # as the screen is wide, the cursor stands on its last letter
        rest = f"\r\n{_REST}" if len(lines) < self.size()[1] else ""
        self._write(_HOME + "\r\n".join(f"{_LINE}{line}" for line in lines) + rest)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

    def _end(self, number: int, _frame: FrameType | None) -> None:
        if not self._leaving:
            self._leaving = True
            raise Ended(number)

    def _resize(self, _number: int, _frame: FrameType | None) -> None:
        self._on_resize()

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        """Ctrl-Z: the shell is to find its own screen, and this one is made anew afterwards."""
        os.write(self._stream.fileno(), _LEAVE.encode())
        os.kill(os.getpid(), signal.SIGSTOP)
        with suppress(OSError):
            os.write(self._stream.fileno(), _ENTER.encode())
        self._on_resize()
