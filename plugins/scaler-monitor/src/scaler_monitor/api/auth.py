"""Who knows the token."""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING

from scaler_monitor.errors import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scaler import Secret

_CREDENTIALS = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([^ ]+) *")


def check(headers: Sequence[str], tokens: Iterable[Secret]) -> None:
    """Let a request with these `Authorization` headers pass, or not.

    Args:
        headers: As the server decodes them, which is byte by byte (ISO 8859-1).
        tokens: Any of them is good.

    Raises:
        Failure: 401: there is not exactly one header with a bearer token. 403: the token is wrong.
    """
    match = _CREDENTIALS.fullmatch(headers[0]) if len(headers) == 1 else None
    if match is None:
        raise Failure(401, "no-token", "wanted one header: Authorization: Bearer TOKEN")
    given = match[1].encode("latin-1", "replace")
    good = False
    for token in tokens:  # to the last one: how long it takes says nothing
        good |= hmac.compare_digest(given, token.reveal().encode())
    if not good:
        raise Failure(403, "wrong-token", "the token is not the one of this scaler")
