"""Pictures of machines' screens."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from quart import Blueprint, Response, request
from werkzeug.exceptions import MethodNotAllowed

from scaler_monitor.api import auth, params
from scaler_monitor.api.gate import Gate
from scaler_monitor.api.outcomes import told, unknown_profile
from scaler_monitor.errors import Failure
from scaler_monitor.serving.addresses import caller

if TYPE_CHECKING:
    from scaler import Machine, Picture, View
    from scaler_monitor.site import Site

ANEW = {"v": params.VERSION}

# Taking one is work for a hypervisor
PLACES = 4
QUEUE = 16
ADDRESS = (1.0, 10)  # pictures a second for long, and at once


def routes(site: Site) -> Blueprint:
    """`/profile/…/screenshot.png` and `/runner/…/screenshot…`."""
    blueprint = Blueprint("shots", __name__)
    context = site.context
    machines = _Machines()
    gate = Gate(places=PLACES, queue=QUEUE, buckets={"address": ADDRESS})

    def may_look() -> None:
        if site.config.screenshots_need_token:
            auth.required(site)

    @blueprint.get("/profile/<key>/screenshot.png")
    @blueprint.get("/profile/<key>/screenshot", endpoint="of_builder_short")
    async def of_builder(key: str) -> Response:
        may_look()
        params.read(request.query_string, required={}, optional=ANEW)
        if key not in context.profiles:
            raise unknown_profile(key)
        return await _picture(context.picture(key))

    @blueprint.get("/runner/<number>/screenshot.png")
    @blueprint.get("/runner/<number>/screenshot", endpoint="of_runner_short")
    async def of_runner(number: str) -> Response:
        may_look()
        params.read(request.query_string, required={}, optional=ANEW)
        runner = params.runner_id(number)
        picture = None if runner is None else context.picture(runner)
        if picture is None and not machines.there(runner, site.recent_view()):
            raise Failure(404, "unknown-runner", "there is no such runner")
        return await _picture(picture)

    @blueprint.get("/runner/<number>/screenshot/now")
    async def now(number: str) -> Response:
        may_look()
        if request.method != "GET":  # HEAD would have one taken for nothing
            raise MethodNotAllowed(["GET"])
        params.read(request.query_string, required={})
        runner = params.runner_id(number)
        machine = None if runner is None else machines.of(runner, site.recent_view())
        if machine is None:
            raise Failure(404, "unknown-runner", "there is no such runner with a machine")
        async with gate.through({"address": caller(site.peer())}):
            try:
                with told():
                    picture = await context.screenshot(machine)
            except LookupError:
                raise _none() from None
        return await _picture(picture)

    return blueprint


class _Machines:
    """Every runner's machine by its id; made anew only when the view is another one."""

    def __init__(self) -> None:
        self._view: View | None = None
        self._by_runner: dict[int | None, Machine | None] = {}

    def of(self, runner: int, view: View) -> Machine | None:
        return self._in(view).get(runner)

    def there(self, runner: int | None, view: View) -> bool:
        return runner in self._in(view)

    def _in(self, view: View) -> dict[int | None, Machine | None]:
        if view is not self._view:
            self._view = view
            self._by_runner = {each.id: each.machine for each in view.runners}
        return self._by_runner


async def _picture(picture: Picture | None) -> Response:
    if picture is None:
        raise _none()
    response = Response(picture.png, content_type="image/png")
    response.set_etag(picture.etag)
    response.last_modified = datetime.fromtimestamp(int(picture.time), UTC)
    response.headers["Cache-Control"] = "private, no-cache"
    await response.make_conditional(request)
    return response


def _none() -> Failure:
    return Failure(404, "no-picture", "there is no picture of it")
