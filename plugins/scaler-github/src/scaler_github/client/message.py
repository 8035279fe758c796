"""A message of the queue, read: whatever of it makes sense, and what was wrong with the rest.

Only an answer without a number is no message. Everything else can be counted, kept and deleted, so
that nothing that GitHub may put into a message keeps those behind it from being received.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from scaler_github.client import types
from scaler_github.client.classify import GitHubError, Kind, Verdict, request_id

if TYPE_CHECKING:
    from scaler_github.client.transport import Response

MESSAGES = "RunnerScaleSetJobMessages"
LARGEST = 4 << 20
MOST_JOBS = 1000  # GitHub sends fifty at most
_LARGEST_COUNTS = 64 << 10
_MOST_FAULTS = 5
_NUMBER = re.compile(rb'\s*\{\s*"messageId"\s*:\s*"?([0-9]{1,19})"?\s*,')


class Unreadable(GitHubError):
    """An answer of the queue that is no message: nothing was received."""


@dataclass(frozen=True, slots=True)
class QueueMessage:
    """What the queue handed out.

    Attributes:
        jobs: The entries that could be read.
        faults: What was wrong with the ones that could not.
        whole: False where the list itself could not be read.
        content: Digest of the jobs: tells two messages with the same number apart.
        digest: Digest of the whole answer, counts included.
        raw: The answer as it came.
    """

    id: int
    type: str
    jobs: tuple[types.JobMessage, ...]
    statistics: types.Statistics | None
    faults: tuple[str, ...]
    whole: bool
    content: str
    digest: str
    raw: bytes


def read_message(response: Response, what: str) -> QueueMessage:
    """Read a message. Raises Unreadable where the answer is none at all."""
    raw = response.body
    try:
        envelope = types.parts(raw, types.Envelope)
        number = types.read(envelope.message_id, types.MessageId)
    except ValueError as error:
        guessed = _number(raw, error)
        if guessed is None:
            raise _unreadable(response, what, error) from None
        digest = _digest(raw)
        return QueueMessage(guessed, "", (), None, (str(error),), False, digest, digest, raw)
    faults: list[str] = []
    kind, content, jobs, whole = "", _digest(raw), list[types.JobMessage](), False
    if len(raw) > LARGEST:
        faults.append(f"it is larger than {LARGEST >> 20} MiB")
    else:
        try:
            kind = _text(envelope.message_type, "messageType")
            body = _text(envelope.body, "body")
            content = _digest(body.encode())
            jobs = _jobs(body, faults) if kind == MESSAGES else []
            whole = True
        except ValueError as error:
            faults.append(str(error))
    counts = _statistics(envelope.statistics, faults)
    return QueueMessage(
        number, kind, tuple(jobs), counts, tuple(faults), whole, content, _digest(raw), raw
    )


def _unreadable(response: Response, what: str, error: ValueError) -> Unreadable:
    request = request_id(response.headers)
    size = len(response.body)
    text = f"the answer to {what} is no message ({size} bytes): {error}"
    if request:
        text += f" (request {request})"
    return Unreadable(Verdict(Kind.RETRY, text, status=response.status))


def _number(raw: bytes, error: ValueError) -> int | None:
    """The number of a message that is JSON, but not such as is read here; else None.

    A message that was cut on its way has none: it comes again.
    """
    if isinstance(error, types.TooDeep):
        found = _NUMBER.match(raw) if raw.rstrip().endswith(b"}") else None
        plain: object = {"messageId": found[1].decode()} if found else None
    else:
        try:
            plain = json.loads(raw.decode(errors="replace"), parse_int=_short)
        except (ValueError, RecursionError):
            return None
    if not isinstance(plain, dict):
        return None
    try:
        return types.convert(plain.get("messageId"), types.MessageId)
    except ValueError:
        return None


def _short(digits: str) -> int | float:
    return int(digits) if len(digits) < 20 else 0.5


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _text(part: msgspec.Raw, name: str) -> str:
    try:
        return types.parts(part, str | None) or ""  # type: ignore[arg-type]
    except ValueError as error:
        raise ValueError(f"its {name}: {error}") from None


def _statistics(part: msgspec.Raw, faults: list[str]) -> types.Statistics | None:
    try:
        if len(memoryview(part)) > _LARGEST_COUNTS:
            raise ValueError("too large")
        plain = types.decode(part)
        return None if plain is None else types.convert(plain, types.Statistics)
    except ValueError as error:
        faults.append(f"its statistics: {error}")
        return None


def _jobs(body: str, faults: list[str]) -> list[types.JobMessage]:
    """The entries that can be read. Raises ValueError where there is no list of them."""
    text = body.removeprefix("\ufeff")
    if not text.strip():
        return []
    try:
        entries = types.parts(text, list[msgspec.Raw])
    except msgspec.ValidationError:
        raise ValueError("its body is not a list") from None
    except ValueError as error:
        raise ValueError(f"its body is not JSON: {error}") from None
    jobs: list[types.JobMessage] = []
    bad: list[str] = []
    for number, entry in enumerate(entries[:MOST_JOBS]):
        try:
            jobs.append(types.read(entry, types.JobMessage))
        except ValueError as error:
            bad.append(f"entry {number}: {error}")
    faults += bad[:_MOST_FAULTS]
    if len(bad) > _MOST_FAULTS:
        faults.append(f"{len(bad) - _MOST_FAULTS} more entries that cannot be read")
    if len(entries) > MOST_JOBS:
        left = len(entries) - MOST_JOBS
        faults.append(f"{left} entries after the first {MOST_JOBS} are not looked at")
    return jobs
