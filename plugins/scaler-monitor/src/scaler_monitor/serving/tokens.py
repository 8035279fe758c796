"""The tokens that are good, read again when they change."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scaler import SecretSource

SHORTEST = 32
"""Bytes of a token, at least."""

_FEWEST = 8  # different characters in a token


@dataclass(frozen=True)
class Look:
    """What one look at a token found.

    Attributes:
        source: Where it is.
        known: What the token is compared by; empty where it cannot be read, or is too weak.
        wrong: Why, without anything of the token.
    """

    source: SecretSource
    known: bytes = field(default=b"", repr=False)
    wrong: str = ""


class Tokens:
    """Any of them opens what needs a token.

    Args:
        sources: Where they are; they are read now.

    Attributes:
        doubtful: Whether something was wrong with one for the first time: it is good until the next
            look, which should be soon. A file may be looked at just while it is written.
    """

    def __init__(self, sources: Iterable[SecretSource] = ()) -> None:
        self._good: dict[SecretSource, bytes] = {}
        self._doubted: frozenset[SecretSource] = frozenset()
        self._set = False
        self.take(look(sources))

    def __bool__(self) -> bool:
        """Whether any is set."""
        return self._set

    @property
    def doubtful(self) -> bool:
        """See the class."""
        return bool(self._doubted)

    def matches(self, given: str) -> bool:
        """Whether this is one of them; how long that takes tells nothing of them."""
        digest = _digest(given)
        found = False
        for good in self._good.values():
            found |= hmac.compare_digest(digest, good)
        return found

    def take(self, looks: Sequence[Look]) -> list[str]:
        """Go by what was found, all of it at once: these tokens are good now, and no others.

        One that was good and about which something is wrong now is good until it is so again.

        Returns:
            What was wrong, one text each, without anything of a token.
        """
        before, doubted = self._good, self._doubted
        good = {each.source: each.known for each in looks if each.known}
        odd = {each.source for each in looks if each.wrong} & before.keys() - doubted
        self._good = good | {source: before[source] for source in odd if source not in good}
        self._doubted = frozenset(odd)
        self._set = bool(looks)
        return [each.wrong for each in looks if each.wrong and each.source not in odd]

    def keep(self, sources: Iterable[SecretSource]) -> None:
        """Forget every token but these, at once; those that are new are good once they are read."""
        kept = set(sources)
        self._good = {source: known for source, known in self._good.items() if source in kept}
        self._doubted &= kept
        self._set = bool(kept)


def look(sources: Iterable[SecretSource]) -> tuple[Look, ...]:
    """Read them all now. Blocks."""
    return tuple(map(_look, sources))


def _look(source: SecretSource) -> Look:
    try:
        text = source.read().reveal()
    except ValueError as error:
        return Look(source, wrong=str(error))
    if weakness := weak(text):
        return Look(source, wrong=f"{place(source)}: {weakness}")
    return Look(source, _digest(text))


def weak(token: str) -> str:
    """Why a token is too easy to guess, and how to make one that is not; `""` where it is good."""
    size = len(token.encode())
    letters = "".join(filter(str.isalnum, token)).casefold()
    if "changeme" in letters or len(set(token)) < _FEWEST:
        found = "found one that can be guessed"
    elif size < SHORTEST:
        found = f"found {size} bytes"
    else:
        return ""
    return f"{found}, wanted {SHORTEST} random bytes at least, such as: openssl rand -hex 32"


def place(source: SecretSource) -> str:
    """Where a token is, for people."""
    return str(source.file) if source.file else f"the environment's variable {source.env}"


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
