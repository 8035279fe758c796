"""On which line a key of a TOML document stands. Used only when there is an error to place.

tomllib keeps no lines and tomlkit tells none, but tomlkit writes a document back byte for byte: so
a mark is put in front of the item, the document is written, and the lines before the mark counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tomlkit
from tomlkit.container import Container
from tomlkit.items import AbstractTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MARK = "\0"  # cannot stand in a TOML document


class Lines:
    """Finds lines in one TOML text."""

    def __init__(self, text: str) -> None:

        self._document: Any = None
        try:
            self._document = tomlkit.parse(text)
        except Exception:
            return

    def of(self, path: Sequence[str | int]) -> int:
        """The line of the longest part of the path that the text contains; 1 where none."""
        for length in range(len(path), 0, -1):
            try:
                item = self._item(path[:length])
                if item is not None and (line := self._line(item)):
                    return line
            except RecursionError:  # too deep to be written back
                continue
        return 1

    def _item(self, path: Sequence[str | int]) -> Any:
        item = self._document
        for step in path:
            if isinstance(item, AbstractTable):
                item = item.value
            try:  # what stands in brackets would give a plain bool for a boolean
                item = item.item(str(step)) if isinstance(item, Container) else item[step]
            except (KeyError, IndexError, TypeError):
                return None
        return item

    def _line(self, item: Any) -> int:
        """The item's own line, or that of the first thing in it that has one."""
        trivia = getattr(item, "trivia", None)
        if trivia is not None:
            indent = trivia.indent
            trivia.indent = _MARK + indent
            try:
                before, mark, _ = self._document.as_string().partition(_MARK)
            finally:
                trivia.indent = indent
            if mark:
                return int(before.count("\n")) + 1
        return next(filter(None, map(self._line, _children(item))), 0)


def _children(item: Any) -> Iterator[Any]:
    if isinstance(item, dict):
        yield from item.values()
    elif isinstance(item, list):
        yield from item
