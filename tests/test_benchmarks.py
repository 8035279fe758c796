"""The benchmarks: that their stand-in is understood, and that the report is of the results."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def benchmark_scripts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the scripts import each other, as where they are started; forget them afterwards."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file and BENCHMARKS in Path(file).parents:
            del sys.modules[name]


@pytest.mark.usefixtures("benchmark_scripts")
@pytest.mark.parametrize("flow", ["assigned", "offered"])
def test_a_small_burst_comes_to_its_end(flow: str) -> None:
    burst = import_module("burst")
    case = burst.Case(jobs=5, delay=0.0, flow=flow)
    done = burst.run(case)
    assert len(done.started) == 5
    assert done.requests_done["JIT config"] == 5
    assert done.requests_done["remove runner"] == 5
    assert done.requests_done.get("acquire", 0) == (flow == "offered")
    row = burst.summary(case, [done])
    assert len(burst.cells(row)) == len(burst.HEAD)
    assert row["listener"] is None, "nobody measured five jobs"


@pytest.mark.usefixtures("benchmark_scripts")
def test_the_stand_in_is_loaded_without_scaler() -> None:
    capacity = import_module("bench.load").measure(200)
    assert capacity.rate > 0
    assert capacity.cost > 0


@pytest.mark.usefixtures("benchmark_scripts")
def test_the_tables_are_as_the_results_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["report.py", "--check"])
    assert import_module("report").main() == 0, capsys.readouterr().out


@pytest.mark.usefixtures("benchmark_scripts")
def test_a_table_that_is_not_as_the_results_are_is_found(tmp_path: Path) -> None:
    report: Any = import_module("report")
    page = "before\n<!-- hooks -->\n| old |\n<!-- /hooks -->\nafter\n"
    empty = f"before\n<!-- hooks -->\n{report.NOTHING}\n<!-- /hooks -->\nafter\n"
    assert report.filled(page, folder=tmp_path) == empty
    (tmp_path / "hooks.json").write_text(
        '{"counts": [0, 1], "rows": [{"kind": "tell", "functions": "async", "us": {"1": 2.5}}]}'
    )
    assert "| tell | async |  | 2.5 |\n" in report.filled(page, folder=tmp_path)
