"""Requests as a client must write them, and no larger than a client of ours needs.

h11 forgives what the standard lets a server forgive. Where a proxy in front forgives otherwise, the
two see different requests in the same bytes; so nothing is forgiven here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import h11

if TYPE_CHECKING:
    from h11._events import Event  # what next_event answers has no public name

TARGET = 8 << 10
"""Bytes of a request's path and query, at most."""
FIELDS = 16 << 10
"""Bytes of a request's headers, at most."""
COUNT = 100
"""Headers of a request, at most."""

_AROUND = 64  # bytes of a request's first line beside its target, at most

_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32} ([!-~]+) HTTP/([0-9])\.([0-9])\r\n")
_END = re.compile(rb"\n\r?\n")  # as h11 finds it
_CONTROL = re.compile(rb"[\0-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n|\n[ \t]")
_LENGTH = re.compile(rb"\ncontent-length[ \t]*:[ \t]*([^\r]*?)[ \t]*\r", re.IGNORECASE)
_CODING = re.compile(rb"\ntransfer-encoding[ \t]*:", re.IGNORECASE)


@dataclass(frozen=True)
class Refusal:
    """Why the head of a request is not read further."""

    status: int
    text: str


_MALFORMED = Refusal(400, "malformed request")
_LONG_TARGET = Refusal(414, f"the path and the query are over {TARGET} bytes")
_LARGE_FIELDS = Refusal(431, f"the headers are over {FIELDS} bytes, or more than {COUNT}")
_VERSION = Refusal(505, "wanted HTTP/1.1")

TEXTS = {each.status: each.text for each in (_MALFORMED, _LONG_TARGET, _LARGE_FIELDS, _VERSION)}
"""What to say, by the status."""


class Strict(h11.Connection):
    """The server's side of a connection that speaks HTTP/1.1 and is never upgraded."""

    def __init__(self) -> None:
        super().__init__(h11.SERVER, max_incomplete_event_size=TARGET + FIELDS + 2 * _AROUND)

    def next_event(self) -> Event | type[h11.NEED_DATA | h11.PAUSED]:
        """See h11."""
        if self.their_state is h11.IDLE:
            refusal = refused(self.trailing_data[0])
            if refusal is not None:
                raise h11.RemoteProtocolError(refusal.text, error_status_hint=refusal.status)
        event = super().next_event()
        if isinstance(event, h11.Request) and any(name == b"upgrade" for name, _ in event.headers):
            kept = [(name, value) for name, value in event.headers if name != b"upgrade"]
            return h11.Request(
                method=event.method,
                target=event.target,
                headers=kept,
                http_version=event.http_version,
            )
        return event


def refused(data: bytes) -> Refusal | None:
    """What is wrong with the head of a request, of which this much has come."""
    line = data.find(b"\n") + 1
    if not line:
        return _LONG_TARGET if len(data) > TARGET + _AROUND else None
    if line > TARGET + _AROUND:
        return _LONG_TARGET
    match = _LINE.fullmatch(data, 0, line)
    if match is None:
        return _MALFORMED
    if match[2] != b"1" or match[3] not in b"01":
        return _VERSION
    if len(match[1]) > TARGET:
        return _LONG_TARGET
    if not match[1].startswith(b"/"):
        return _MALFORMED
    end = _END.search(data, line - 1)
    fields = data[line - 1 : end.end() if end else len(data)]
    if len(fields) > FIELDS or fields.count(b"\n") - 2 > COUNT:
        return _LARGE_FIELDS
    if end is None:
        return None
    return _MALFORMED if _ambiguous(b"\r" + fields, match[3] == b"0") else None


def _ambiguous(fields: bytes, old: bool) -> bool:
    """Whether somebody else may see another request in it: another line, or another end."""
    if _CONTROL.search(fields):
        return True
    lengths = _LENGTH.findall(fields)
    codings = len(_CODING.findall(fields))
    if lengths and (len(lengths) > 1 or codings or not lengths[0].isdigit()):
        return True
    return codings > 1 or (codings == 1 and old)
