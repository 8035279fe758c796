"""Answers in JSON, and what is said of a request that failed."""

from __future__ import annotations

import json
import secrets
from typing import Any

from quart import Response, g


class Failure(Exception):
    """A request is answered with an error, on purpose.

    Args:
        status: The HTTP status.
        code: A short word for programs.
        text: A sentence for people: what was found, what was wanted. Never a secret, never an
            error of the inside.
        retry_after: Seconds after which to ask again, for 429 and 503.
    """

    def __init__(
        self, status: int, code: str, text: str = "", *, retry_after: float | None = None
    ) -> None:
        super().__init__(text or code)
        self.status = status
        self.code = code
        self.text = text
        self.retry_after = retry_after


def answer(content: Any, code: int = 200) -> Response:
    """An answer in JSON."""
    return as_json(json.dumps(content), code)


def as_json(text: str | bytes, code: int = 200) -> Response:
    """What is JSON already, as an answer."""
    return Response(text, code, content_type="application/json")


def failure(code: str, status: int, text: str = "") -> Response:
    """What is said of a request that failed: a short code, the request's id, and a sentence."""
    told = {"message": text} if text else {}
    response = answer({"error": code, **told, "request_id": request_id()}, status)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def request_id() -> str:
    """What names this request in the answer and in the log."""
    if "request_id" not in g:
        g.request_id = secrets.token_hex(8)
    name: str = g.request_id
    return name
