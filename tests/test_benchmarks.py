"""The benchmarks: that their stand-in is understood, and that the report is of the results."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytestmark = pytest.mark.once

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def benchmark_scripts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the scripts import each other, as where they are started; forget them afterwards."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    # what others import by that name is not the script; it is put back afterwards
    monkeypatch.delitem(sys.modules, "requests", raising=False)
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
async def test_requests_are_counted_by_job_and_by_where_they_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    requests: Any = import_module("requests")
    inside: Any = import_module("bench.inside")
    # that a runner is online is known from a list, which is read anew every half a minute else
    quicker = inside.SETTINGS.replace("[scaler]", '[scaler]\ntick = "2s"')
    quicker = quicker.replace("[plugins.github]", '[plugins.github]\napi_cache_timeout = "1s"')
    monkeypatch.setattr(inside, "SETTINGS", quicker)
    found = await requests.measure(requests.Sizes(single=2, burst=6, idle=1.5, hold=0.4))
    rows = {row["what"]: row for row in found["rows"]}
    alone = rows["one at a time, offered"]["asked"]
    assert alone["REST API"] == {}
    assert alone["Actions service"] == {"acquire": 2, "jitconfig": 2, "delete-agent": 2}
    assert alone["message queue"]["poll"] == alone["message queue"]["delete-message"] > 2
    many = rows["6 at once, assigned"]["asked"]
    assert many["Actions service"] == {"jitconfig": 6, "delete-agent": 6}
    assert many["message queue"]["poll"] < 18, "jobs that come at once are told at once"
    reserved = rows["by REST, reserved, one at a time"]
    assert reserved["asked"]["REST API"]["rest-add-labels"] == reserved["path"] == 2
    assert reserved["asked"]["Actions service"] == reserved["asked"]["message queue"] == {}
    waited = found["idle"][0]["asked"]["message queue"]["poll"]
    assert 4000 < waited <= 9000, "a poll every 0.4 s"
    assert all(len(requests.cells(row)) == len(requests.HEAD) for row in found["rows"])
    assert all(len(requests.idle_cells(row)) == len(requests.IDLE_HEAD) for row in found["idle"])
    wanted = {text: figure for text, figure, _, _ in requests.aims(found)}
    assert min(wanted.values()) == 1 + requests.TO_COME


@pytest.mark.usefixtures("benchmark_scripts")
def test_how_often_an_hour_does_not_depend_on_where_counting_began() -> None:
    requests: Any = import_module("requests")
    assert requests.hourly([7.0, 57.0, 107.0], 120.0) == 72
    assert requests.hourly([49.0, 99.0], 120.0) == 72
    assert requests.hourly([5.0], 120.0) == 30
    assert requests.hourly([], 120.0) == 0


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


@pytest.mark.usefixtures("benchmark_scripts")
def test_without_results_no_table_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report: Any = import_module("report")
    monkeypatch.setattr(report.results, "FOLDER", tmp_path)
    monkeypatch.setattr(sys, "argv", ["report.py"])
    assert report.main() == 1
    assert f"there are no results in {tmp_path}" in capsys.readouterr().out


@pytest.mark.usefixtures("benchmark_scripts")
def test_what_is_aimed_at_is_held_against_the_figures() -> None:
    report: Any = import_module("report")
    slow = report.Aim("plan", 60.0, 50.0, "ms", 40.0)
    found = {"machine": {"load": 3.0, "cores": 2}}
    assert report.reached([report.Aim("view", 5.0, 50.0, "ms"), slow], found) == (
        "Reached: view: 5 of 50 ms.\n\n"
        "Not reached:\n\n- plan: 60 of 50 ms (the best run, 40, is within it)\n\n"
        "The machine was busy: load 3 on 2 cores when it ended."
    )
    assert report.reached([report.Aim("view", 5.0, 50.0, "ms")], found).startswith("Reached: view")


@pytest.mark.usefixtures("benchmark_scripts")
@pytest.mark.parametrize(
    ("script", "options", "said"),
    [
        ("burst", "--jobs 0", "'0' is no whole number of at least 1"),
        ("burst", "--runs -1", "'-1' is no whole number of at least 1"),
        ("burst", "--delay -1", "'-1' is no number of milliseconds from 0 to 5,000"),
        ("burst", "--delay 5001", "'5001' is no number of milliseconds from 0 to 5,000"),
        ("burst", "--delay nan", "'nan' is no number of milliseconds from 0 to 5,000"),
        ("burst", "--delay 30", "no row has a delay of 30 ms (they have 0, 20, 50)"),
        ("burst", "--jobs 5 --profile /nope/profile", "there is no folder /nope"),
        ("ledger", "--folder /nope", "there is no folder /nope"),
    ],
)
def test_nonsense_on_the_command_line_is_refused_in_a_line(
    script: str,
    options: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", [f"{script}.py", *options.split()])
    with pytest.raises(SystemExit) as leaving:
        import_module(script).main()
    assert leaving.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.usefixtures("benchmark_scripts")
def test_a_delay_is_in_milliseconds() -> None:
    burst: Any = import_module("burst")
    given: Any = SimpleNamespace(
        jobs=7, delay=20.0, flow="offered", quick=False, boot_from="machine"
    )
    assert burst.cases(given) == [burst.Case(7, 0.02, "offered")]
    given.jobs = None
    assert {case.jobs for case in burst.cases(given)} == {500}


@pytest.mark.usefixtures("benchmark_scripts")
def test_a_python_without_scaler_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    processes: Any = import_module("bench.processes")
    monkeypatch.setattr(sys, "argv", ["benchmarks/burst.py"])
    monkeypatch.setattr(processes.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(processes.Failed, match=r"run `make setup`, then .*benchmarks/burst\.py"):
        processes.installed()


@pytest.mark.usefixtures("benchmark_scripts")
def test_a_scaler_that_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    processes: Any = import_module("bench.processes")
    monkeypatch.setattr(processes, "SETTINGS", "nonsense")
    with processes.workplace() as folder, processes.hub(lifetime=60) as where:
        with processes.scaler(where, folder, most=1) as running:
            with pytest.raises(processes.Failed, match=r"^scaler ended with code \d+ before it"):
                processes.until(running, where, "polling")
