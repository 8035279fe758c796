from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from scaler import Report
from scaler_monitor.page.facts import asked, image_made, limits

from .views import WELL


def report(plugin: str = "queue", profile: str = "linux", **facts: Any) -> Report:
    return Report(plugin=plugin, profile=profile, ok=True, text="", time=1000.0, facts=facts)


def test_when_a_source_asked() -> None:
    assert asked(report()) is None
    assert asked(report(last_poll=990.0)) == 990.0
    assert asked(report(last_look=995, last_poll=990.0)) == 995


@pytest.mark.parametrize("odd", [None, "soon", True, float("nan"), float("inf"), [1]])
def test_facts_of_another_type_are_no_facts(odd: Any) -> None:
    assert asked(report(last_poll=odd)) is None
    view = replace(WELL, reports=(report(image_age=odd, connections=odd, rate_limits=odd),))
    assert image_made(view) == {}
    assert limits(view) == []
    assert limits(replace(WELL, reports=(report(rate_limits={"core": odd}),))) == []


def test_images() -> None:
    reports = (
        report(image_age=100),
        report("other", image_age=50.0),
        report(profile="", image_age=1),
    )
    assert image_made(replace(WELL, reports=reports)) == {"linux": 950.0}


def test_limits_of_connections() -> None:
    core = {"limit": 5000, "remaining": 4000, "resets_at": 2000.0, "reserve": 500}
    plain = {"limit": 60, "remaining": 0}
    one = report("github", "", connections={"default": {"rate_limits": {"core": core}}})
    two = report("other", "", connections={"a": {"rate_limits": {"core": plain}}, "b": {}})
    found = limits(replace(WELL, reports=(one, two)))
    assert [(each.of, each.resource, each.remaining, each.resets) for each in found] == [
        ("github", "core", 4000, 2000.0),
        ("other: a", "core", 0, None),
    ]
