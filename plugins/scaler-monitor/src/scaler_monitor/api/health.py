"""Whether it lives, and whether it is well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quart import Blueprint, Response, request

from scaler_monitor.api import params
from scaler_monitor.errors import answer
from scaler_monitor.page import dashboard

if TYPE_CHECKING:
    from scaler_monitor.site import Site


def routes(site: Site) -> Blueprint:
    """`/healthz` and `/readyz`."""
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/healthz")
    async def healthz() -> Response:
        params.read(request.query_string, required={})
        return answer({"ok": True})

    @blueprint.get("/readyz")
    async def readyz() -> Response:
        params.read(request.query_string, required={})
        found = dashboard.unready(site.recent_view())
        return answer({"ready": not found, "problems": found}, 503 if found else 200)

    return blueprint
