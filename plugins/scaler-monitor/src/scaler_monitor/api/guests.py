"""What guests fetch while they boot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quart import Blueprint

if TYPE_CHECKING:
    from scaler_monitor.site import Site


def routes(site: Site) -> Blueprint:
    """None yet."""
    return Blueprint("guests", __name__)
