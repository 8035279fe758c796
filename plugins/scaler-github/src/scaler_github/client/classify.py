"""What an answer means: one table for every call (A8 of the wire facts), and a text for people."""

from __future__ import annotations

import enum
import math
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from scaler_github.client import rights, types

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scaler_github.client.transport import Response

SHORTEST_WAIT, LONGEST_WAIT, UNTOLD_WAIT = 1.0, 3600.0, 60.0
_LONGEST_TEXT, _LONGEST_READ = 200, 4096
# What tokens and configurations look like
_SECRET = re.compile(
    r"(?i:\b(?:Bearer|RemoteAuth)\s+\S+)|eyJ[\w-]*(?:\.[\w-]*)*|\bgh[a-z]_\w+|\bgithub_pat_\w+"
    r"|[A-Za-z0-9+/_-]{41,}={0,2}"
)


class Kind(enum.Enum):
    """What to do about an answer."""

    OK = "ok"
    RETRY = "retry"  #: the other side, or the way there, is ill: again with growing pauses
    WAIT = "wait"  #: a rate limit: exactly as told, for all callers of the credential
    REFRESH = "refresh"  #: the token is stale: renew it, then once more
    CREDENTIAL = "credential"  #: the credential lacks a right; only a person can mend it
    GONE = "gone"  #: session, scale set, runner or message does not exist
    CONFLICT = "conflict"  #: another one holds the session
    BUSY = "busy"  #: the runner is running a job
    EXISTS = "exists"  #: the name is taken
    BUG = "bug"  #: GitHub does not understand us: fail this operation only


@dataclass(frozen=True, slots=True)
class Verdict:
    """The class of an answer. `wait` is the shortest pause before the next try, in seconds.

    Attributes:
        type: The service's exception type, where the answer named one.
        told: Whether GitHub told how long to wait; otherwise `wait` is a guess.
        row: The row of the table that decided.
        step: Which step of signing in failed, where it was one.
    """

    kind: Kind
    text: str = ""
    wait: float = 0.0
    request_id: str = ""
    status: int = 0
    type: str = ""
    told: bool = False
    row: str = ""
    step: str = ""


class GitHubError(Exception):
    """A call that did not succeed. Its text is for people and holds no secret."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.text)
        self.verdict = verdict

    @property
    def kind(self) -> Kind:
        """What to do about it."""
        return self.verdict.kind

    @property
    def wait(self) -> float:
        """The shortest pause before the next try, in seconds."""
        return self.verdict.wait


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the table's rows look at.

    Attributes:
        type: The service's exception type, `Namespace.Type, Assembly`; matched as a substring.
        message: Lower-case.
    """

    status: int
    headers: Mapping[str, str]
    type: str
    message: str

    @property
    def limited(self) -> bool:
        """Whether it says that too much was asked for."""
        return (
            self.headers.get("x-ratelimit-remaining") == "0"
            or "retry-after" in self.headers
            or "secondary rate limit" in self.message
        )

    def is_type(self, *parts: str) -> bool:
        """Whether its type is one of these."""
        return any(part in self.type for part in parts)


#: The one table: the first row that fits an answer is its class.
TABLE: tuple[tuple[str, Callable[[_Answer], bool], Kind], ...] = (
    ("2xx", lambda a: 200 <= a.status < 300, Kind.OK),
    ("5xx, 408", lambda a: a.status >= 500 or a.status == 408, Kind.RETRY),
    ("429", lambda a: a.status == 429, Kind.WAIT),
    ("403 with a limit", lambda a: a.status == 403 and a.limited, Kind.WAIT),
    ("401", lambda a: a.status == 401, Kind.REFRESH),
    ("a job runs", lambda a: a.is_type("JobStillRunning"), Kind.BUSY),
    (
        "a job runs, in words",
        lambda a: a.status in (400, 422) and "still running a job" in a.message,
        Kind.BUSY,
    ),
    ("another session", lambda a: a.is_type("SessionConflict"), Kind.CONFLICT),
    ("a name that exists", lambda a: a.is_type("AgentExists", "ScaleSetExists"), Kind.EXISTS),
    (
        "a name that exists, in words",
        lambda a: a.status in (409, 422) and "already exists" in a.message,
        Kind.EXISTS,
    ),
    (
        "something that is gone",
        lambda a: a.is_type("AgentNotFound", "ScaleSetNotFound", "SessionNotFound"),
        Kind.GONE,
    ),
    ("403", lambda a: a.status == 403, Kind.CREDENTIAL),
    ("404, 410", lambda a: a.status in (404, 410), Kind.GONE),
    ("409", lambda a: a.status == 409, Kind.CONFLICT),
    ("anything else", lambda a: True, Kind.BUG),
)


def classify(response: Response, what: str, *, secret: bool = False, now: float = 0.0) -> Verdict:
    """The class of an answer to `what` (a short text such as "list runners").

    Args:
        secret: The call is about tokens: nothing of the body may be shown.
        now: Unix seconds, for a rate limit's reset where the answer carries no Date.
    """
    status = response.status
    if 200 <= status < 300:
        return Verdict(Kind.OK, status=status, row=TABLE[0][0])
    type_name, message = _error(response.body)
    answer = _Answer(status, response.headers, type_name, message.lower())
    row, kind = next((name, kind) for name, fits, kind in TABLE if fits(answer))
    wait, told = 0.0, False
    if kind is Kind.WAIT:
        seconds = _told(response.headers, now)
        wait, told = _clamp(UNTOLD_WAIT if seconds is None else seconds), seconds is not None
    elif kind is Kind.RETRY and "retry-after" in response.headers:
        wait = _clamp(_retry_after(response.headers, now) or 0.0)
    request = request_id(response.headers)
    detail = "" if secret else _shown(response.body, type_name, message)
    text = f"GitHub answered {status} to {what}"
    if kind is Kind.WAIT:
        text += f", a rate limit: {wait:.0f} s to wait"
    if detail:
        text += f": {detail}"
    if kind is Kind.CREDENTIAL and (missing := rights.missing(response.headers)):
        text += f": {missing}"
    if 300 <= status < 400:
        text += ": it has moved; look whether url names it as GitHub does now"
    if request:
        text += f" (request {request})"
    return Verdict(kind, text, wait, request, status, type_name, told, row)


def _error(body: bytes) -> tuple[str, str]:
    """Type name and message of an error body, whichever of the five forms it has."""
    try:
        plain = types.decode(body)
    except ValueError:  # HTML, text or nothing: the status alone decides then
        return "", ""
    if not isinstance(plain, dict):
        return "", ""
    type_name = plain.get("typeName")
    message = plain.get("message") or plain.get("errorMessage") or plain.get("errorKind")
    return (
        type_name if isinstance(type_name, str) else "",
        message if isinstance(message, str) else "",
    )


def _shown(body: bytes, type_name: str, message: str) -> str:
    message = message[:_LONGEST_READ]
    if not message and not type_name:
        start = body[: _LONGEST_TEXT * 4].decode(errors="replace").strip()
        if not start or start.startswith(("<", "{", "[")):
            return "a web page" if start.startswith("<") else ""
        message = start
    short_type = type_name.partition(",")[0].rpartition(".")[2]
    text = ": ".join(part for part in (short_type[:_LONGEST_TEXT], message) if part)
    text = _SECRET.sub("***", text)  # an error may quote what was sent
    return "".join(c for c in " ".join(text.split()) if c.isprintable())[:_LONGEST_TEXT]


def request_id(headers: Mapping[str, str]) -> str:
    """The number by which GitHub's support finds a request; the services name it differently."""
    for name in ("x-github-request-id", "activityid", "x-vss-e2eid"):
        value = _SECRET.sub("***", headers.get(name, "")[:_LONGEST_READ])
        if value := "".join(c for c in value if c.isascii() and c.isprintable()):
            return value[:80]
    return ""


def _told(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds to wait, where the answer tells."""
    told = [_retry_after(headers, now)] if "retry-after" in headers else []
    if headers.get("x-ratelimit-remaining") == "0":
        told.append(until_reset(headers, now))
    return max((seconds for seconds in told if seconds is not None), default=None)


def until_reset(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds until the primary limit's count starts anew, by GitHub's clock."""
    reset = _number(headers.get("x-ratelimit-reset", ""))
    return None if reset is None else reset - server_time(headers, now)


def _retry_after(headers: Mapping[str, str], now: float) -> float | None:
    text = headers.get("retry-after", "")
    seconds = _number(text)
    if seconds is not None:
        return seconds
    when = _http_date(text)
    return None if when is None else when - server_time(headers, now)


def _number(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _http_date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):  # a header that is no date counts as none
        return None


def server_time(headers: Mapping[str, str], now: float) -> float:
    """GitHub's own clock: ours may be wrong, and only differences matter."""
    when = _http_date(headers.get("date", ""))
    return now if when is None else when


def _clamp(seconds: float) -> float:
    if not math.isfinite(seconds):
        return UNTOLD_WAIT
    return min(max(seconds, SHORTEST_WAIT), LONGEST_WAIT)
