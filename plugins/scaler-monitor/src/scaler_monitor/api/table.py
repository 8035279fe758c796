"""Every endpoint once: what it takes, and what it answers. `/openapi.json` is made from this."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scaler_monitor.api import guests, reserving, schemas, shots
from scaler_monitor.api.params import MOST
from scaler_monitor.api.schemas import array, or_null, ref

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler_monitor.api.params import Kind
    from scaler_monitor.api.schemas import Schema

PATHS: dict[str, Schema] = {
    "key": {"type": "string", "description": "The key of a profile."},
    "count": {"type": "integer", "minimum": 1, "description": "How many runners."},
    "number": {"type": "integer", "minimum": 1, "description": "The id of a runner."},
    "name": {"type": "string", "description": "The name of a file."},
    "path": {"type": "string", "description": "The path of a file, with its slashes."},
}
"""What a path's variable parts are."""

ERRORS = {
    400: "A parameter is missing, malformed, there twice or unknown; `message` names it",
    401: "There is no token, or not in exactly one header `Authorization: Bearer TOKEN`",
    403: "The token is wrong, the proof is refused, the address is not one guest's, or the request "
    "comes from a page of another site",
    404: "There is no such profile, runner, guest, file or path",
    405: "The path has no such method; `Allow` says which it has",
    408: "The body did not come in time",
    409: "It is taken, or cannot be had at all; `error` says which",
    410: "It was given already, or it is too late",
    413: "More than there may be, or a body that is too large",
    414: "The path and query are too long",
    416: "The file has no such part",
    429: "This caller has asked too much; `Retry-After` says when to ask again",
    431: "The headers are too large, or too many",
    500: "A fault of the service; its log tells more, under the request's id",
    501: "The body is coded in a way that is not known",
    503: "Not now; `Retry-After` says when to ask again",
    505: "It is not HTTP/1.1",
}
EVERYWHERE = (400, 403, 408, 413, 414, 431)
"""What the connection answers, and what guards every path: before there is an endpoint."""


@dataclass(frozen=True)
class Endpoint:
    """One method of one path.

    Attributes:
        method: In capitals.
        path: With its variable parts in braces; they are named as in `PATHS`.
        text: What it does, in a sentence.
        answers: What it answers with 200: a content type, and a schema where it is JSON.
        required: Its query's parameters that must be there.
        optional: Those that may be.
        counts: Whether its query is counts by profile key.
        token: Whether it needs the token: always, or where a setting says so.
        errors: The statuses that it may answer, beside those that all may.
        unchanged: Whether it answers 304 where the caller has it already.
        parts: Whether it answers 206 with a part.
        other: More answers than 200, by status.
    """

    method: str
    path: str
    text: str
    answers: Mapping[str, Schema | None]
    required: Mapping[str, Kind] = field(default_factory=dict)
    optional: Mapping[str, Kind] = field(default_factory=dict)
    counts: bool = False
    token: bool | None = False
    errors: tuple[int, ...] = ()
    unchanged: bool = False
    parts: bool = False
    other: Mapping[int, Schema] = field(default_factory=dict)

    @property
    def statuses(self) -> set[int]:
        """Every status that it may answer."""
        mostly = {200, *EVERYWHERE, *self.errors, *self.other}
        if self.token is not False:
            mostly |= {401, 403}
        return mostly | ({304} if self.unchanged else set()) | ({206} if self.parts else set())


def _json(schema: Schema) -> dict[str, Schema | None]:
    return {"application/json": schema}


_PNG: dict[str, Any] = {
    "answers": {"image/png": None},
    "token": None,
    "errors": (400, 404),
    "unchanged": True,
    "optional": shots.ANEW,
}

_KEPT: dict[str, Any] = {
    "answers": {"*/*": None},
    "token": None,
    "errors": (400, 404, 429, 503),
}

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "POST",
        "/select-runner",
        "Reserve runners for a job by an artifact of its run as the proof",
        _json(or_null(array(ref("Taken")))),
        required=reserving.WHO,
        optional=reserving.WAITING,
        errors=(400, 403, 404, 409, 413, 429, 503),
    ),
    Endpoint(
        "POST",
        "/profile/{key}/take",
        "Reserve one runner for a job",
        _json(or_null(ref("Taken"))),
        required=reserving.WHO,
        optional=reserving.WAITING,
        token=True,
        errors=(400, 404, 409, 413, 503),
    ),
    Endpoint(
        "POST",
        "/profile/{key}/take/{count}",
        "Reserve several runners, all or none",
        _json(or_null(array(ref("Taken")))),
        required=reserving.WHO,
        optional=reserving.WAITING,
        token=True,
        errors=(400, 404, 409, 413, 503),
    ),
    Endpoint(
        "GET",
        "/github-jitconfig",
        "What the guest that asks needs to become its runner",
        _json({"type": "string"}),
        optional=guests.SECRET,
        errors=(400, 403, 404, 410, 503),
    ),
    Endpoint(
        "GET",
        "/boot",
        "The boot script of the guest that asks",
        {"text/plain": None},
        optional=guests.SECRET,
        errors=(400, 403, 404, 410, 503),
    ),
    Endpoint("GET", "/", "The dashboard", {"text/html": None}),
    Endpoint(
        "GET",
        "/dashboard.html",
        "The dashboard's contents",
        {"text/html": None},
        unchanged=True,
    ),
    Endpoint(
        "GET",
        "/dashboard.json",
        "The dashboard's contents, for programs",
        _json(ref("Dashboard")),
        unchanged=True,
    ),
    Endpoint(
        "GET",
        "/events",
        "What changes on the dashboard, as server-sent events",
        {"text/event-stream": None},
        errors=(503,),
    ),
    Endpoint(
        "GET",
        "/assets/{name}",
        "A file of the dashboard's page",
        {"*/*": None},
        errors=(404,),
        unchanged=True,
    ),
    Endpoint("GET", "/profile/{key}/screenshot.png", "The last picture of its builder", **_PNG),
    Endpoint("GET", "/profile/{key}/screenshot", "The same", **_PNG),
    Endpoint("GET", "/runner/{number}/screenshot.png", "The last picture of a runner", **_PNG),
    Endpoint("GET", "/runner/{number}/screenshot", "The same", **_PNG),
    Endpoint(
        "GET",
        "/runner/{number}/screenshot/now",
        "A picture of a runner, taken now",
        {"image/png": None},
        token=None,
        errors=(400, 404, 429, 503),
        unchanged=True,
    ),
    Endpoint("GET", "/runner/{number}/kept/{name}", "What was kept of a runner", **_KEPT),
    Endpoint("GET", "/profile/{key}/kept/{name}", "What was kept of its last image", **_KEPT),
    Endpoint(
        "GET",
        "/policy/override",
        "The counts of the policy override that is active, or null",
        _json(or_null(ref("Counts"))),
        errors=(400,),
    ),
    Endpoint(
        "POST",
        "/policy/override",
        f"Begin a policy override; answers the counts as adjusted. {MOST} each at most",
        _json(ref("Counts")),
        counts=True,
        token=True,
        errors=(400, 404, 409, 413, 503),
    ),
    Endpoint(
        "DELETE",
        "/policy/override",
        "End the policy override; answers the counts that were active, or null",
        _json(or_null(ref("Counts"))),
        token=True,
        errors=(400, 503),
    ),
    Endpoint("GET", "/healthz", "Whether it lives", _json(schemas.ref("Health")), errors=(400,)),
    Endpoint(
        "GET",
        "/readyz",
        "Whether all is well, and what is not",
        _json(ref("Readiness")),
        errors=(400,),
        other={503: ref("Readiness")},
    ),
    Endpoint("GET", "/metrics", "Numbers for Prometheus", {"text/plain": None}, errors=(400,)),
    Endpoint("GET", "/openapi.json", "This description", _json({"type": "object"}), errors=(400,)),
)


def folder(prefix: str) -> Endpoint:
    """A static folder of the settings."""
    return Endpoint(
        "GET",
        f"{prefix}/{{path}}",
        "A file of a static folder",
        {"*/*": None},
        errors=(404, 416, 503),
        unchanged=True,
        parts=True,
    )
