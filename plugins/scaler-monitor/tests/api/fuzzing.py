"""Requests made of a description, right and wrong ones; a program: `fuzzing URL generous|poor`."""

from __future__ import annotations

import copy
import json
import sys
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from .fakes import TOKEN

EXAMPLES = 6  # requests to each endpoint, of those that are right and of those that are wrong
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
MODES = {
    GenerationMode.POSITIVE: positive_data_acceptance,
    GenerationMode.NEGATIVE: negative_data_rejection,
}
NAMES: dict[str, list[Any]] = {
    "key": ["linux", "windows", "nope"],
    "number": [1, 2, 9],
    "count": [1, 2],
    "name": ["page.css", "nope"],
    "path": ["a.txt", "nope"],
}
KEPT = {"key": ["linux"], "number": [1], "name": ["reason.txt", "nope"]}  # few of many are there


def fuzz(document: dict[str, Any], url: str, *, accepted: bool) -> None:
    """Ask all that is described; `accepted`: what is right is always accepted."""
    narrowed = copy.deepcopy(document)
    del narrowed["paths"]["/events"]  # has no end
    expected = set()
    for path, operations in narrowed["paths"].items():
        for method, operation in operations.items():
            expected.add(f"{method.upper()} {path}")
            for each in operation["parameters"]:
                if each["in"] == "path":  # others are tested where the endpoints are
                    names = KEPT if "/kept/" in path else NAMES
                    each["schema"] = {"enum": names[each["name"]]}
                elif each["name"] == "counts":
                    each["schema"]["propertyNames"] = {"enum": NAMES["key"]}
    seen: set[tuple[str, int]] = set()
    with requests.Session() as session:
        session.trust_env = False
        for found in schemathesis.openapi.from_dict(narrowed).get_all_operations():
            assert isinstance(found, Ok), found
            for mode, check in MODES.items():
                ask_often(found.ok(), mode, [*CHECKS, check, no_fault], session, url, seen)
    assert {label for label, _ in seen} == expected
    good = {label for label, status in seen if status == 200}
    assert good == expected if accepted else good >= {"POST /select-runner", "GET /metrics"}


def ask_often(
    operation: Any,
    mode: GenerationMode,
    checks: list[Any],
    session: requests.Session,
    url: str,
    seen: set[tuple[str, int]],
) -> None:
    """Ask an endpoint in every way that Hypothesis finds; put down what came back."""

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def once(case: Case[Any]) -> None:
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        response = case.call(base_url=url, session=session, headers=bearer, timeout=10)
        case.validate_response(response, checks=checks)
        seen.add((operation.label, response.status_code))

    if mode is GenerationMode.NEGATIVE and not any(operation.iter_parameters()):
        return
    once()


def no_fault(context: Any, response: Any, case: Case[Any]) -> None:
    """5xx is only what is described, with the time after which to ask again."""
    del context
    if response.status_code >= 500:
        assert response.status_code == 503, case
        assert "503" in case.operation.definition.raw["responses"]


if __name__ == "__main__":
    fuzz(json.load(sys.stdin), sys.argv[1], accepted=sys.argv[2] == "generous")
