"""Tables and colours for people."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, Any, TextIO

from scaler.errors import FatalError
from scaler.log import colourful, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_GAP = 2
_NARROWEST = 24
_CODES = {"green": "32", "red": "31", "yellow": "33", "dim": "2", "bold": "1"}


def painter(stream: TextIO) -> Callable[[str, str], str]:
    """What colours a text (see `_CODES`) where the stream is a terminal that wants it."""
    if not colourful(stream):
        return lambda text, _colour: text
    return lambda text, colour: f"\x1b[{_CODES[colour]}m{text}\x1b[0m"


class Passing:
    """One line that is written over again and again, while a command waits; only on a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = 0
        self._wanted = stream.isatty() and os.environ.get("TERM") != "dumb"

    def show(self, text: str) -> None:
        """Show this in place of the last; an empty text leaves nothing."""
        if not self._wanted or not (text or self._shown):
            return
        text = printable(text)[: max(shutil.get_terminal_size().columns - 1, 0)]
        gap = " " * (self._shown - len(text))
        self._shown = len(text)
        with contextlib.suppress(OSError):  # it is only to pass the time
            # (whatever is written next begins at the left, and over it)
            print(f"\r{text}{gap}\r", end="", file=self._stream, flush=True)


def say(*lines: str) -> None:
    """Print what a command has to say.

    Raises:
        BrokenPipeError: Nobody reads any more.
        FatalError: It cannot be written.
    """
    try:
        print(*lines, sep="\n", flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise FatalError(f"the output cannot be written: {error.strerror}") from None


def warn(text: Any) -> None:
    """Say something on the standard error, where there is something; that nobody reads is fine."""
    if text:
        with contextlib.suppress(OSError):
            print(printable(str(text)), file=sys.stderr, flush=True)


def width_of(stream: TextIO) -> int | None:
    """How many columns there are to write in; None where that is no terminal."""
    return max(shutil.get_terminal_size().columns, 1) if stream.isatty() else None


def table(rows: Sequence[Sequence[str]], stream: TextIO) -> str:
    """Aligned columns. On a terminal the last one is folded to fit."""
    safe = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*safe, strict=True)]
    before = sum(widths[:-1]) + _GAP * (len(widths) - 1)
    room = 10_000
    if stream.isatty():
        room = max(shutil.get_terminal_size().columns - before, _NARROWEST)
    lines = []
    for *cells, last in safe:
        start = "".join(
            f"{cell:<{width + _GAP}}" for cell, width in zip(cells, widths, strict=False)
        )
        first, *more = textwrap.wrap(last, room, break_on_hyphens=False) or [""]
        lines += [(start + first).rstrip(), *(" " * before + line for line in more)]
    return "\n".join(lines)
