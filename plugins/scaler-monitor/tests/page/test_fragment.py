from __future__ import annotations

import re
from dataclasses import fields, is_dataclass, replace
from types import MappingProxyType
from typing import Any

import pytest

from scaler import (
    Event,
    Job,
    Machine,
    Override,
    Panel,
    Profile,
    ProfileView,
    Registration,
    Report,
    Reservation,
    Room,
    RunnerState,
    View,
)
from scaler_monitor.page.fragment import PARTS, Pages
from scaler_monitor.page.history import Sample
from scaler_monitor.page.remains import Ended, Remains
from scaler_monitor.page.scene import MOST_RUNNERS, Beside, Shot, chosen, link

from .reading import Reader, busy, fragment
from .views import NOW, WELL, job, profile, view

PAYLOADS = [
    '"><script>alert(1)</script>',
    "'><img src=x onerror=alert(1)>",
    "javascript:alert(1)",
    "</section></main><style>*{display:none}</style>",
    "{{ 7 * 7 }}{% raw %}",
    "\ud800 half a pair",
    "a\nb\u2028c\u202ed",
]


def test_parts_are_one_section_each_by_their_name() -> None:
    made = fragment(view(jobs=(job(1, 5),)))
    assert tuple(made.parts) == PARTS
    for name, html in made.parts.items():
        tag, attributes = Reader(html).elements[0]
        assert (tag, attributes["id"]) == ("section", name)
        assert attributes["aria-labelledby"] == f"{name}-title"
        assert html.strip() in made.html


def test_the_sentence_comes_first() -> None:
    made = fragment(view())
    assert Reader(made.html).text.startswith("How it is All is well: 1 profile at target")
    assert made.title == "well · here · scaler"
    bad = fragment(view(reports=()))
    assert bad.level == "bad"
    assert bad.title == "NOT WELL · here · scaler"


def test_a_runner_says_what_it_does_and_where() -> None:
    work = replace(job(7, 50), state="running", name="build", repository="acme/site",
                   url="https://github.com/acme/site/actions/runs/5")  # fmt: skip
    promised = Reservation(unique_id="u-1", qualified_repo="acme/x", run_id="9", since=NOW - 9)
    shown = view(jobs=(work,), runners=(busy(reservation=promised),), waiting={})
    beside = Beside(shots={7: Shot(time=NOW, version="abc")})
    part = fragment(shown, beside).parts["runners"]
    text = Reader(part).text
    for told in ("linux.7", "busy", "build", "acme/site", "vm1", "10.0.0.7", "for acme/x run 9",
                 "u-1"):  # fmt: skip
        assert told in text
    elements = Reader(part).elements
    [link_to_run, link_to_picture] = [each for tag, each in elements if tag == "a"]
    assert link_to_run["href"] == work.url
    assert link_to_picture["href"] == "runner/7/screenshot.png?v=abc"
    [image] = [each for tag, each in elements if tag == "img"]
    assert (image["src"], image["loading"]) == ("runner/7/screenshot.png?v=abc", "lazy")
    assert image["alt"] == "Screen of linux.7 at 03:46:40 UTC"


def test_jobs_that_wait_say_why() -> None:
    waits = view(profile(why="no room: vm1 lacks memory"), jobs=(job(1, 50),))
    text = Reader(fragment(waits).parts["waiting"]).text
    assert "no room: vm1 lacks memory" in text
    assert "03:45:50 UTC" in text, "without a script, a moment instead of an age"


def test_ten_thousand_runners_are_shown_as_the_ones_to_look_at() -> None:
    states = [RunnerState.IDLE] * 9_990 + [RunnerState.HELD] + [RunnerState.BUSY] * 9
    runners = tuple(busy(number, state=state) for number, state in enumerate(states, 1))
    shown = view(runners=runners)
    assert [each.id for each in chosen(shown)][:10] == [9991, *range(9992, 10001)]
    part = fragment(shown).parts["runners"]
    assert part.count('data-key="runner-') == MOST_RUNNERS
    assert "9,800 more" in Reader(part).text


def test_what_did_not_change_is_the_same_text() -> None:
    one, two = fragment(view()), fragment(view(), now=NOW + 5)
    assert one.etag == two.etag
    assert one.time != two.time
    changed = fragment(view(runners=(busy(),)))
    assert changed.etag != one.etag
    assert [name for name in PARTS if changed.parts[name] != one.parts[name]] == ["runners"]


def test_panels_are_data_then_what_is_left_of_their_html_and_failures_are_told() -> None:
    panels = {
        "one": Panel(title="One", data={"a": 1, "b": None, "c": [True, 0.5]},
                     html="<p class=x>fine</p><script>no</script>"),
        "two": None,
    }  # fmt: skip
    part = fragment(view(), Beside(panels=panels)).parts["panels"]
    assert "<p>fine</p>" in part
    assert "script" not in part
    text = Reader(part).text
    assert "a1" in text.replace(" ", "")
    assert "yes, 0.5" in text
    assert "two could not make its part of this page" in text


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://github.com/a/b", True),
        ("http://ghes.local:8080/a", True),
        ("HTTPS://github.com/a", True),
        ("javascript:alert(1)", False),
        ("JaVaScRiPt:alert(1)", False),
        (" javascript:alert(1)", False),
        ("java\nscript:alert(1)", False),
        ("data:text/html,x", False),
        ("//example.org/x", False),
        ("/runner/1", False),
        ("https:///x", False),
        ("https://exa mple.org", False),
        ("https://[", False),
        ("", False),
    ],
)
def test_d24_links_lead_to_the_web_alone(url: str, good: bool) -> None:
    assert link(url) == (url if good else None)


def hostile(value: Any, payload: str) -> Any:
    """The same with the payload in every text that is somebody else's."""
    if isinstance(value, RunnerState):
        return value
    if isinstance(value, str):
        return payload
    if isinstance(value, tuple):
        return tuple(hostile(each, payload) for each in value)
    if isinstance(value, dict | MappingProxyType):
        return {hostile(key, payload): hostile(each, payload) for key, each in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        changed = {each.name: hostile(getattr(value, each.name), payload) for each in fields(value)}
        keep = {"state": getattr(value, "state", None)} if "state" in changed else {}
        return replace(value, **{**changed, **keep})
    return value


def everything() -> tuple[View, Beside]:
    made = Profile(name="linux", labels=("a",), source="queue")
    work = Job(
        id="j", state="assigned", profile="linux", name="n", workflow="w", repository="r", url="u",
        run_id="1", event="e", labels=("l",), queued=NOW - 400, declined="d",
    )  # fmt: skip
    promised = Reservation(unique_id="u", qualified_repo="r", run_id="1", since=NOW)
    machine = Machine(
        runner=7,
        id="m",
        why="w",
        room="r",
        addresses=("a",),
        facts={"f": "f", "paused": "p", "domain": "d", "pool": "p", "volumes": ["v"]},
    )
    runner = busy(job="j", reason="r", reservation=promised, machine=machine, room="r",
                  registration=Registration(name="n", ref="r"), state=RunnerState.HELD,
                  until=NOW + 60, result="r", failed=True)  # fmt: skip
    facts = {"f": "f", "last_poll": NOW, "connections": {"c": {"rate_limits": {"core": {
        "limit": 5, "remaining": 4, "resets_at": NOW}}}},
        "images": [{"building": {"machine": "b", "began": NOW}}]}  # fmt: skip
    shown = View(
        version=1, time=NOW, scaler="here", stopping=False,
        profiles={"linux": ProfileView(profile=made, demand=1, target=2, ceiling=1,
                                       counts={RunnerState.BUSY: 1}, why="w")},
        jobs=(work,), runners=(runner,), waiting={("linux", "j"): "w"},
        rooms={"p": (Room(name="r", total={"memory": 1}, refuses={"linux": "w"}),)},
        reports=(Report(plugin="p", profile="linux", ok=False, text="t", time=NOW, facts=facts),
                 Report(plugin="p", profile="x", ok=True, text="t", time=NOW, facts=facts)),
        events=(Event(time=NOW, text="t", profile="p", runner=1, job="j"),),
        override=Override(counts={"linux": 1}, targets={"linux": 1}, since=NOW, until=NOW, by="b"),
        builders=(Machine(runner=None, id="b", profile="linux", room="r", why="w", facts={
            "role": "r", "paused": "p"}),),
    )  # fmt: skip
    beside = Beside(
        panels={"p": Panel(title="t", data={"d": "d"}, html="<p>h</p>")},
        shots={7: Shot(time=NOW, version="v"), "linux": Shot(time=NOW, version="v")},
        samples={"linux": [Sample(alive=1, busy=1, target=2)] * 3},
        remains=Remains(
            failed=(Ended(id=7, name="n", profile="linux", time=NOW, why="w", kept=("k",)),),
            profiles={"linux": ("k",)},
        ),
    )
    return shown, beside


def test_d24_every_text_of_every_record_is_escaped() -> None:
    shown, beside = everything()
    wanted = [(tag, set(each)) for tag, each in Reader(fragment(shown, beside).html).elements]
    assert {"script", "style"}.isdisjoint(tag for tag, _ in wanted)
    for payload in PAYLOADS:
        bad_view = hostile(shown, payload)
        bad = fragment(
            bad_view,
            replace(
                beside,
                panels=hostile(beside.panels, payload),
                remains=hostile(beside.remains, payload),
            ),
        )
        page = Pages().page(bad, payload)
        page.encode()
        elements = Reader(bad.html).elements
        for tag, attributes in elements:
            assert tag not in ("script", "style", "iframe", "base", "form"), payload
            assert not [name for name in attributes if name.startswith("on")], payload
            for name in ("href", "src"):
                target = attributes.get(name) or ""
                assert re.match(r"#|runner/|profile/|dashboard\.json$", target) or not target, (
                    payload
                )
        images = [each["src"] for tag, each in elements if tag == "img"]
        assert all(re.match(r"(runner|profile)/", each or "") for each in images)
        inside = re.sub(r"\s+", " ", payload.encode(errors="replace").decode())
        assert inside.strip() in Reader(bad.html).text
        head = page.partition("<header>")[0] + "</body></html>"
        scripts = [each for tag, each in Reader(head).elements if tag == "script"]
        assert [each["src"] for each in scripts] == ["assets/page.js?v="]


def test_nothing_at_all() -> None:
    made = fragment(WELL)
    assert "No profile is set up." in Reader(made.html).text
