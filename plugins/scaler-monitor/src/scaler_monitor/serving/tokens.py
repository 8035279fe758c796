"""The tokens that are good, read again when they change."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scaler import SecretSource

SHORTEST = 32
"""Bytes of a token, at least."""

_FEWEST = 8  # different characters in a token


class Tokens:
    """Any of them opens what needs a token.

    Args:
        sources: Where they are.
    """

    def __init__(self, sources: Iterable[SecretSource] = ()) -> None:
        self._sources = tuple(sources)
        self._good: tuple[bytes, ...] = ()
        self.read()

    def __bool__(self) -> bool:
        """Whether any is set."""
        return bool(self._sources)

    def matches(self, given: str) -> bool:
        """Whether this is one of them; how long that takes tells nothing of them."""
        digest = _digest(given)
        found = False
        for good in self._good:
            found |= hmac.compare_digest(digest, good)
        return found

    def read(self) -> list[str]:
        """Read them now; what cannot be read, or is too weak, is good no longer.

        Returns:
            What was wrong, one text each, without anything of a token.
        """
        good, wrong = [], []
        for source in self._sources:
            try:
                text = source.read().reveal()
            except ValueError as error:
                wrong.append(str(error))
                continue
            if weakness := weak(text):
                wrong.append(f"{place(source)}: {weakness}")
            else:
                good.append(_digest(text))
        self._good = tuple(good)
        return wrong


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
