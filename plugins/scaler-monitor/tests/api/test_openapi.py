"""The description is of what there is, and what there is keeps to the description."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
import trio
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

from scaler import Guest, Picture
from scaler_monitor.api import openapi, reserving, shots, table
from scaler_monitor.settings import Config, StaticFolder

from .fakes import PNG, TOKEN, Asker, FakeCore, FakeGuest, asking, served

EXAMPLES = 10  # requests to each endpoint, of those that are right and of those that are wrong
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


def a_config(folder: Path) -> Config:
    return Config(static={"/image-deps": StaticFolder(path=folder)})


async def test_every_rule_is_described_and_nothing_else(core: FakeCore, tmp_path: Path) -> None:
    ask = asking(core, tmp_path, a_config(tmp_path))
    rules = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in ask.app.url_map.iter_rules()
        for method in rule.methods or ()
        if method != "HEAD"
    }
    described = (await ask("GET", "/openapi.json")).json["paths"]
    told = {(method.upper(), path) for path, each in described.items() for method in each}
    assert told == rules
    assert len(table.ENDPOINTS) == len({(each.method, each.path) for each in table.ENDPOINTS})


async def test_what_it_says(ask: Asker) -> None:
    answer = await ask("GET", "/openapi.json")
    assert answer.headers["Content-Type"] == "application/json"
    told = answer.json
    assert told["openapi"] == "3.1.0"
    assert told["servers"] == [{"url": "https://ci.example.org"}]
    take = told["paths"]["/profile/{key}/take"]["post"]
    assert take["security"] == [{"token": []}]
    assert {each["name"]: each["required"] for each in take["parameters"]} == {
        "key": True,
        "unique_id": True,
        "qualified_repo": True,
        "run_id": True,
        "wait": False,
    }
    assert "security" not in told["paths"]["/select-runner"]["post"]
    names = [each["operationId"] for path in told["paths"].values() for each in path.values()]
    assert len(names) == len(set(names))
    assert (await ask("GET", "/openapi.json?x=1")).status == 400


def test_every_status_that_an_endpoint_may_answer_is_explained() -> None:
    for each in table.ENDPOINTS:
        assert each.statuses <= {200, 206, 304, *table.ERRORS}


class Generous(FakeCore):
    """A core that has something for everybody."""

    def guest(self, address: str, secret: str | None) -> Guest:
        super_says: Guest = FakeGuest()
        del address, secret
        return super_says


@pytest.fixture
def generous(monkeypatch: pytest.MonkeyPatch) -> FakeCore:
    for module in (reserving, shots):
        monkeypatch.setattr(module, "ADDRESS", (1000.0, 1000))
    monkeypatch.setattr(reserving, "RUN", (1000.0, 1000))
    picture = Picture(png=PNG, time=1_000_000_000.0, etag="abc")
    return Generous(pictures={1: picture, "linux": picture})


@pytest.mark.parametrize("core", ["generous", "poor"])
async def test_fuzz(core: str, generous: FakeCore, tmp_path: Path) -> None:
    """Requests made from the description, right and wrong ones: what comes back is described."""
    (tmp_path / "a.txt").write_text("a file")
    behind = generous if core == "generous" else FakeCore(idle=[])
    static = a_config(tmp_path).static
    async with served(behind, tmp_path, static=static) as monitor:
        endpoints = (*table.ENDPOINTS, table.folder("/image-deps"))
        found = openapi.document(endpoints, monitor.addresses[0])
        await trio.to_thread.run_sync(fuzz, found, monitor.addresses[0], core == "generous")


def fuzz(document: dict[str, Any], url: str, accepted: bool) -> None:
    narrowed = copy.deepcopy(document)
    del narrowed["paths"]["/events"]  # has no end
    expected = set()
    for path, operations in narrowed["paths"].items():
        for method, operation in operations.items():
            expected.add(f"{method.upper()} {path}")
            for each in operation["parameters"]:
                if each["in"] == "path":  # others are tested where the endpoints are
                    each["schema"] = {"enum": NAMES[each["name"]]}
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
