"""The reference names what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from scaler_monitor.api import gauges, reserving, shots, table
from scaler_monitor.api.metrics import Tally

from .fakes import FakeCore

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "monitor-api.md"
TOKEN = {True: "yes", False: "no", None: "by setting"}


@pytest.fixture
def text() -> str:
    return PAGE.read_text()


def test_every_endpoint(text: str) -> None:
    row = r"^\| `((?:GET|POST|DELETE) /\S*)` \| (yes|no|by setting) \|"
    rows = re.findall(row, text, re.MULTILINE)
    told = {f"{each.method} {each.path}": TOKEN[each.token] for each in table.ENDPOINTS}
    assert dict(rows) == told
    assert len(rows) == len(told)


def test_every_parameter_and_status(text: str) -> None:
    for each in table.ENDPOINTS:
        for name in (*each.required, *each.optional):
            assert f"| `{name}` |" in text
    rows = re.findall(r"^\| (\d{3}) \|", text, re.MULTILINE)
    assert {int(each) for each in rows} == set(table.ERRORS)


def test_every_metric(text: str, core: FakeCore) -> None:
    view = core.now

    class Seen:
        def collect(self) -> object:
            return gauges.of(view, 0.0)

    seen = generate_latest(Seen()).decode()  # type: ignore[arg-type]
    counted = generate_latest(Tally().registry).decode()
    names = re.findall(r"^# TYPE (\S+)", seen + counted, re.MULTILINE)
    assert len(names) > 30
    missing = [name for name in names if not name.endswith("_created") and f"`{name}`" not in text]
    assert not missing


def test_the_throttles(text: str) -> None:
    told = " ".join(text.split())
    (rate, burst), (slow, few) = reserving.ADDRESS, reserving.RUN
    assert f"for each address {burst} at once and {rate:g} a second" in told
    assert f"for each run {few} and {slow:g}," in told
    assert f"{reserving.PLACES} are in hand at once and {reserving.QUEUE} wait" in told
    assert f"for each address {shots.ADDRESS[1]} at once and one a second" in told
