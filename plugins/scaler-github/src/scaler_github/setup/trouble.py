"""What the transport's words mean. The one place where they are read: elsewhere they are shown.

Errors of the way are of many libraries, and come as one text that holds no secret. Each of these
is made to happen in the tests, so that a text that is worded anew is found there.
"""

from __future__ import annotations

import enum
import re
from typing import NamedTuple

_CLASS = re.compile(r"^\w+(Error|Timeout): ")
_REFUSED = "the proxy refused: "
_UNKNOWN_NAME = (
    "name or service not known",
    "no address associated",
    "nodename nor servname",
    "no host can have this name",
    "name does not resolve",
)
_NO_NAMES = ("temporary failure in name resolution", "try again")
_SELF_SIGNED = ("self-signed", "self signed", "unable to get local issuer", "unable to get issuer")
_MISMATCH = ("hostname mismatch", "ip address mismatch")
_OUT_OF_DATE = ("expired", "not yet valid")
_SILENT = ("no connection", "no whole answer", "timed out")


class Kind(enum.Enum):
    """What stands in the way."""

    PROXY_ASKS_WHO = enum.auto()  #: the proxy wants a user and a password
    PROXY_FORBIDS = enum.auto()  #: the proxy lets nobody through, to there
    NO_PROXY = enum.auto()  #: the proxy itself cannot be reached
    UNKNOWN_AUTHORITY = enum.auto()
    ANOTHER_NAME = enum.auto()  #: the certificate is for another one
    OUT_OF_DATE = enum.auto()  #: the certificate is over, or does not count yet
    NO_TLS = enum.auto()  #: any other trouble with TLS
    UNKNOWN_NAME = enum.auto()
    NO_NAMES = enum.auto()  #: no name can be looked up
    REFUSED = enum.auto()  #: nothing listens there
    BEHIND_PROXY = enum.auto()  #: the proxy does not get there
    SILENT = enum.auto()
    OTHER = enum.auto()


class Trouble(NamedTuple):
    """What stands in the way, and its words for people."""

    kind: Kind
    words: str


def read(why: str) -> Trouble:
    """What a `TransportError` says.

    Args:
        why: Its text.
    """
    words = _CLASS.sub("", why)
    low = words.lower()
    if low.startswith(_REFUSED):
        words = _CLASS.sub("", words[len(_REFUSED) :])
        asks = words.startswith("407")
        return Trouble(Kind.PROXY_ASKS_WHO if asks else Kind.PROXY_FORBIDS, words)
    if low.startswith("the proxy "):
        return Trouble(Kind.NO_PROXY, words[len("the proxy ") :])
    before, tls, reason = words.rpartition("TLS: ")
    if tls and (not before or before.endswith(" ")):
        return Trouble(_of_tls(reason.lower()), reason)
    last = words.rpartition(": ")[2]  # of `host:port: reason`
    if _any(_UNKNOWN_NAME, low):
        return Trouble(Kind.UNKNOWN_NAME, last)
    if _any(_NO_NAMES, low):
        return Trouble(Kind.NO_NAMES, last)
    if "connection refused" in low:
        return Trouble(Kind.REFUSED, last)
    if " through the proxy " in low:
        return Trouble(Kind.BEHIND_PROXY, words)
    return Trouble(Kind.SILENT if _any(_SILENT, low) else Kind.OTHER, words)


def _of_tls(low: str) -> Kind:
    if _any(_SELF_SIGNED, low):
        return Kind.UNKNOWN_AUTHORITY
    if _any(_MISMATCH, low):
        return Kind.ANOTHER_NAME
    return Kind.OUT_OF_DATE if _any(_OUT_OF_DATE, low) else Kind.NO_TLS


def _any(parts: tuple[str, ...], low: str) -> bool:
    return any(part in low for part in parts)
