from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
import trio

from scaler import Profile, Report, Runner, RunnerState, View
from scaler_monitor.page import dashboard
from scaler_monitor.page.remains import Remains
from scaler_monitor.page.text import APART, Text, Texts, encoded

from .views import WELL, job, profile, view
from .views import dashboard as whole


def runners(number: int) -> tuple[Runner, ...]:
    return tuple(
        Runner(id=each, name=f"linux.{each}@here", profile="linux", state=RunnerState.IDLE)
        for each in range(1, number + 1)
    )


@pytest.mark.parametrize("number", [0, 3, APART])
async def test_the_text_is_what_the_dashboard_is(number: int) -> None:
    of = view(runners=runners(number), jobs=(job(1, 5),))
    text = await Texts("http://here/").of(of)
    assert json.loads(text.content) == json.loads(json.dumps(whole(of, base="http://here/")))


async def test_the_same_view_is_the_same_text_and_another_is_another() -> None:
    texts, of = Texts("/"), view()
    first = await texts.of(of)
    assert await texts.of(of) is first
    second = await texts.of(replace(of, version=2, runners=runners(1)))
    assert second.etag != first.etag
    assert await texts.of(of) is second, "an older view is not shown again"


async def test_of_ten_thousand_runners_the_one_that_changed_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[int] = []

    def listed(of: Any, each: Runner, base: str) -> dict[str, Any]:
        made.append(each.id)
        return real(of, each, base)

    real = dashboard.listed
    monkeypatch.setattr(dashboard, "listed", listed)
    texts, many = Texts("/"), runners(10_000)
    await texts.of(view(runners=many))
    assert len(made) == 10_000
    made.clear()
    changed = (*many[:-1], replace(many[-1], state=RunnerState.BUSY))
    text = await texts.of(view(runners=changed, version=2))
    assert made == [10_000]
    shown = json.loads(text.content)["runners"]
    assert [shown[0]["runner"]["status"], shown[-1]["runner"]["status"]] == ["Idle", "Busy"]


async def test_other_labels_are_seen() -> None:
    texts, of = Texts("/"), view(runners=(replace(runners(1)[0], registration=None),))
    await texts.of(of)
    labelled = replace(profile(), profile=Profile(name="linux", labels=("new",), source="queue"))
    await texts.of(replace(of, version=2, profiles={"linux": labelled}))
    assert texts._runners[1][1] == ("new",)


async def test_many_who_ask_at_once_have_it_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, of = Texts("/"), view(runners=runners(APART))
    made = []
    real = texts._make

    def make(each: View, remains: Remains | None) -> Text:
        made.append(each)
        return real(each, remains)

    monkeypatch.setattr(texts, "_make", make)
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(texts.of, of)
    assert len(made) == 1


async def test_what_is_no_text_or_no_number_is_json_all_the_same() -> None:
    odd = Report(
        plugin="a", profile="", ok=True, text="\ud800", time=math.nan, facts={"x": math.inf}
    )
    strange = replace(runners(1)[0], reason="", name="\udfff")
    for of in (replace(WELL, reports=(odd,)), view(runners=(strange,)),
               view(runners=runners(1), reports=(odd,))):  # fmt: skip
        shown = json.loads((await Texts("/").of(of)).content)
        assert shown["scaler"] == "here"
    assert json.loads(encoded({"a": ["\ud800", math.nan]})) == {"a": ["\ud800", None]}
