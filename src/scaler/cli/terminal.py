"""Tables and colours for people."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING, TextIO

from scaler.errors import FatalError
from scaler.log import colourful, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_GAP = 2
_NARROWEST = 24


def painter(stream: TextIO) -> Callable[[str, str], str]:
    """What makes a text `green`, `red` or `bold` where the stream is a terminal that wants it."""
    codes = {"green": "32", "red": "31", "bold": "1"}
    if not colourful(stream):
        return lambda text, _colour: text
    return lambda text, colour: f"\x1b[{codes[colour]}m{text}\x1b[0m"


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
