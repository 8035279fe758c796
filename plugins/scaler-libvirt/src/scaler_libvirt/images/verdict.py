"""What the end of a machine that built or tried an image says about the image. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from scaler import printable

if TYPE_CHECKING:
    from scaler_libvirt.images.hosts import Role

# what a terminal would take as a command: colours, above all
_COMMAND = re.compile(rb"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|.)")
_LINE = re.compile(rb"^scaler: (built|ok|failed)\b:?[ \t]*(.*)$", re.MULTILINE)
_LONGEST = 300
_PROOF = {"builder": "built", "smoke": "ok"}


@dataclass(frozen=True)
class Verdict:
    """Whether it is good.

    Attributes:
        outcome: `cut`: nobody can tell, since nobody saw its end.
        why: For people, where it is not good.
    """

    outcome: Literal["good", "bad", "cut"]
    why: str = ""


def judge(role: Role, clean: bool | None, why: str, log: bytes, nonce: str) -> Verdict:
    """Judge by how it ended and what it said.

    One that builds has powered itself off, or said so if nobody saw it. One that tries has to show
    that it works: to power off proves nothing.

    Args:
        role: What it did.
        clean: Whether it powered itself off; None: nobody saw it.
        why: How it ended, in words.
        log: The end of what it wrote to its serial port.
        nonce: What it was given, to be said with `built` or `ok`.
    """
    word, text = last_words(log)
    if word == "failed":
        return Verdict("bad", f"it said that it failed: {text or 'no reason'}")
    proven = word == _PROOF[role] and bool(nonce) and text == nonce
    if clean is False and not (proven and role == "smoke"):
        return Verdict("bad", f"it did not power itself off: {why}")
    if proven or (clean and role == "builder"):
        return Verdict("good")
    if clean is None:
        return Verdict("cut", "it ended while nobody looked, and did not say how it went")
    return Verdict("bad", "it powered itself off and had not shown that it works")


def last_words(log: bytes) -> tuple[str, str]:
    """The last thing that it said to us: `built`, `ok`, `failed` or nothing, and what with it."""
    found = _LINE.findall(_COMMAND.sub(b"", log).replace(b"\r", b""))
    if not found:
        return "", ""
    word, text = found[-1]
    return word.decode(), printable(text.decode("utf-8", "replace").strip())[:_LONGEST]
