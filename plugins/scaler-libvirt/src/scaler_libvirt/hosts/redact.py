"""Takes secrets out of what guests wrote. Pure.

What a machine was given is not kept anywhere in clear; its SHA-256 is, and finds it again. A guest
chose the words, so the time that each of them takes is in proportion to its length, whatever it is.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

CUT = b"[cut out]"
KEY = 32  # characters of a machine's key: see machine.identity.new_key
SHORTEST = 20  # characters of a secret: shorter ones are not handed out
LONG = 200  # characters of base64 in a row that are a config, or part of one, whosoever

_WORD = rb"[A-Za-z0-9_+/=-]"
# one that was wrapped goes on in the next line, where lines are about as wide as they ever are
_BLOCK = re.compile(
    rb"%(word)s{%(shortest)d,}(?:(?<=%(word)s{60})\r?\n%(word)s+)*"
    % {b"word": _WORD, b"shortest": SHORTEST}
)
_BREAK = re.compile(rb"\r?\n")
# a key stands alone or between separators, of which it has none itself
_KEY = re.compile(rb"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{%d}(?![A-Za-z0-9_-])" % KEY)


def cut(text: bytes, digests: Collection[str]) -> bytes:
    """The text without secrets.

    Args:
        text: Anything.
        digests: Of secrets that it may hold: SHA-256 as hex. Empty ones are nobody's.
    """
    wanted = frozenset(digest for digest in digests if digest)

    def replace(found: re.Match[bytes]) -> bytes:
        block = found[0]
        joined = _BREAK.sub(b"", block)
        if len(joined) > LONG:
            return CUT
        clean = _cut_word(joined, wanted)
        if joined == block or clean != joined:
            return clean
        for line in _BREAK.split(block):
            block = block.replace(line, _cut_word(line, wanted))
        return block

    return _BLOCK.sub(replace, text)


def _cut_word(word: bytes, wanted: Collection[str]) -> bytes:
    for secret in _candidates(word):
        if hashlib.sha256(secret).hexdigest() in wanted:
            word = word.replace(secret, CUT)
    return word


def _candidates(word: bytes) -> Iterator[bytes]:
    """The parts of a word that may be a secret: what may be a key, and all of it as a config."""
    yield from _KEY.findall(word)
    for whole in (word, word.partition(b"=")[2]):  # (NAME=config)
        if len(whole) >= SHORTEST:
            yield whole
            yield whole.rstrip(b"=")
