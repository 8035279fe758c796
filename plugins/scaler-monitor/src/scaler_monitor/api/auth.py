"""Who knows the token."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from quart import request

from scaler_monitor.errors import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scaler_monitor.site import Site

_CREDENTIALS = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([^ ]+) *")


def required(site: Site) -> None:
    """Let the request in hand pass if it shows the token.

    Raises:
        Failure: See `check`.
    """
    check(request.headers.getlist("Authorization"), site.tokens.matches)


def check(headers: Sequence[str], matches: Callable[[str], bool]) -> None:
    """Let a request with these `Authorization` headers pass, or not.

    Args:
        headers: As the server decodes them, which is byte by byte (ISO 8859-1).
        matches: Whether a token is good.

    Raises:
        Failure: 401: there is not exactly one header with a bearer token. 403: the token is wrong.
    """
    match = _CREDENTIALS.fullmatch(headers[0]) if len(headers) == 1 else None
    if match is None:
        raise Failure(401, "no-token", "wanted one header: Authorization: Bearer TOKEN")
    given = match[1].encode("latin-1", "replace").decode(errors="surrogateescape")
    if not matches(given):
        raise Failure(403, "wrong-token", "the token is not one of this scaler")
