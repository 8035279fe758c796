"""What this API is, for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quart import Blueprint

if TYPE_CHECKING:
    from scaler_monitor.site import Site


def routes(site: Site) -> Blueprint:
    """None yet."""
    return Blueprint("openapi", __name__)
