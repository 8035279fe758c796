from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from scaler import (
    Event,
    Job,
    Machine,
    Override,
    Profile,
    ProfileView,
    Registration,
    Report,
    Reservation,
    Room,
    Runner,
    RunnerState,
    View,
)
from scaler_monitor.page.dashboard import Status, problems, runner, status, unready

from .views import dashboard

EMPTY = View(
    version=7,
    time=1000.0,
    scaler="here",
    stopping=False,
    profiles={},
    jobs=(),
    runners=(),
    rooms={},
    reports=(),
    waiting={},
    events=(),
)


def profile(name: str = "linux", target: int = 0, **more: Any) -> ProfileView:
    made = Profile(name=name, source="queue")
    return ProfileView(profile=made, demand=0, target=target, ceiling=target, counts={}, **more)


def one(number: int, state: RunnerState, **more: Any) -> Runner:
    name = f"linux.{number}@here"
    machine = Machine(runner=number, id=f"uuid-{number}")
    more = {"profile": "linux", "machine": machine, **more}
    return Runner(id=number, name=name, state=state, **more)


@pytest.mark.parametrize("machine", [True, False])
@pytest.mark.parametrize("state", RunnerState)
def test_status(state: RunnerState, machine: bool) -> None:
    expected = {
        RunnerState.PLANNED: "StartedOrCrashed",
        RunnerState.REGISTERED: "StartedOrCrashed",
        RunnerState.BOOTING: "StartedOrCrashed",
        RunnerState.IDLE: "Idle",
        RunnerState.RESERVED: "Reserved",
        RunnerState.BUSY: "Busy",
        RunnerState.HELD: "DoneOrUnregistered",
        RunnerState.RETIRING: "DoneOrUnregistered" if machine else "Invalid",
        RunnerState.GONE: "Invalid",
    }
    assert status(state, machine=machine) == expected[state]


def test_every_word_is_used() -> None:
    said = {status(state, machine=has) for state in RunnerState for has in (True, False)}
    assert said == set(Status)


def test_counts() -> None:
    runners = [
        one(1, RunnerState.PLANNED, machine=None),
        one(2, RunnerState.BOOTING),
        one(3, RunnerState.IDLE),
        one(4, RunnerState.RESERVED),
        one(5, RunnerState.BUSY),
        one(6, RunnerState.BUSY),
        one(7, RunnerState.RETIRING),
        one(8, RunnerState.RETIRING, machine=None),
        one(9, RunnerState.IDLE, profile="left-over"),
    ]
    profiles = {"linux": profile(target=10), "small": profile("small", 2)}
    view = replace(EMPTY, profiles=profiles, runners=tuple(runners))
    counts = dashboard(view)["profile_runner_counts"]
    assert counts["linux"] == {
        "target": 10,
        "healthy": 7,
        "started_or_crashed": 2,
        "idle": 1,
        "reserved": 1,
        "busy": 2,
        "excess_healthy": 0,
        "wanted": 3,
        "image_age": None,
    }
    assert counts["small"]["wanted"] == 2
    assert set(counts) == {"linux", "small"}

    fewer = replace(view, profiles={"linux": profile(target=5)})
    linux = dashboard(fewer)["profile_runner_counts"]["linux"]
    assert (linux["excess_healthy"], linux["wanted"]) == (2, 0)


def test_a_runner_with_everything() -> None:
    busy = one(
        7,
        RunnerState.BUSY,
        created=900.5,
        room="planned here",
        registration=Registration(name="linux.7@here", ref="4711", online=True, busy=True),
        machine=Machine(
            runner=7, id="uuid", room="vm1", addresses=("fe80::1", "192.168.100.7", "10.0.0.7")
        ),
        reservation=Reservation(unique_id="u", qualified_repo="a/b", run_id="5", since=950.0),
        job="job-1",
    )
    linux = profile()
    labelled = replace(linux.profile, labels=("self-hosted-image:linux",))
    view = replace(EMPTY, profiles={"linux": replace(linux, profile=labelled)}, runners=(busy,))
    assert dashboard(view, base="https://here.example/")["runners"] == [
        {
            "id": 7,
            "screenshot_url": "https://here.example/runner/7/screenshot",
            "runner": {
                "id": 7,
                "name": "linux.7@here",
                "profile": "linux",
                "status": "Busy",
                "created_time": 900.5,
                "registration": {
                    "id": 4711,
                    "name": "linux.7@here",
                    "status": "online",
                    "busy": True,
                    "labels": [
                        {"name": "self-hosted"},
                        {"name": "self-hosted-image:linux"},
                        {"name": "reserved-for:u"},
                        {"name": "reserved-since:950"},
                        {"name": "reserved-by:a/b/actions/runs/5"},
                    ],
                },
                "guest_name": "uuid",
                "ipv4_address": "192.168.100.7",
                "host": "vm1",
                "job": "job-1",
                "reservation": {
                    "unique_id": "u",
                    "qualified_repo": "a/b",
                    "run_id": "5",
                    "since": 950.0,
                },
            },
            "state": "busy",
            "reason": None,
            "since": None,
            "failed": False,
            "result": None,
            "until": None,
            "facts": {},
        }
    ]


def test_a_runner_that_is_held_and_one_that_stands_still() -> None:
    machine = Machine(runner=1, id="m", facts={"domain": "linux.1", "paused": "no space", "x": {1}})
    held = one(1, RunnerState.HELD, failed=True, result="failed", until=2000.0, since=990.0,
               reason="its job ended: failed", machine=machine)  # fmt: skip
    [shown] = dashboard(replace(EMPTY, runners=(held,)))["runners"]
    del shown["id"], shown["screenshot_url"], shown["runner"]
    assert shown == {
        "state": "held",
        "reason": "its job ended: failed",
        "since": 990.0,
        "failed": True,
        "result": "failed",
        "until": 2000.0,
        "facts": {"domain": "linux.1", "paused": "no space", "x": [1]},
    }
    [bare] = dashboard(replace(EMPTY, runners=(replace(held, machine=None),)))["runners"]
    assert bare["facts"] == {}


def test_what_is_not_known_is_null() -> None:
    fresh = runner(one(1, RunnerState.PLANNED, machine=None))
    known = {name for name, value in fresh.items() if value is not None}
    assert known == {"id", "name", "profile", "status"}

    registered = one(
        2,
        RunnerState.REGISTERED,
        machine=None,
        room="vm1",
        registration=Registration(name="linux.2@here", ref="opaque"),
    )
    shown = runner(registered)
    assert shown["host"] == "vm1"
    assert shown["registration"] == {
        "id": "opaque",
        "name": "linux.2@here",
        "status": None,
        "busy": None,
        "labels": None,
    }
    offline = replace(registered, registration=Registration(name="n", online=False))
    assert runner(offline)["registration"]["status"] == "offline"
    assert runner(offline)["registration"]["id"] is None


def test_jobs_say_why_they_wait_and_events_what_happened() -> None:
    jobs = (
        Job(id="j1", state="assigned", profile="linux", name="build", labels=("linux",)),
        Job(id="j1", state="running", profile="other", runner_name="other.1@here"),
    )
    view = replace(
        EMPTY,
        profiles={"linux": profile(why="no room: vm1 is full")},
        jobs=jobs,
        waiting={("linux", "j1"): "no room: vm1 is full"},
        events=(Event(time=999.0, text="it is gone", profile="linux", runner=1),),
    )
    shown = dashboard(view)
    assert [(job["profile"], job["waiting"]) for job in shown["jobs"]] == [
        ("linux", "no room: vm1 is full"),
        ("other", None),
    ]
    assert shown["jobs"][0]["labels"] == ["linux"]
    assert "ref" not in shown["jobs"][0]
    assert shown["profiles"]["linux"]["why"] == "no room: vm1 is full"
    assert shown["events"] == [
        {
            "time": 999.0,
            "text": "it is gone",
            "profile": "linux",
            "runner": 1,
            "job": None,
        }
    ]
    json.dumps(shown)


def test_nothing_at_all() -> None:
    shown = dashboard(EMPTY)
    assert shown["profile_runner_counts"] == {}
    assert shown["runners"] == []
    assert (shown["scaler"], shown["version"], shown["degraded"]) == ("here", 7, [])


def report(plugin: str, profile: str = "", ok: bool = True) -> Report:
    return Report(plugin=plugin, profile=profile, ok=ok, text=f"{plugin} says", time=990.0)


@pytest.mark.parametrize(
    ("reports", "wrong"),
    [
        ([], ["linux", "small"]),
        ([report("queue", "linux")], ["small"]),
        ([report("queue", "linux"), report("queue", "small")], []),
        ([report("queue")], []),
        ([report("libvirt")], ["linux", "small"]),
        ([report("queue", "linux", ok=False), report("queue", "small")], ["linux"]),
        ([report("queue"), report("libvirt", ok=False)], [None]),
    ],
)
def test_ready_when_sources_have_reported_and_nothing_is_wrong(
    reports: list[Report], wrong: list[str | None]
) -> None:
    view = replace(
        EMPTY,
        profiles={"linux": profile(), "small": profile("small")},
        reports=tuple(reports),
    )
    assert [each["profile"] for each in problems(view)] == wrong
    assert unready(view) == problems(view)
    assert dashboard(view)["degraded"] == problems(view)


@pytest.mark.parametrize("own", ["settings", "ledger", "control"])
def test_what_keeps_it_from_no_job_is_shown_and_it_is_ready(own: str) -> None:
    view = replace(EMPTY, reports=(report(own, ok=False),))
    assert unready(view) == []
    assert [each["plugin"] for each in problems(view)] == [own]
    assert dashboard(view)["degraded"] == problems(view)


def test_not_ready_while_stopping() -> None:
    assert [each["text"] for each in problems(replace(EMPTY, stopping=True))] == ["stopping"]


def test_a_problem_says_whose_it_is() -> None:
    view = replace(EMPTY, reports=(report("libvirt", ok=False),))
    assert problems(view) == [
        {"text": "libvirt says", "plugin": "libvirt", "profile": None, "since": 990.0}
    ]


def test_rooms_with_what_is_used() -> None:
    def takes(number: int, room: str, state: RunnerState = RunnerState.BUSY) -> Runner:
        resources = {"memory": 4, "vcpus": 2}
        return one(number, state, provisioner="libvirt", room=room, resources=resources)

    refuses = {"linux": "its image is being built", "nobody": "no profile"}
    refusing = Room(name="vm2", refuses=refuses)
    runners = (takes(1, "vm1"), takes(2, "vm1"), takes(3, "vm9"), takes(4, "vm1", RunnerState.GONE))
    rooms = {"libvirt": (Room(name="vm1", total={"memory": 16}), refusing)}
    profiles = {"linux": profile()}
    shown = dashboard(replace(EMPTY, profiles=profiles, runners=runners, rooms=rooms))
    assert shown["rooms"] == [
        {
            "plugin": "libvirt",
            "name": "vm1",
            "state": "up",
            "drained": None,
            "total": {"memory": 16},
            "used": {"memory": 8, "vcpus": 4},
            "refuses": {},
        },
        {
            "plugin": "libvirt",
            "name": "vm2",
            "state": "up",
            "drained": None,
            "total": {},
            "used": {},
            "refuses": {"linux": "its image is being built"},
        },
    ]


def test_builders_overrides_and_the_age_of_images() -> None:
    aged = replace(report("libvirt", "linux"), facts={"image_age": 50.0, "odd": {1, object}})
    view = replace(
        EMPTY,
        profiles={"linux": profile()},
        reports=(aged,),
        override=Override(counts={"linux": 1}, targets={"linux": 2}, since=900.0, until=2000.0),
        builders=(Machine(runner=None, id="b", profile="a b", addresses=("10.0.0.1",)),),
    )
    shown = dashboard(view)
    assert shown["profile_runner_counts"]["linux"]["image_age"] == 60.0
    assert shown["override"] == {
        "counts": {"linux": 1},
        "targets": {"linux": 2},
        "since": 900.0,
        "until": 2000.0,
        "by": None,
    }
    [builder] = shown["builders"]
    assert builder["screenshot_url"] == "/profile/a%20b/screenshot"
    assert builder["ipv4_address"] == "10.0.0.1"
    assert (builder["role"], builder["began"], builder["why"]) == (None, None, None)
    assert shown["reports"][0]["facts"]["image_age"] == 50.0
    json.dumps(shown)


def test_builders_say_what_they_do_and_since_when() -> None:
    images = [{"building": {"machine": "b", "began": 700.0}}, {"building": None}, 7]
    view = replace(
        EMPTY,
        reports=(replace(report("libvirt", "linux"), facts={"images": images}),),
        builders=(Machine(runner=None, id="b", profile="linux", facts={"role": "smoke"}),),
    )
    [builder] = dashboard(view)["builders"]
    assert (builder["role"], builder["began"]) == ("smoke", 700.0)
    assert builder["facts"] == {"role": "smoke"}


def test_the_verdict_for_programs() -> None:
    shown = dashboard(replace(EMPTY, reports=(report("libvirt", ok=False),)))
    assert shown["verdict"] == {"level": "bad", "text": "Not well: libvirt: libvirt says"}
