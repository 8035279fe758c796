"""What the core raises, as answers."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from scaler import GuestAmbiguous, GuestNotReady, GuestUnknown, GuestUsed, Refused, Unavailable
from scaler_monitor.errors import Failure, request_id

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator

AGAIN = 5.0  # seconds after which to ask again, where nobody told

_STATUS = {
    "not-reservable": 409,
    "unique-id-used": 409,
    "override-active": 409,
    "override-idle": 409,
    "too-many": 413,
}


@contextmanager
def told(log: logging.LoggerAdapter[logging.Logger] | None = None) -> Iterator[None]:
    """Around a call of the core: its expected outcomes become failures of the request.

    Args:
        log: Where it is told what another service said, for requests of those who have shown no
            token: they are told no more than that it cannot be decided.
    """
    try:
        yield
    except Refused as error:
        raise Failure(_STATUS.get(error.code, 403), error.code, str(error)) from None
    except Unavailable as error:
        after = AGAIN if error.retry_after is None else error.retry_after
        text = str(error)
        if log is not None:
            log.warning("request %s cannot be decided now: %s", request_id(), text)
            text = "it cannot be decided now; scaler's log says why, under the request's id"
        raise Failure(503, "unavailable", text, retry_after=after) from None
    except GuestAmbiguous as error:
        raise Failure(403, "ambiguous-address", str(error)) from None
    except GuestNotReady as error:
        raise Failure(503, "not-ready", str(error), retry_after=error.retry_after) from None
    except GuestUnknown as error:
        raise Failure(404, "unknown-guest", str(error)) from None
    except GuestUsed as error:
        raise Failure(410, "used", str(error)) from None


def unknown_profile(key: str) -> Failure:
    """There is no such profile."""
    shown = key if len(key) <= 50 else f"{key[:50]}…"
    return Failure(404, "unknown-profile", f"there is no profile {shown!r}")
