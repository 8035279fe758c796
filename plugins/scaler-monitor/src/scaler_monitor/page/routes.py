"""The dashboard: the page, its parts, and the same as data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quart import Blueprint, Response, request

from scaler_monitor.api import params
from scaler_monitor.errors import Failure
from scaler_monitor.page.text import Texts

if TYPE_CHECKING:
    from scaler_monitor.site import Site

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
DAY = 86400


def routes(site: Site) -> Blueprint:
    """`/`, its files, `/dashboard.html`, `/dashboard.json` and `/events`."""
    blueprint = Blueprint("page", __name__)
    live = site.live
    texts = Texts(site.base_url)

    @blueprint.get("/")
    async def page() -> Response:
        html, fragment = await live.page()
        return _html(html, fragment.etag)

    @blueprint.get("/dashboard.html")
    async def dashboard_html() -> Response:
        params.read(request.query_string, required={})
        fragment = await live.fragment()
        if _known(fragment.etag):
            return _unchanged(fragment.etag)
        return _html(fragment.html, fragment.etag)

    @blueprint.get("/dashboard.json")
    async def dashboard_json() -> Response:
        params.read(request.query_string, required={})
        view = site.context.view()
        text = await texts.of(view, live.remains(view))
        if _known(text.etag):
            return _unchanged(text.etag)
        response = Response(text.content, content_type="application/json")
        response.headers["Cache-Control"] = "no-cache"
        response.headers["ETag"] = f'"{text.etag}"'
        return response

    @blueprint.get("/events")
    async def events() -> Response:
        params.read(request.query_string, required={})
        if live.hub.full:
            raise Failure(503, "too-many-listeners", "enough are listening", retry_after=30)
        response = Response(live.hub.listen(), content_type="text/event-stream; charset=utf-8")
        response.timeout = None  # it has no end of its own
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Accel-Buffering"] = "no"  # nginx in between would keep it back
        return response

    @blueprint.get("/assets/<name>")
    async def asset(name: str) -> Response:
        asked = params.read(request.query_string, required={}, optional={"v": params.VERSION})
        found = live.assets.get(name)
        if found is None:
            raise Failure(404, "not-found", "there is no such file")
        if _known(found.etag):
            return _unchanged(found.etag)
        response = Response(found.content, content_type=found.type)
        lasting = asked.get("v") == live.assets.version
        response.headers["Cache-Control"] = f"max-age={DAY}" if lasting else "no-cache"
        response.headers["ETag"] = f'"{found.etag}"'
        response.headers["Content-Security-Policy"] = POLICY
        return response

    return blueprint


def _html(html: str, etag: str) -> Response:
    response = Response(html, content_type="text/html; charset=utf-8")
    response.headers["Cache-Control"] = "no-cache"
    response.headers["ETag"] = f'"{etag}"'
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _known(etag: str) -> bool:
    return request.if_none_match.contains_weak(etag)


def _unchanged(etag: str) -> Response:
    response = Response(b"", 304)  # without a body quart iterates on asyncio
    response.headers["Cache-Control"] = "no-cache"
    response.headers["ETag"] = f'"{etag}"'
    return response
