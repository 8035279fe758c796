"""Takes secrets out of what guests wrote. Pure.

What a machine was given is not kept anywhere in clear; its SHA-256 is, and finds it again.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

CUT = b"[cut out]"
SHORTEST = 20  # characters of a secret: shorter ones are not handed out
LONG = 200  # characters of base64 in a row that are a config, or part of one, whosoever

_WORD = rb"[A-Za-z0-9_+/=-]"
# one that was wrapped goes on in the next line, where lines are about as wide as they ever are
_BLOCK = re.compile(
    rb"%(word)s{%(shortest)d,}(?:(?<=%(word)s{60})\r?\n%(word)s+)*"
    % {b"word": _WORD, b"shortest": SHORTEST}
)
_BREAK = re.compile(rb"\r?\n")
_SEPARATOR = re.compile(rb"[=/]")


def cut(text: bytes, digests: Collection[str]) -> bytes:
    """The text without secrets.

    Args:
        text: Anything.
        digests: Of secrets that it may hold: SHA-256 as hex. Empty ones are nobody's.
    """
    wanted = {digest for digest in digests if digest}

    def replace(found: re.Match[bytes]) -> bytes:
        block = found[0]
        joined = _BREAK.sub(b"", block)
        if len(joined) > LONG:
            return CUT
        for secret in _candidates(joined):
            if hashlib.sha256(secret).hexdigest() in wanted:
                return (
                    joined.replace(secret, CUT) if joined != block else block.replace(secret, CUT)
                )
        return _cut_lines(block, wanted)

    return _BLOCK.sub(replace, text)


def _cut_lines(block: bytes, wanted: Collection[str]) -> bytes:
    for line in _BREAK.split(block):
        for secret in _candidates(line):
            if hashlib.sha256(secret).hexdigest() in wanted:
                block = block.replace(secret, CUT)
    return block


def _candidates(word: bytes) -> Iterator[bytes]:
    """The parts of a word that may be a secret: all of it, or what stands round a separator."""
    starts = [0, *(found.end() for found in _SEPARATOR.finditer(word))]
    for start in starts:
        if len(word) - start >= SHORTEST:
            yield word[start:]
            yield word[start:].rstrip(b"=")
            yield _SEPARATOR.split(word[start:], maxsplit=1)[0]
