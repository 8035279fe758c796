"""The description is of what there is, and what there is keeps to the description."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
import trio

from scaler import Guest, Kept, Picture
from scaler_monitor.api import kept, openapi, reserving, shots, table
from scaler_monitor.settings import Config, StaticFolder

from .fakes import PNG, Asker, FakeCore, FakeGuest, asking, served

pytestmark = pytest.mark.once


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
    for module in (kept, reserving, shots):
        monkeypatch.setattr(module, "ADDRESS", (1000.0, 1000))
    monkeypatch.setattr(reserving, "RUN", (1000.0, 1000))
    picture = Picture(png=PNG, time=1_000_000_000.0, etag="abc")
    there = (Kept(name="reason.txt", size=4, time=1.0),)
    return Generous(
        pictures={1: picture, "linux": picture},
        evidence={1: there, "linux": there},
        items={1: b"why", "linux": b"why"},
    )


@pytest.mark.parametrize("core", ["generous", "poor"])
async def test_fuzz(core: str, generous: FakeCore, tmp_path: Path) -> None:
    """Requests made from the description, right and wrong ones: what comes back is described."""
    (tmp_path / "a.txt").write_text("a file")
    behind = generous if core == "generous" else FakeCore(idle=[])
    static = a_config(tmp_path).static
    async with served(behind, tmp_path, static=static) as monitor:
        endpoints = (*table.ENDPOINTS, table.folder("/image-deps"))
        found = openapi.document(endpoints, monitor.addresses[0])
        # in a process of its own: Python 3.11 counts the depth of syntax trees for all threads
        # together, so both sides reading some at the same time is an error now and then
        with trio.fail_after(240):
            await trio.run_process(
                [sys.executable, "-m", "tests.api.fuzzing", monitor.addresses[0], core],
                stdin=json.dumps(found).encode(),
                cwd=Path(__file__).parent.parent.parent,
            )
