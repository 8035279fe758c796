"""What was kept of runners and of images that could not be made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quart import Blueprint, Response, request

from scaler_monitor.api import auth, params
from scaler_monitor.api.gate import Gate
from scaler_monitor.api.outcomes import unknown_profile
from scaler_monitor.errors import Failure
from scaler_monitor.serving.addresses import caller

if TYPE_CHECKING:
    from scaler_monitor.site import Site

# Each is read from a disk
PLACES = 4
QUEUE = 16
ADDRESS = (2.0, 20)  # items a second for long, and at once

_TYPES = {"txt": "text/plain; charset=utf-8", "log": "text/plain; charset=utf-8"}
_TYPES["png"] = "image/png"
_OTHER = "application/octet-stream"
# A guest may have written it: whatever it is, it runs nothing and asks for nothing
_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"


def routes(site: Site) -> Blueprint:
    """`/runner/…/kept/…` and `/profile/…/kept/…`."""
    blueprint = Blueprint("kept", __name__)
    context = site.context
    gate = Gate(places=PLACES, queue=QUEUE, buckets={"address": ADDRESS})

    async def item(subject: int | str, name: str) -> Response:
        if all(each.name != name for each in context.kept(subject)):
            raise _none()
        async with gate.through({"address": caller(site.peer())}):
            data = await context.evidence(subject, name)
        if data is None:
            raise _none()
        response = Response(data, content_type=_TYPES.get(name.rpartition(".")[2], _OTHER))
        response.headers["Cache-Control"] = "no-store"
        response.headers["Content-Security-Policy"] = _POLICY
        return response

    def may_look() -> None:
        if site.config.screenshots_need_token:
            auth.required(site)

    @blueprint.get("/runner/<number>/kept/<name>")
    async def of_runner(number: str, name: str) -> Response:
        may_look()
        params.read(request.query_string, required={})
        runner = params.runner_id(number)
        if runner is None:
            raise Failure(404, "unknown-runner", "there is no such runner")
        return await item(runner, name)

    @blueprint.get("/profile/<key>/kept/<name>")
    async def of_profile(key: str, name: str) -> Response:
        may_look()
        params.read(request.query_string, required={})
        if key not in context.profiles:
            raise unknown_profile(key)
        return await item(key, name)

    return blueprint


def _none() -> Failure:
    return Failure(404, "not-kept", "nothing of that name is kept of it, or not any more")
