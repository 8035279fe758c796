"""The alert rules, the board and the page on both ask for metrics and pages that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from scaler_monitor.api import gauges

ROOT = Path(__file__).parent.parent
RULES = ROOT / "docs/examples/prometheus/alerts.yml"
BOARD = ROOT / "docs/examples/grafana/scaler.json"
PAGE = ROOT / "docs/how-to/watch-with-prometheus.md"

#: What Prometheus adds, what the functions of PromQL need, and its words.
OF_PROMETHEUS = {"up", "instance", "job", "le"}
WORDS = {
    *("sum", "max", "min", "count", "by", "on", "unless", "or", "vector", "rate", "increase"),
    *("histogram_quantile", "time"),
}

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def served() -> tuple[set[str], set[str]]:
    """The names of all samples, and of all labels, that can be served."""
    folder = Path(gauges.__file__).parent
    source = (folder / "gauges.py").read_text() + (folder / "metrics.py").read_text()
    names = set[str]()
    for name in re.findall(r'"((?:gha|scaler)_\w+)"', source):
        names |= {name, f"{name}_total", f"{name}_bucket"}
    assert len(names) > 100
    return names, set(re.findall(r'"([a-z_]+)"', source)) - names


def rules() -> list[dict[str, Any]]:
    [group] = yaml.safe_load(RULES.read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def targets() -> list[str]:
    board = json.loads(BOARD.read_text())
    return [each["expr"] for panel in board["panels"] for each in panel["targets"]]


def unknown(expression: str, served: tuple[set[str], set[str]]) -> set[str]:
    """The names in an expression that are neither served nor PromQL's own."""
    names, labels = served
    bare = re.sub(r'"[^"]*"|\[[^\]]*\]|\$\w+', "", expression)
    found = set(re.findall(r"[a-z_]\w*", bare))
    return {each for each in found if each not in names | labels | OF_PROMETHEUS | WORDS}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_a_rule(rule: dict[str, Any], served: tuple[set[str], set[str]]) -> None:
    assert not unknown(rule["expr"], served)
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert re.fullmatch(r"\d+[mhd]", rule["for"])
    assert (ROOT / rule["annotations"]["page"]).is_file()
    told = " ".join(str(each) for each in rule["annotations"].values())
    for label in re.findall(r"\$labels\.(\w+)", told):
        assert label in served[1] | OF_PROMETHEUS
        kept = re.search(r"by \(([^)]*)\)", rule["expr"])
        assert kept is None or label in kept[1], "it is aggregated away"


def test_the_board(served: tuple[set[str], set[str]]) -> None:
    assert len(targets()) > 15
    assert [each for each in targets() if unknown(each, served)] == []
    board = json.loads(BOARD.read_text())
    ids = [each["id"] for each in board["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, f"{panel['title']} lies on another"
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_a_name_that_is_none_is_found(served: tuple[set[str], set[str]]) -> None:
    assert unknown("sum(scaler_runers) > 0", served) == {"scaler_runers"}
    assert unknown('scaler_runners{state="gone", colour="red"}', served) == {"colour"}


def test_the_page_has_every_rule() -> None:
    listed = re.findall(
        r"^\| `(\w+)` \| (\w+) \|.*\(([\w-]+)\.md\) \|$", PAGE.read_text(), re.MULTILINE
    )
    wanted = [
        (each["alert"], each["labels"]["severity"], Path(each["annotations"]["page"]).stem)
        for each in rules()
    ]
    assert listed == wanted
