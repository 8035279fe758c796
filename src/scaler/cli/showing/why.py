"""Why something waits, is held or ended, as lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scaler.cli.showing.columns import breadth, folded
from scaler.cli.showing.times import ago, clock
from scaler.log import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from scaler.cli.showing.columns import Paint

_WIDEST = 24  # columns of a label at most


def shown(answer: Mapping[str, Any], now: float, width: int | None, paint: Paint) -> list[str]:
    """Everything that was found; one after another, with an empty line between.

    Args:
        answer: What scaler answered.
        now: The present (Unix seconds).
        width: Columns there are; None for no limit.
        paint: What colours.
    """
    lines: list[str] = []
    for each in _dicts(answer.get("found")):
        lines += ["", *_one(each, now, width, paint)]
    if more := answer.get("more"):
        lines += ["", paint(f"… and {more} more: name one of them", "dim")]
    return lines[1:]


def _one(each: Mapping[str, Any], now: float, width: int | None, paint: Paint) -> list[str]:
    kind, name = str(each.get("kind") or ""), str(each.get("name") or "?")
    head = printable(f"{kind} {name}".strip())
    first, *rest = folded(f"{head}: {each.get('text') or ''}", width, rest="  ")
    if first.startswith(head):
        first = paint(head, "bold") + first[len(head) :]
    lines = [first, *rest]
    if cure := each.get("cure"):
        lines += [
            paint(line, "green") for line in folded(str(cure), width, first="  → ", rest="    ")
        ]
    lines += _facts(each.get("facts"), width, paint)
    events = [
        (
            f"{clock(event.get('time'), now)}",
            f"{event.get('text', '')} ({ago(event.get('time'), now)})",
        )
        for event in _dicts(each.get("events"))
    ]
    lines += _part("what happened", events, width, paint)
    kept = [
        (_size(item.get("size")), str(item.get("path") or item.get("name") or ""))
        for item in _dicts(each.get("kept"))
    ]
    return lines + _part("what is kept", kept, width, paint)


def _facts(found: Any, width: int | None, paint: Paint) -> list[str]:
    pairs = [
        (str(pair[0]), str(pair[1]))
        for pair in (found if isinstance(found, list) else [])
        if isinstance(pair, list) and len(pair) == 2
    ]
    return _pairs(pairs, width, paint, "  ")


def _part(head: str, pairs: list[tuple[str, str]], width: int | None, paint: Paint) -> list[str]:
    return [f"  {head}", *_pairs(pairs, width, paint, "    ")] if pairs else []


def _pairs(pairs: list[tuple[str, str]], width: int | None, paint: Paint, before: str) -> list[str]:
    safe = [(printable(label), value) for label, value in pairs]
    widest = min(max((breadth(label) for label, _ in safe), default=0), _WIDEST)
    lines: list[str] = []
    for label, value in safe:
        start = before + label + " " * (widest - breadth(label)) + "  "
        first, *rest = folded(value, width, first=start, rest=before + " " * (widest + 2))
        told = first[len(before + label) :] if first.startswith(before + label) else None
        lines += [before + paint(label, "dim") + told if told is not None else first, *rest]
    return lines


def _size(size: Any) -> str:
    if not isinstance(size, int) or isinstance(size, bool):
        return "?"
    for unit, scale in (("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)):
        if size >= scale:
            return f"{size / scale:.1f}{unit}"
    return f"{size}B"


def _dicts(found: Any) -> Iterable[Mapping[str, Any]]:
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
