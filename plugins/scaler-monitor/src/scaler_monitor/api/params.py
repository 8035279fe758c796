"""What a request may say: names, patterns and bounds, for reading it and for describing it.

Patterns are of ASCII alone: `int()` would take digits of other scripts, spaces and underscores too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from scaler import Duration
from scaler_monitor.errors import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOST_NAMES = 200  # names in one query
MOST = 1_000  # runners that anybody may ask for in one number
SHOWN = 40  # characters of a wrong value that an answer repeats


@dataclass(frozen=True)
class Kind:
    """A kind of parameter.

    Attributes:
        pattern: What its whole text must match; also the pattern in `/openapi.json`, so what
            Python and ECMAScript understand alike.
        wanted: The same, for people.
        longest: Characters that it has at most.
    """

    pattern: str
    wanted: str
    longest: int

    def matches(self, text: str) -> bool:
        """Whether a text is of this kind."""
        return len(text) <= self.longest and bool(re.fullmatch(self.pattern, text, re.ASCII))


UNIQUE_ID = Kind(
    r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
    "a UUID of version 4 in lower case",
    36,
)
QUALIFIED_REPO = Kind(
    r"[A-Za-z0-9-]{1,39}/(?!\.\.?$)[A-Za-z0-9._-]{1,100}", "owner/repository", 140
)
RUN_ID = Kind(r"[1-9][0-9]{0,18}", "the number of a workflow run", 19)
WAIT = Kind(
    r"60s|[1-5]?[0-9](\.[0-9]{1,3})?s|(60000|[1-5]?[0-9]{1,4})ms|[01]m",
    'a duration with a unit, 60s at most, such as "30s"',
    7,
)
COUNT = Kind(r"[1-9][0-9]*", "a whole number from 1 on", 8000)
COUNT_OR_NONE = Kind(r"0|[1-9][0-9]*", "a whole number from 0 on", 8000)
GUEST_KEY = Kind(r"[!-~]{1,256}", "the secret that this guest was made with", 256)
VERSION = Kind(r"[A-Za-z0-9._-]{0,64}", "anything, so that a browser loads it again", 64)
RUNNER_ID = Kind(r"[1-9][0-9]{0,17}", "the number of a runner", 18)


def read(
    query: bytes, *, required: Mapping[str, Kind], optional: Mapping[str, Kind] | None = None
) -> dict[str, str]:
    """The parameters of a query: every required one, and those optional ones that are there.

    Raises:
        Failure: 400: one is missing, malformed, there twice, or unknown. The text names it.
    """
    known = {**required, **(optional or {})}
    found: dict[str, str] = {}
    for name, text in _pairs(query):
        if name not in known:
            wanted = f"wanted {_listed(known)}" if known else "this takes none"
            raise bad(name, f"is not known here: {wanted}")
        if name in found:
            raise bad(name, "is there more than once")
        if not known[name].matches(text):
            raise bad(name, f"found {_shown(text)}, wanted {known[name].wanted}")
        found[name] = text
    for name in required:
        if name not in found:
            raise bad(name, f"is missing: wanted {required[name].wanted}")
    return found


def wait(text: str) -> float:
    """Seconds to stand in line; `text` is a `WAIT`."""
    return float(Duration.parse(text))


def count(text: str) -> int:
    """How many runners a path asks for.

    Raises:
        Failure: 400: it is no number from 1 on. 413: nobody may have so many.
    """
    if not COUNT.matches(text):
        raise bad("count", f"found {_shown(text)}, wanted {COUNT.wanted}")
    return _bounded("count", text)


def counts(query: bytes) -> dict[str, int]:
    """Runners by profile key, of a policy override.

    Raises:
        Failure: 400: one is malformed or there twice, or there is none; the text names it. 413:
            nobody may have so many.
    """
    found: dict[str, str] = {}
    for name, text in _pairs(query):
        if not name:
            raise bad("", "found a count without a name, wanted PROFILE=COUNT")
        if name in found:
            raise bad(name, "is there more than once")
        if not COUNT_OR_NONE.matches(text):
            raise bad(name, f"found {_shown(text)}, wanted {COUNT_OR_NONE.wanted}")
        found[name] = text
    if not found:
        raise Failure(400, "bad-parameter", "the query is empty: wanted PROFILE=COUNT")
    return {name: _bounded(name, text) for name, text in found.items()}


def runner_id(text: str) -> int | None:
    """A runner's id in a path; None where it can be nobody's."""
    return int(text) if RUNNER_ID.matches(text) else None


def bad(name: str, text: str) -> Failure:
    """A parameter is not as wanted."""
    return Failure(400, "bad-parameter", f"{_shown(name)}: {text}")


def _pairs(query: bytes) -> list[tuple[str, str]]:
    try:
        text = query.decode("ascii")
        return parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_NAMES)
    except UnicodeDecodeError:
        raise Failure(400, "bad-parameter", "the query is not of ASCII characters") from None
    except ValueError:
        raise Failure(400, "bad-parameter", f"more than {MOST_NAMES} parameters") from None


def _bounded(name: str, text: str) -> int:
    if len(text) > len(str(MOST)) or int(text) > MOST:
        raise Failure(
            413, "too-many", f"{_shown(name)}: found {_shown(text)}, wanted {MOST} at most"
        )
    return int(text)


def _shown(text: str) -> str:
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}…")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
