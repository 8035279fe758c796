"""The policy override: temporary target counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quart import Blueprint, Response, request

from scaler_monitor.api import auth, params
from scaler_monitor.api.outcomes import told, unknown_profile
from scaler_monitor.errors import Failure, answer

if TYPE_CHECKING:
    from scaler_monitor.site import Site


def routes(site: Site) -> Blueprint:
    """`/policy/override`."""
    blueprint = Blueprint("override", __name__)
    context = site.context

    @blueprint.get("/policy/override")
    async def show() -> Response:
        params.read(request.query_string, required={})
        active = site.recent_view().override
        return answer(None if active is None else dict(active.counts))

    @blueprint.post("/policy/override")
    async def begin() -> Response:
        auth.required(site)
        asked = params.counts(request.query_string)
        for key in asked:
            if key not in context.profiles:
                raise unknown_profile(key)
        try:
            with told():
                counts = await context.override(asked, _who(site))
            site.changed()
        except ValueError as error:
            raise Failure(400, "bad-parameter", str(error)) from None
        return answer(None if counts is None else dict(counts))

    @blueprint.delete("/policy/override")
    async def end() -> Response:
        auth.required(site)
        params.read(request.query_string, required={})
        with told():
            counts = await context.override(None, _who(site))
        site.changed()
        return answer(None if counts is None else dict(counts))

    return blueprint


def _who(site: Site) -> str:
    return site.peer() or "a local user"
