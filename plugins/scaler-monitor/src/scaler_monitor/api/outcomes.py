"""What the core raises, as answers."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from scaler import GuestAmbiguous, GuestNotReady, GuestUnknown, GuestUsed, Refused, Unavailable
from scaler_monitor.errors import Failure

if TYPE_CHECKING:
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
def told() -> Iterator[None]:
    """Around a call of the core: its expected outcomes become failures of the request."""
    try:
        yield
    except Refused as error:
        raise Failure(_STATUS.get(error.code, 403), error.code, str(error)) from None
    except Unavailable as error:
        after = AGAIN if error.retry_after is None else error.retry_after
        raise Failure(503, "unavailable", str(error), retry_after=after) from None
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
