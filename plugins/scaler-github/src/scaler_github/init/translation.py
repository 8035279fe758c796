"""What another system's settings become, and a reader that knows what of them was not read yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scaler import FatalError
from scaler_github.init.collecting import Preset
from scaler_github.init.document import Document, Note
from scaler_github.init.secrecy import hidden, looks_secret

Place = tuple[str, ...]
_MOST_LEAVES = 10_000
_DEEPEST = 40
_MOST_BITS = 64  # of a number
_TOLD_SINGLY = 8  # unknown values below one key: more are told together
ANY = "*"


@dataclass(kw_only=True)
class Translation:
    """What was found.

    Attributes:
        document: What stands in the settings, whatever is answered.
        presets: What answers questions, by their keys.
        profiles: The profiles that it brought, where it brought all of them.
    """

    document: Document = field(default_factory=Document)
    presets: dict[str, Preset] = field(default_factory=dict)
    profiles: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something has no counterpart.

    Attributes:
        place: Where it stands, dots between; `*` stands for any name. What is below is meant, too.
    """

    place: str
    why: str
    instead: str = ""

    @property
    def parts(self) -> Place:
        """The place in parts."""
        return tuple(self.place.split("."))


class Reading:
    """Another system's settings; remembers which values were taken.

    Args:
        data: Maps and lists, as a reader of YAML or TOML gives them.
        name: The file's name, for the origins.

    Raises:
        FatalError: It holds more than settings hold.
    """

    def __init__(self, data: Mapping[str, Any], name: str) -> None:
        self._data = data
        self._name = name
        self._leaves = dict(_leaves(data, name))
        self._left = dict.fromkeys(self._leaves)

    def get(self, *place: str) -> Any:
        """A value, which is not taken by this; None where there is none."""
        found: Any = self._data
        for part in place:
            if isinstance(found, Mapping):
                found = found.get(part)
            elif isinstance(found, Sequence) and not isinstance(found, str) and part.isdecimal():
                found = found[int(part)] if int(part) < len(found) else None
            else:
                return None
        return found

    def take(self, *place: str) -> Any:
        """A value, with all below it; from now on it counts as translated."""
        for leaf in self._below(place):
            del self._left[leaf]
        return self.get(*place)

    def text(self, *place: str) -> str:
        """A text or number as text, taken; empty where there is none, or it may not be copied."""
        text = as_text(self.get(*place))
        if not text or looks_secret(text):
            return ""
        self.take(*place)
        return text

    def origin(self, *place: str) -> str:
        """How a place is told."""
        return f"{shown(place)} in {self._name}"

    def children(self, *place: str) -> list[str]:
        """The names, or the numbers, of what stands below."""
        found = self.get(*place)
        if isinstance(found, Mapping):
            return [str(key) for key in found]
        if isinstance(found, Sequence) and not isinstance(found, str):
            return [str(number) for number in range(len(found))]
        return []

    def rest(self, reasons: Sequence[Reason], unknown: Reason) -> list[Note]:
        """What was not taken, each with the first reason that fits; values of one reason together.

        Args:
            reasons: The known ones, the particular before the general.
            unknown: What is said of all others.
        """
        grouped: dict[Place, tuple[Reason, int]] = {}
        strange: list[Place] = []
        for leaf in self._left:
            for reason in reasons:
                parts = reason.parts
                if len(leaf) >= len(parts) and all(
                    want in (ANY, have) for want, have in zip(parts, leaf, strict=False)
                ):
                    place = leaf[: len(parts)]
                    _, count = grouped.get(place, (reason, 0))
                    grouped[place] = reason, count + 1
                    break
            else:
                strange.append(leaf)
        notes = [
            Note(path=shown(place), why=reason.why, instead=reason.instead, count=count)
            for place, (reason, count) in grouped.items()
        ]
        for place, count in _together(strange):
            notes.append(
                Note(path=shown(place), why=unknown.why, instead=unknown.instead, count=count)
            )
        return notes

    def _below(self, place: Place) -> list[Place]:
        return [leaf for leaf in self._left if leaf[: len(place)] == place]


def shown(place: Place) -> str:
    """A place for people: `a.b[0].c`. A token that stands where a key belongs is hidden."""
    told = ""
    for part in place:
        if part.isdecimal() and told:
            told += f"[{part}]"
        else:
            told += f"{'.' if told else ''}{hidden(part)[:80]}"
    return told


def as_text(found: Any) -> str:
    """A text or number as text; empty where it is neither, or a number that nobody would mean."""
    if isinstance(found, float) and found.is_integer():
        found = int(found)  # 1234567 in YAML that Helm wrote is 1.234567e+06
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found) if found.bit_length() <= _MOST_BITS else ""
    return str(found).strip() if isinstance(found, str | float) else ""


def _together(places: Sequence[Place]) -> Iterator[tuple[Place, int]]:
    count: dict[str, int] = {}
    for place in places:
        count[place[0]] = count.get(place[0], 0) + 1
    told = set()
    for place in places:
        if count[place[0]] <= _TOLD_SINGLY:
            yield place, 1
        elif place[0] not in told:
            told.add(place[0])
            yield place[:1], count[place[0]]


def _leaves(data: Any, name: str) -> Iterator[tuple[Place, Any]]:
    """Every value with its place; an empty map or list is a value, too."""
    number = 0
    pending: list[tuple[Place, Any]] = [((), data)]
    while pending:
        place, found = pending.pop()
        below: list[tuple[Place, Any]] = []
        if isinstance(found, Mapping):
            below = [((*place, str(key)), one) for key, one in found.items()]
        elif isinstance(found, Sequence) and not isinstance(found, str | bytes):
            below = [((*place, str(key)), one) for key, one in enumerate(found)]
        if below:
            number += len(below)
            if number > _MOST_LEAVES or len(place) > _DEEPEST:
                raise FatalError(
                    f"{name}: holds more than {_MOST_LEAVES} values, or they are nested too "
                    "deeply: no settings are like that"
                )
            pending += reversed(below)
        elif place:
            yield place, found
