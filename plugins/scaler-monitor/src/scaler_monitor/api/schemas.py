"""What answers look like, in JSON Schema."""

from __future__ import annotations

from typing import Any, TypeAlias

from scaler_monitor.page.dashboard import Status

Schema: TypeAlias = dict[str, Any]

_STRING = {"type": "string"}
_MAYBE_STRING = {"type": ["string", "null"]}
_NUMBER = {"type": "number"}
_COUNT = {"type": "integer", "minimum": 0}


def ref(name: str) -> Schema:
    """One of `SCHEMAS`, by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def or_null(schema: Schema) -> Schema:
    """This, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def array(schema: Schema) -> Schema:
    """Several of these."""
    return {"type": "array", "items": schema}


def record(properties: Schema, *optional: str) -> Schema:
    """An object that has all of these but the optional ones, and maybe more."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required}


SCHEMAS: dict[str, Schema] = {
    "Error": {
        **record({"error": _STRING, "message": _STRING, "request_id": _STRING}, "message"),
        "description": "`error` is a short word for programs, `message` a sentence for people.",
    },
    "Label": record({"name": _STRING}),
    "Registration": record(
        {
            "id": {"type": ["integer", "string", "null"]},
            "name": _STRING,
            "status": {"enum": ["online", "offline", None]},
            "busy": {"type": ["boolean", "null"]},
            "labels": or_null(array(ref("Label"))),
        }
    ),
    "Reservation": record(
        {"unique_id": _STRING, "qualified_repo": _STRING, "run_id": _STRING, "since": _NUMBER}
    ),
    "Runner": record(
        {
            "id": {"type": "integer", "minimum": 1},
            "name": _STRING,
            "profile": _STRING,
            "status": {"enum": [each.value for each in Status]},
            "created_time": {"type": ["number", "null"]},
            "registration": or_null(ref("Registration")),
            "guest_name": _MAYBE_STRING,
            "ipv4_address": _MAYBE_STRING,
            "host": _MAYBE_STRING,
            "job": _MAYBE_STRING,
            "reservation": or_null(ref("Reservation")),
        }
    ),
    "Taken": record(
        {
            "id": {"type": "integer", "minimum": 1},
            "screenshot_url": {"type": "string", "format": "uri"},
            "runner": ref("Runner"),
        }
    ),
    "Counts": {"type": "object", "additionalProperties": _COUNT},
    "ProfileCounts": record(
        {
            **dict.fromkeys(
                ("target", "healthy", "started_or_crashed", "idle", "reserved", "busy"), _COUNT
            ),
            "excess_healthy": _COUNT,
            "wanted": _COUNT,
            "image_age": {"type": ["number", "null"]},
        }
    ),
    "Dashboard": record(
        {
            "profile_runner_counts": {
                "type": "object",
                "additionalProperties": ref("ProfileCounts"),
            },
            "runners": array(ref("Taken")),
        }
    ),
    "Health": record({"ok": {"type": "boolean"}}),
    "Readiness": record({"ready": {"type": "boolean"}, "problems": array({"type": "object"})}),
}
