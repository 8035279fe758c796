"""What every answer carries, also those that no route made."""

from __future__ import annotations

from werkzeug.http import HTTP_STATUS_CODES

SAFE = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""For whatever sets none of its own."""


def named(status: int) -> str:
    """The short code of a status."""
    return HTTP_STATUS_CODES.get(status, "error").lower().replace(" ", "-")
