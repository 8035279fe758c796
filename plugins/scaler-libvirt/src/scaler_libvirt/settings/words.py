"""What a text in the settings may be, with words for what it may not."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_PLAIN = re.compile(r"[!#-\[\]^_a-z{|}~]+", re.ASCII | re.IGNORECASE)  # no quotes
_VOLUME = re.compile(r"[^/\s][^/]*")


def line(field: str, text: str) -> None:
    """See that a text is one line of characters that XML can hold.

    Raises:
        ValueError: It is not; the text begins with the field, for whoever shows it there.
    """
    if found := _CONTROL.search(text):
        raise ValueError(f"{field}: found the character {found[0]!r}, wanted one line of text")


def path(field: str, text: str, *, volume: bool = False) -> None:
    """See that a text, unless empty, is a path on the hypervisor, or a volume's name.

    Raises:
        ValueError: It is neither.
    """
    line(field, text)
    if not text or text.startswith("/") or (volume and _VOLUME.fullmatch(text)):
        return
    wanted = "an absolute path on the hypervisor"
    if volume:
        wanted += ", or the name of a volume in the host's pool"
    raise ValueError(f"{field}: found {text!r}, wanted {wanted}")


def url(field: str, text: str) -> None:
    """See that a text, unless empty, is what a guest can put `boot` behind.

    Raises:
        ValueError: It is not.
    """
    line(field, text)
    if not text:
        return
    if not _reachable(text):
        raise ValueError(
            f'{field}: found {text!r}, wanted a URL such as "http://192.168.122.1:8000/"'
        )


def _reachable(text: str) -> bool:
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return (
        good
        and _PLAIN.fullmatch(text) is not None
        and not (parts.query or parts.fragment or "@" in parts.netloc)
    )
