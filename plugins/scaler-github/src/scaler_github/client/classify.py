"""What an answer means: one table for every call (A8 of the wire facts), and a text for people."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from scaler_github.client import types

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler_github.client.transport import Response
    from scaler_github.client.urls import Scope

SHORTEST_WAIT, LONGEST_WAIT, UNTOLD_WAIT = 1.0, 3600.0, 60.0
_LONGEST_TEXT = 200


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
    """The class of an answer. `wait` is the shortest pause before the next try, in seconds."""

    kind: Kind
    text: str = ""
    wait: float = 0.0
    request_id: str = ""
    status: int = 0


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


# Matched as substrings, since the service writes `Namespace.Type, Assembly`; the first one wins
_TYPES = (
    ("JobStillRunning", Kind.BUSY),
    ("SessionConflict", Kind.CONFLICT),
    ("AgentExists", Kind.EXISTS),
    ("RunnerScaleSetExists", Kind.EXISTS),
    ("AgentNotFound", Kind.GONE),
    ("ScaleSetNotFound", Kind.GONE),
    ("SessionNotFound", Kind.GONE),
)


def classify(response: Response, what: str, *, secret: bool = False, now: float = 0.0) -> Verdict:
    """The class of an answer to `what` (a short text such as "list runners").

    Args:
        secret: The call is about tokens: nothing of the body may be shown.
        now: Unix seconds, for a rate limit's reset where the answer carries no Date.
    """
    status = response.status
    if 200 <= status < 300:
        return Verdict(Kind.OK, status=status)
    type_name, message = _error(response.body)
    kind = _kind(status, response.headers, type_name, message)
    wait = 0.0
    if kind is Kind.WAIT:
        wait = _clamp(_told(response.headers, now))
    elif kind is Kind.RETRY and "retry-after" in response.headers:
        wait = _clamp(_retry_after(response.headers, now))
    request_id = _request_id(response.headers)
    detail = "" if secret else _shown(response.body, type_name, message)
    text = f"GitHub answered {status} to {what}"
    if kind is Kind.WAIT:
        text += f", a rate limit: {wait:.0f} s to wait"
    if detail:
        text += f": {detail}"
    if request_id:
        text += f" (request {request_id})"
    return Verdict(kind, text, wait, request_id, status)


def _kind(status: int, headers: Mapping[str, str], type_name: str, message: str) -> Kind:
    if status >= 500 or status == 408:
        return Kind.RETRY
    limited = headers.get("x-ratelimit-remaining") == "0" or "retry-after" in headers
    if status == 429 or (status == 403 and (limited or "secondary rate limit" in message.lower())):
        return Kind.WAIT
    if status == 401:
        return Kind.REFRESH
    for part, kind in _TYPES:
        if part in type_name:
            return kind
    if status in (400, 422) and "still running a job" in message.lower():
        return Kind.BUSY
    return {403: Kind.CREDENTIAL, 404: Kind.GONE, 409: Kind.CONFLICT}.get(status, Kind.BUG)


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
    if not message and not type_name:
        start = body[: _LONGEST_TEXT * 4].decode(errors="replace").strip()
        if not start or start.startswith(("<", "{", "[")):
            return "a web page" if start.startswith("<") else ""
        message = start
    short_type = type_name.partition(",")[0].rpartition(".")[2]
    text = ": ".join(part for part in (short_type, message) if part)
    return "".join(c for c in " ".join(text.split()) if c.isprintable())[:_LONGEST_TEXT]


def _request_id(headers: Mapping[str, str]) -> str:
    for name in ("x-github-request-id", "activityid", "x-vss-e2eid"):
        if value := "".join(c for c in headers.get(name, "") if c.isascii() and c.isprintable()):
            return value[:80]
    return ""


def _told(headers: Mapping[str, str], now: float) -> float:
    if "retry-after" in headers:
        return _retry_after(headers, now)
    if headers.get("x-ratelimit-remaining") == "0":
        reset = _number(headers.get("x-ratelimit-reset", ""))
        if reset is not None:
            return reset - server_time(headers, now)
    return UNTOLD_WAIT


def _retry_after(headers: Mapping[str, str], now: float) -> float:
    text = headers.get("retry-after", "")
    seconds = _number(text)
    if seconds is not None:
        return seconds
    when = _http_date(text)
    return UNTOLD_WAIT if when is None else when - server_time(headers, now)


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


_RIGHTS = {
    "organization": ("admin:org", "organization_self_hosted_runners: write"),
    "repository": ("repo", "administration: write"),
    "enterprise": ("manage_runners:enterprise", "enterprise_self_hosted_runners: write"),
}


def missing_right(scope: Scope) -> str:
    """What a token needs to register runners with a scope."""
    classic, fine = _RIGHTS[scope.kind]
    return f"a classic token needs the scope {classic}, a fine-grained one the permission {fine}"
