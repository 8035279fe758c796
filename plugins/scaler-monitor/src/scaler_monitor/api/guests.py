"""What a guest fetches while it boots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quart import Blueprint, Response, request
from werkzeug.exceptions import MethodNotAllowed

from scaler_monitor.api import params
from scaler_monitor.api.outcomes import told
from scaler_monitor.errors import answer

if TYPE_CHECKING:
    from scaler import Guest
    from scaler_monitor.site import Site

SECRET = {"key": params.GUEST_KEY}


def routes(site: Site) -> Blueprint:
    """`/boot` and `/github-jitconfig`."""
    blueprint = Blueprint("guests", __name__)

    def guest() -> Guest:
        asked = params.read(request.query_string, required={}, optional=SECRET)
        with told():
            return site.context.guest(site.peer(), asked.get("key"))

    @blueprint.get("/boot")
    async def boot() -> Response:
        found = guest()
        with told():
            script = await found.boot()
        return Response(script, content_type="text/plain; charset=utf-8")

    @blueprint.get("/github-jitconfig")
    async def github_jitconfig() -> Response:
        if request.method != "GET":  # HEAD would use it up, and give nothing
            raise MethodNotAllowed(["GET"])
        found = guest()
        with told():
            config = await found.registration()
        return answer(config.reveal())

    return blueprint
