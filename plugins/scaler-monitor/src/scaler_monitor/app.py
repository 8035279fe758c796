"""The application behind each door, as a Quart application over a site."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from quart import Quart, Response, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from scaler_monitor import limits
from scaler_monitor.api import (
    guests,
    health,
    kept,
    metrics,
    openapi,
    override,
    reserving,
    shots,
    static,
)
from scaler_monitor.errors import Failure, failure, request_id
from scaler_monitor.page import routes as page
from scaler_monitor.serving.headers import SAFE, named
from scaler_monitor.serving.hosts import Hosts, is_own
from scaler_monitor.site import Door, Site

if TYPE_CHECKING:
    import logging

BODY_TIMEOUT = 10  # seconds that it may take to come

_ROUTES = {
    Door.PEOPLE: (
        *(health.routes, reserving.routes, override.routes, guests.routes, shots.routes),
        *(kept.routes, metrics.routes, openapi.routes, page.routes, static.routes),
    ),
    Door.GUESTS: (guests.routes, static.routes),
}


def build(site: Site, door: Door = Door.PEOPLE) -> Quart:
    """The application behind a door."""
    site = replace(site, door=door)
    app = QuartTrio("scaler_monitor", static_folder=None)
    app.config.update(
        MAX_CONTENT_LENGTH=limits.BODY,
        BODY_TIMEOUT=BODY_TIMEOUT,
        RESPONSE_TIMEOUT=None,  # the connection has a deadline for every piece of an answer
        PROVIDE_AUTOMATIC_OPTIONS=False,
    )
    app.url_map.merge_slashes = False  # a redirect to the right path would be an HTML page
    _guard(app, site)
    _explain(app, site.context.log)
    for routes in _ROUTES[door]:
        app.register_blueprint(routes(site))
    return app


def _guard(app: Quart, site: Site) -> None:
    """What holds for every request."""
    hosts = Hosts.of(site.config, site.listens)

    @app.before_request
    async def read_body() -> None:
        await request.get_data()  # what is left unread leaves its connection hanging

    @app.before_request
    async def refuse_other_spellings() -> Response | None:
        # Routing takes leading slashes for one; a proxy that guards a path may not
        return failure("not-found", 404) if request.scope["path"].startswith("//") else None

    @app.before_request
    async def refuse_unknown_names() -> Response | None:
        host = request.headers.get("Host", "")
        if not host and request.http_version == "1.0":
            return None  # nor does it come from a page of another site
        if hosts.allow(host) or not request.scope.get("client"):
            return None
        return failure("unknown-host", 403, "Host: wanted an address or a name of this service")

    @app.before_request
    async def refuse_other_sites() -> Response | None:
        origin = request.headers.get("Origin")
        if origin is None or is_own(origin, request.headers.get("Host", ""), site.base_url):
            return None
        return failure("foreign-origin", 403)

    @app.after_request
    async def add_headers(response: Response) -> Response:
        present = {name.lower() for name, _ in response.headers}
        for name, value in SAFE.items():
            if name.lower() not in present:
                response.headers.add(name, value)
        response.headers["X-Request-ID"] = request_id()
        return response


def _explain(app: Quart, log: logging.LoggerAdapter[logging.Logger]) -> None:
    """Answers for what went wrong."""

    @app.errorhandler(HTTPException)
    async def refused(error: HTTPException) -> Response:
        code = error.code or 500
        response = failure(named(code), code)
        valid = getattr(error, "valid_methods", None)
        if valid:
            response.headers["Allow"] = ", ".join(sorted(valid))
        if code in (408, 413) and request.http_version.startswith("1"):
            response.headers["Connection"] = "close"  # the rest of the body stays unread
        return response

    @app.errorhandler(Failure)
    async def meant(error: Failure) -> Response:
        response = failure(error.code, error.status, error.text)
        if error.retry_after is not None:
            response.headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
        return response

    @app.errorhandler(Exception)
    async def failed(error: Exception) -> Response:
        log.error("request %s: %r", request_id(), request.path, exc_info=error)
        return failure("internal", 500)
