"""Settings' own types: durations, sizes and secrets."""

from __future__ import annotations

import hmac
import re

_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)(ms|s|m|h|d))+", re.ASCII)
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.ASCII)
_BYTES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class Duration(float):
    """A length of time in seconds, written with units: `"500ms"`, `"30s"`, `"1h30m"`."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Read a duration; raise ValueError where a unit is missing or unknown."""
        if not _DURATION.fullmatch(text):
            raise ValueError('a duration with a unit, such as "30s", "5m" or "1h30m"')
        return cls(sum(float(n) * _SECONDS[unit] for n, unit in _DURATION_PART.findall(text)))

    def __str__(self) -> str:
        """Write it the way that settings do: the largest units first, without zeros."""
        rest, parts = round(float(self) * 1000), []
        for unit, scale in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
            count, rest = divmod(rest, scale)
            if count:
                parts.append(f"{count}{unit}")
        if rest:
            parts.append(f"{rest}ms")
        return "".join(parts) or "0s"


class Size(int):
    """An amount of bytes, written as a string with units of 1024: `"512M"`, `"4G"`, `"4GiB"`."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Size:
        """Read a size; raise ValueError where it is not one."""
        match = _SIZE.fullmatch(text.strip())
        if not match:
            raise ValueError('a size with a unit, such as "512M" or "4G"')
        return cls(round(float(match[1]) * _BYTES[match[2]]))

    def __str__(self) -> str:
        """Write it with the largest unit that divides it."""
        for unit in "TGMK":
            if self and self % _BYTES[unit] == 0:
                return f"{int(self) // _BYTES[unit]}{unit}"
        return f"{int(self)}B"


class Secret:
    """A text that prints as `***`: it cannot end in a log, a traceback or a page by accident."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself. Hand it on only to who must have it."""
        return self._text

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled")
