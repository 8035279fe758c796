"""The pages and answers, as a Quart application over a view."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

from quart import Quart, Response, g, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException
from werkzeug.http import HTTP_STATUS_CODES

from scaler_monitor import dashboard

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from scaler import View

BODY_LIMIT = 64 << 10  # bytes of a request's body; nothing asks for one yet
BODY_TIMEOUT = 10  # seconds that it may take to come


def build(view: Callable[[], View], log: logging.LoggerAdapter[logging.Logger]) -> Quart:
    """The application. Every answer comes from memory; only GET and HEAD are understood."""
    app = QuartTrio("scaler_monitor", static_folder=None)
    app.config.update(
        MAX_CONTENT_LENGTH=BODY_LIMIT, BODY_TIMEOUT=BODY_TIMEOUT, PROVIDE_AUTOMATIC_OPTIONS=False
    )
    app.url_map.merge_slashes = False  # a redirect to the right path would be an HTML page
    _guard(app)
    _explain(app, log)
    rendered = _Rendered(dashboard.dashboard)

    @app.get("/healthz")
    async def healthz() -> Response:
        return answer({"ok": True})

    @app.get("/readyz")
    async def readyz() -> Response:
        found = dashboard.problems(view())
        return answer({"ready": not found, "problems": found}, 503 if found else 200)

    @app.get("/dashboard.json")
    async def dashboard_json() -> Response:
        return _json(rendered(view()))

    return app


def answer(content: Any, code: int = 200) -> Response:
    """An answer in JSON."""
    return _json(json.dumps(content), code)


def failure(name: str, code: int) -> Response:
    """What is said of a request that failed: a short code and the request's id, nothing else."""
    return answer({"error": name, "request_id": request_id()}, code)


def request_id() -> str:
    """What names this request in the answer and in the log."""
    if "request_id" not in g:
        g.request_id = secrets.token_hex(8)
    name: str = g.request_id
    return name


class _Rendered:
    """Keeps the last text: a view is the same object until something changes."""

    def __init__(self, render: Callable[[View], Any]) -> None:
        self._render = render
        self._view: View | None = None
        self._text = ""

    def __call__(self, view: View) -> str:
        if view is not self._view:
            self._text = json.dumps(self._render(view))
            self._view = view
        return self._text


def _guard(app: Quart) -> None:
    """What holds for every request."""

    @app.before_request
    async def read_body() -> None:
        await request.get_data()  # what is left unread leaves its connection hanging

    @app.before_request
    async def refuse_other_sites() -> Response | None:
        origin = request.headers.get("Origin")
        if origin is None or origin.partition("://")[2] == request.host != "":
            return None
        return failure("foreign-origin", 403)

    @app.after_request
    async def add_headers(response: Response) -> Response:
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["X-Request-ID"] = request_id()
        return response


def _explain(app: Quart, log: logging.LoggerAdapter[logging.Logger]) -> None:
    """Answers for what went wrong."""

    @app.errorhandler(HTTPException)
    async def refused(error: HTTPException) -> Response:
        code = error.code or 500
        name = HTTP_STATUS_CODES.get(code, "error").lower().replace(" ", "-")
        response = failure(name, code)
        valid = getattr(error, "valid_methods", None)
        if valid:
            response.headers["Allow"] = ", ".join(sorted(valid))
        if code in (408, 413) and request.http_version.startswith("1"):
            response.headers["Connection"] = "close"  # the rest of the body stays unread
        return response

    @app.errorhandler(Exception)
    async def failed(error: Exception) -> Response:
        log.error("request %s: %r", request_id(), request.path, exc_info=error)
        return failure("internal", 500)


def _json(text: str, code: int = 200) -> Response:
    return Response(text, code, content_type="application/json")
