"""What people told scaler, on the page."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from scaler import Job, Order, Room, RoomState, View
from scaler_monitor.page import dashboard, verdict
from scaler_monitor.page.fragment import Pages
from scaler_monitor.page.scene import Beside

from .views import NOW, view

PAUSE = Order(kind="pause", name="linux", since=NOW - 600, by="alice")
DRAIN = Order(kind="drain", name="libvirt/vm1", since=NOW - 60, by="bob")


def ordered() -> View:
    """A paused profile with a job that has waited for long, a drained room, a pending restart."""
    before = view()
    profile = replace(
        before.profiles["linux"],
        paused=PAUSE,
        target=2,
        counts={},
        why="paused since 12:00 UTC by alice",
        cure="scaler resume linux",
    )
    job = Job(id="1", state="assigned", profile="linux", queued=NOW - 5000)
    return replace(
        before,
        profiles=MappingProxyType({**before.profiles, "linux": profile}),
        jobs=(job,),
        waiting={("linux", "1"): profile.why},
        cures={("linux", "1"): profile.cure},
        rooms=MappingProxyType(
            {"libvirt": (Room(name="vm1", total={}, state=RoomState.DRAINING),)}
        ),
        orders=(PAUSE, DRAIN),
        restart=("plugins.monitor.listen: it is listening",),
    )


def test_what_somebody_wanted_is_no_reason_to_be_woken() -> None:
    judged = verdict.judge(ordered(), now=NOW)
    assert judged.level is verdict.Level.NOTE
    texts = [each.text for each in (*judged.told, *judged.rest)]
    assert any("paused since" in text for text in texts)
    assert any("after a restart: plugins.monitor.listen" in text for text in texts)


def test_the_page_says_who_and_what_ends_it() -> None:
    made = Pages().fragment(ordered(), (), Beside(), now=NOW)
    assert ">paused</span>" in made.parts["profiles"]
    assert "→ scaler resume linux" in made.parts["profiles"]
    assert "→ scaler resume linux" in made.parts["waiting"]
    assert "drained by bob" in made.parts["rooms"]


def test_programs_are_told() -> None:
    told = dashboard.around(ordered(), [])
    assert told["profiles"]["linux"]["paused"]["by"] == "alice"
    assert told["profiles"]["linux"]["cure"] == "scaler resume linux"
    assert told["jobs"][0]["cure"] == "scaler resume linux"
    assert told["rooms"][0]["drained"]["by"] == "bob"
    assert [each["kind"] for each in told["orders"]] == ["pause", "drain"]
    assert told["restart"] == ["plugins.monitor.listen: it is listening"]
