"""What a plugin raised or answered, as one line: a hostile exception or answer cannot break it."""

from __future__ import annotations

from scaler.log import printable

LONGEST = 200  # characters of an answer that are told
LONGEST_ERROR = 2000  # characters of an error that are told


def said(error: BaseException) -> str:
    """An exception as its type and what it says; of a group of one, the one."""
    try:
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        kind = type(error).__name__
        text = _text(error)
    except BaseException:  # its `__str__` is a plugin's, and may raise anything
        return f"{type(error).__name__} (which cannot be printed)"
    return f"{kind}: {text}" if text else kind


def told(error: BaseException) -> str:
    """What an exception says, without its type."""
    try:
        return _text(error)
    except BaseException:
        return f"{type(error).__name__} (which cannot be printed)"


def _text(error: BaseException) -> str:
    text = "".join((str(error),))  # plain text, also where that is of a class of a plugin's
    return _cut(text.strip(), LONGEST_ERROR)


def shown(answer: object) -> str:
    """An answer in at most 200 printable characters; secrets print themselves as `***`."""
    if isinstance(answer, (bytes, bytearray)):
        return f"{len(answer)} bytes"
    try:
        text = repr(answer)
    except BaseException:  # its `__repr__` is a plugin's, and may raise anything
        return f"{type(answer).__name__} (which cannot be printed)"
    return _cut(printable(_cut(text, LONGEST)), LONGEST)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
