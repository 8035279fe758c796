"""`/openapi.json`: the endpoints, described for programs."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from quart import Blueprint, Response, request

from scaler import __version__
from scaler_monitor.api import params, table
from scaler_monitor.api.schemas import SCHEMAS, ref
from scaler_monitor.errors import as_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from scaler_monitor.api.params import Kind
    from scaler_monitor.api.table import Endpoint
    from scaler_monitor.site import Site

_RETRIED = (429, 503)


def routes(site: Site) -> Blueprint:
    """`/openapi.json`."""
    blueprint = Blueprint("openapi", __name__)
    folders = map(table.folder, site.config.static)
    text = json.dumps(document((*table.ENDPOINTS, *folders), site.base_url))

    @blueprint.get("/openapi.json")
    async def openapi() -> Response:
        params.read(request.query_string, required={})
        return as_json(text)

    return blueprint


def document(endpoints: Iterable[Endpoint], base_url: str) -> dict[str, Any]:
    """All of it, in OpenAPI 3.1."""
    paths: dict[str, Any] = {}
    for each in endpoints:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Monitor API of scaler",
            "version": __version__,
            "description": "Runners: what there is of them, and reserving them.",
        },
        "servers": [{"url": base_url.rstrip("/") or "/"}],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "responses": {str(status): _error(status) for status in table.ERRORS},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(each: Endpoint) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{each.method.lower()}{each.path}").strip("_"),
        "summary": each.text,
        "parameters": list(_parameters(each)),
        "responses": dict(_responses(each)),
    }
    if each.token is not False:
        operation["security"] = [{"token": []}] if each.token else [{}, {"token": []}]
    return operation


def _parameters(each: Endpoint) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"{(\w+)}", each.path):
        schema = dict(table.PATHS[name])
        text = schema.pop("description")
        yield {"name": name, "in": "path", "required": True, "description": text, "schema": schema}
    for required, kinds in ((True, each.required), (False, each.optional)):
        for name, kind in kinds.items():
            yield {
                "name": name,
                "in": "query",
                "required": required,
                "description": kind.wanted,
                "schema": _schema(kind),
            }
    if each.counts:
        yield {
            "name": "counts",
            "in": "query",
            "required": True,
            "description": "Runners that are wanted, by profile key",
            "style": "form",
            "explode": True,
            "schema": {
                "type": "object",
                "minProperties": 1,
                "propertyNames": {"minLength": 1},
                "additionalProperties": {"type": "integer", "minimum": 0, "maximum": params.MOST},
            },
        }


def _schema(kind: Kind) -> dict[str, Any]:
    return {"type": "string", "pattern": f"^(?:{kind.pattern})$", "maxLength": kind.longest}


def _responses(each: Endpoint) -> Iterator[tuple[str, dict[str, Any]]]:
    content = {
        kind: {} if schema is None else {"schema": schema} for kind, schema in each.answers.items()
    }
    yield "200", {"description": "Done", "content": content}
    for status in sorted(each.statuses - {200}):
        if status in each.other:
            content = {"application/json": {"schema": each.other[status]}}
            yield str(status), {"description": "It is not", "content": content}
        elif status == 206:
            yield "206", {"description": "The part that was asked for", "content": {"*/*": {}}}
        elif status == 304:
            yield "304", {"description": "The caller has it already"}
        else:
            yield str(status), {"$ref": f"#/components/responses/{status}"}


def _error(status: int) -> dict[str, Any]:
    told: dict[str, Any] = {
        "description": table.ERRORS[status],
        "content": {"application/json": {"schema": ref("Error")}},
    }
    if status in _RETRIED:
        seconds = {"type": "integer", "minimum": 1}
        told["headers"] = {"Retry-After": {"schema": seconds, "description": "Seconds"}}
    return told
