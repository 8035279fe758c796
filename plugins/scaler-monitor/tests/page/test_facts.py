from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from scaler import Machine, Report
from scaler_monitor.page.facts import (
    asked,
    began,
    image_made,
    image_reports,
    limits,
    paused,
    place,
    role,
)

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


def test_what_is_told_of_images() -> None:
    good, bad, plain = report("a", images=[]), report("b", image_age=1), report("c")
    bad = replace(bad, ok=False)
    reports = (plain, good, bad, report("d", "", images=[]), report("e", images=[]))
    assert image_reports(replace(WELL, reports=reports)) == {"linux": bad}


def test_since_when_images_are_being_made() -> None:
    images = [{"building": {"machine": "m1", "began": 900.0}}, {"building": None}]
    assert began(replace(WELL, reports=(report(images=images),))) == {"m1": 900.0}
    for odd in (7, "x", [7], [{"building": 7}], [{"building": {"machine": "m", "began": "x"}}]):
        assert began(replace(WELL, reports=(report(images=odd),))) == {}


def test_machines() -> None:
    def machine(**told: Any) -> Machine:
        return Machine(runner=1, id="m", facts=told)

    assert paused(None) == paused(machine()) == paused(machine(paused=False)) == ""
    assert paused(machine(paused="someone paused it")) == "someone paused it"
    assert paused(machine(paused=True)) == "it stands still"
    assert role(machine(role="smoke")) == "smoke"
    assert role(machine(role=7)) == ""
    assert place(None) == place(machine(pool=7, volumes={})) == []
    assert place(machine(domain="d", generation=1, volumes=["a", "b"], pool="p")) == [
        ("domain", "d"),
        ("pool", "p"),
        ("volumes", "a, b"),
    ]


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
