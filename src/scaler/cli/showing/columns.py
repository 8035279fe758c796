"""Tables that fit: where there is no room, the least important columns go."""

from __future__ import annotations

import textwrap
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from scaler.log import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    #: Colours a text; see `scaler.cli.terminal.painter`.
    Paint: TypeAlias = Callable[[str, str], str]

_GAP = 2
_LEAST = 12  # columns below which a folded text is not worth its lines


@dataclass(frozen=True)
class Cell:
    """One text, and the colour it has where there are colours."""

    text: str
    colour: str = ""


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        head: What stands above it.
        rank: How soon it goes: the highest first, and 0 never.
        least: Where more than 0, it may be cut short to so many columns before another goes.
        right: For numbers.
    """

    head: str
    rank: int = 0
    least: int = 0
    right: bool = False


def breadth(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(each) else 1 + (unicodedata.east_asian_width(each) in "WF")
        for each in text
    )


def cut(text: str, room: int) -> str:
    """The text, or as much of its beginning as has room, with a mark that there was more."""
    if breadth(text) <= room:
        return text
    taken, used = [], 1
    for each in text:
        used += breadth(each)
        if used > room:
            break
        taken.append(each)
    return "".join(taken).rstrip() + "…" if room > 0 else ""


def table(
    columns: Sequence[Column],
    rows: Sequence[Sequence[Cell | str]],
    width: int | None,
    paint: Paint,
) -> list[str]:
    """A head and the rows as lines; columns in which nothing stands are left out.

    Args:
        columns: What they are.
        rows: A cell for each column.
        width: Columns there are; None for no limit.
        paint: What colours.
    """
    cells = [[_safe(each) for each in row] for row in rows]
    heads = [Cell(each.head, "bold") for each in columns]
    shown = [at for at in range(len(columns)) if any(row[at].text for row in cells)]
    natural = [max(breadth(row[at].text) for row in [heads, *cells]) for at in range(len(columns))]
    shown, widths = _fitted(columns, shown, natural, width)
    lines = []
    for row in [heads, *cells]:
        parts = []
        for at in shown:
            text = cut(row[at].text, widths[at])
            gap = " " * (widths[at] - breadth(text))
            told = paint(text, row[at].colour) if row[at].colour and text else text
            last = at == shown[-1]
            parts.append(gap + told if columns[at].right else told if last else told + gap)
        lines.append((" " * _GAP).join(parts).rstrip(" "))
    return lines


def folded(text: str, width: int | None, *, first: str = "", rest: str = "") -> list[str]:
    """A text in lines of this width, after what stands before the first and the others."""
    safe = printable(text)
    if width is None:
        return [first + safe]
    if width - len(rest) < _LEAST:
        rest = ""
    room = max(width, len(first) + _LEAST)
    return textwrap.wrap(
        safe, room, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
    ) or [first.rstrip()]


def _safe(cell: Cell | str) -> Cell:
    cell = Cell(cell) if isinstance(cell, str) else cell
    return Cell(printable(cell.text), cell.colour)


def _fitted(
    columns: Sequence[Column], shown: list[int], natural: list[int], width: int | None
) -> tuple[list[int], list[int]]:
    """Which columns there is room for, and how wide each is."""
    widths = list(natural)
    while width is not None and shown:
        widths = list(natural)
        over = sum(widths[at] for at in shown) + _GAP * (len(shown) - 1) - width
        over = _narrowed(widths, {at: columns[at].least for at in shown}, over)
        least_important = max(shown, key=lambda at: (columns[at].rank, at))
        if over <= 0:
            break
        if columns[least_important].rank == 0:  # these stay: the widest are cut short
            _narrowed(widths, dict.fromkeys(shown, 1), over)
            break
        shown = [at for at in shown if at != least_important]
    return shown, widths


def _narrowed(widths: list[int], least: dict[int, int], over: int) -> int:
    """Take from the widest that may be narrowed; how much too wide it still is."""
    while over > 0:
        able = [at for at, low in least.items() if low and widths[at] > low]
        if not able:
            return over
        widest = max(able, key=lambda at: widths[at])
        widths[widest] -= 1
        over -= 1
    return over
