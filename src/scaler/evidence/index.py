"""What is kept of whom, and what has to go. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from scaler.records import Kept

if TYPE_CHECKING:
    from collections.abc import Iterable

ITEM = 1 << 20  # bytes of one item
ITEMS = 32  # of one subject; the oldest goes
SUBJECTS = 200  # runners that failed, and profiles
STORIES = 200  # runners of which nothing but their story is kept, since all went well
ALL = 64 << 20  # bytes of everything
AGE = 14 * 86400.0  # seconds

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}", re.ASCII)
_SHELF = re.compile(r"runner-[1-9][0-9]{0,18}|profile-[A-Za-z0-9._-]{1,100}", re.ASCII)
_RUNNER = "runner-"
STORY = "events.txt"  # what is kept of every runner; of one that failed there is more


def shelf_of(subject: int | str) -> str:
    """The name of the folder of a runner (its id) or a profile (its key)."""
    return f"{_RUNNER}{subject}" if isinstance(subject, int) else f"profile-{subject}"


def is_shelf(name: str) -> bool:
    """Whether a folder is one of evidence."""
    return _SHELF.fullmatch(name) is not None


def is_name(name: str) -> bool:
    """Whether an item may be called so."""
    return _NAME.fullmatch(name) is not None


class Index:
    """What there is, by folder."""

    def __init__(self, found: Iterable[tuple[str, Kept]] = ()) -> None:
        self._shelves: dict[str, dict[str, Kept]] = {}
        self._bytes = 0
        for shelf, kept in found:
            self.put(shelf, kept)

    def of(self, shelf: str) -> tuple[Kept, ...]:
        """What is kept of one subject, the newest last."""
        return tuple(sorted(self._shelves.get(shelf, {}).values(), key=lambda each: each.time))

    def get(self, shelf: str, name: str) -> Kept | None:
        """One item, if it is there."""
        return self._shelves.get(shelf, {}).get(name)

    def put(self, shelf: str, kept: Kept) -> None:
        """An item is there, in place of what had its name."""
        self.drop(shelf, kept.name)
        self._shelves.setdefault(shelf, {})[kept.name] = kept
        self._bytes += kept.size

    def drop(self, shelf: str, name: str | None = None) -> None:
        """An item (or all of a subject) is there no more."""
        items = self._shelves.get(shelf, {})
        for each in [name] if name is not None else list(items):
            if (old := items.pop(each, None)) is not None:
                self._bytes -= old.size
        if not items:
            self._shelves.pop(shelf, None)

    def surplus(self, now: float, fresh: str = "") -> list[tuple[str, str | None]]:
        """What has to go: single items, or (None) all of a subject. `fresh` is being added to.

        Whoever is too old; of those with nothing but a story the oldest, then the oldest runners
        that failed, and only where none is left, profiles: those are few, and theirs is what is
        looked at while nothing can be made at all.
        """
        gone: list[tuple[str, str | None]] = []
        if len(mine := self.of(fresh)) > ITEMS:
            gone += [(fresh, each.name) for each in mine[: len(mine) - ITEMS]]
        ages = {
            shelf: max(each.time for each in items.values())
            for shelf, items in self._shelves.items()
        }
        plain = {shelf for shelf in ages if self._is_plain(shelf)}
        order = sorted(ages, key=lambda shelf: (self._rank(shelf, plain), ages[shelf]))
        left, stories, count = self._bytes, len(plain), len(order) - len(plain)
        for shelf in order:
            too_many = stories > STORIES if shelf in plain else count > SUBJECTS
            if shelf != fresh and (too_many or left > ALL or now - ages[shelf] > AGE):
                gone.append((shelf, None))
                left -= sum(each.size for each in self._shelves[shelf].values())
                stories -= shelf in plain
                count -= shelf not in plain
        return gone

    def _is_plain(self, shelf: str) -> bool:
        return shelf.startswith(_RUNNER) and self._shelves[shelf].keys() == {STORY}

    def _rank(self, shelf: str, plain: set[str]) -> int:
        """Who goes first where there is no space."""
        return 0 if shelf in plain else 1 if shelf.startswith(_RUNNER) else 2
