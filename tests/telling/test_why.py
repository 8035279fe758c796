"""Why something waits, is held or ended: what is found by a name, and in what order it is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.telling.views import (
    MACHINE,
    NOW,
    REGISTRATION,
    drained,
    extras,
    job,
    paused,
    profile,
    report,
    runner,
    view,
    waiting,
)

from scaler.records import (
    Event,
    Kept,
    Machine,
    Registration,
    Reservation,
    Room,
    RoomState,
    RunnerState,
    View,
)
from scaler.telling import Ended, Source, Story, Unknown, Waits, runner_of, why

SOURCE = Source(owed=2, waiting=1, reported=True, at=NOW - 30)


def one(given_: View, about: str, **more: Any) -> dict[str, Any]:
    found = why(given_, extras(**more), about)["found"]
    assert len(found) == 1, found
    first: dict[str, Any] = found[0]
    assert json.loads(json.dumps(first)) == first
    return first


def facts(told: dict[str, Any]) -> dict[str, str]:
    return dict(told["facts"])


# --- a job


def test_a_job_that_waits_says_what_holds_it_and_what_comes() -> None:
    here = view(
        profile(counts={"busy": 3, "booting": 1}, demand=5, target=4),
        **waiting(job(1, queued=NOW - 840, repository="o/r", workflow="ci", run_id="99")),
        runners=(runner(8, RunnerState.BOOTING), runner(7, RunnerState.BOOTING, since=NOW - 60)),
    )
    told = one(here, "j1", sources={"linux": SOURCE})
    assert (told["kind"], told["name"]) == ("job", "j1")
    assert (told["text"], told["cure"]) == ("max_count is 4", "raise max_count")
    assert told["facts"] == [
        ["state", "assigned"],
        ["queued", "21:59 UTC (14 min ago)"],
        ["profile", "linux"],
        ["may have", "4 now (max_count 4)"],
        ["target", "4 (target_count 0)"],
        ["runners", "3 busy, 1 booting"],
        ["needed by jobs", "5"],
        ["next runner", "linux.7@host is booting since 22:12 UTC (60 s ago) (and 1 more)"],
        ["source", "2 owed, 1 waiting, at 22:12 UTC (30 s ago)"],
        ["repository", "o/r"],
        ["workflow", "ci"],
        ["run", "99"],
    ]


def test_a_job_for_which_nothing_comes() -> None:
    told = one(view(**waiting(job(1))), "j1", heard={("linux", "j1"): NOW - 20})
    assert facts(told)["next runner"] == "none is on its way"
    assert facts(told)["last heard of"] == "22:13 UTC (20 s ago)"


def test_a_job_that_runs_says_where() -> None:
    running = job(1, "running", runner_name="linux.7@host")
    here = view(jobs=(running,), runners=(runner(7, RunnerState.BUSY),))
    told = one(here, "j1")
    assert told["text"] == "it runs on linux.7@host"
    assert facts(told)["runner"] == "linux.7@host is busy since 22:12 UTC (60 s ago)"
    told = one(view(jobs=(running,)), "j1")
    assert facts(told)["runner"] == "linux.7@host, which is no more"


def test_a_job_that_is_done_says_how() -> None:
    here = view(jobs=(job(1, "done", result="failed"),))
    assert one(here, "j1")["text"] == "it is done: failed"
    assert facts(one(here, "j1"))["state"] == "done (failed)"


def test_a_job_is_told_of_with_what_its_plugins_say_and_what_happened_to_it() -> None:
    events = (Event(time=1.0, text="job j1 is assigned", job="j1"), Event(time=2.0, text="other"))
    here = view(**waiting(job(1)), reports=(report(), report("x", plugin="z")), events=events)
    told = one(here, "j1")
    assert facts(told)["queue says"] == "not ok: the token is refused"
    assert "z says" not in facts(told)
    assert told["events"] == [{"time": 1.0, "text": "job j1 is assigned"}]


def test_a_run_is_found_as_all_of_its_jobs() -> None:
    jobs = (job(1, run_id="99"), job(2, run_id="99"), job(3))
    found = why(view(jobs=jobs), extras(), "99")["found"]
    assert [each["name"] for each in found] == ["j1", "j2"]


# --- a runner


def test_a_runner_says_its_state_its_place_and_its_story() -> None:
    seven = runner(
        7,
        RunnerState.RESERVED,
        reason="promised",
        machine=MACHINE,
        registration=REGISTRATION,
        reservation=Reservation(unique_id="u", qualified_repo="o/r", run_id="1", since=NOW - 9),
    )
    story = Story(events=(Event(time=1.0, text="linux.7@host is planned", runner=7),))
    kept = (Kept(name="serial.log", size=9, time=2.0),)
    told = one(
        view(runners=(seven,)),
        "linux.7",
        stories={7: story},
        kept={7: kept},
        evidence="/s/evidence",
    )
    assert (told["kind"], told["name"], told["text"]) == ("runner", "linux.7@host", "promised")
    assert told["facts"] == [
        ["state", "reserved since 22:12 UTC (60 s ago)"],
        ["means", "it is promised to someone, and waits for that job"],
        ["made", "22:11 UTC (2 min ago)"],
        ["profile", "linux"],
        ["reserved for", "u since 22:13 UTC (9 s ago)"],
        ["room", "vm/a"],
        ["machine", "vm-7"],
        ["addresses", "192.0.2.7"],
        ["registration", "online, not busy"],
    ]
    assert told["events"] == [{"time": 1.0, "text": "linux.7@host is planned"}]
    path = "/s/evidence/runner-7/serial.log"
    assert told["kept"] == [{"name": "serial.log", "size": 9, "time": 2.0, "path": path}]


def test_a_runner_that_is_being_retired_says_what_went_wrong_and_when_it_is_tried_again() -> None:
    here = view(runners=(runner(7, RunnerState.RETIRING, reason="surplus"),))
    told = facts(one(here, "7", retries={7: NOW + 32}, errors={7: "the host is down"}))
    assert (told["next try"], told["last error"]) == ("in 32 s", "the host is down")
    assert facts(one(here, "7"))["next try"] == "goes on now"
    assert facts(one(here, "7", retries={7: NOW - 1}))["next try"] == "now"


def test_a_runner_that_is_held_says_until_when_and_how_to_let_it_go() -> None:
    here = view(runners=(runner(7, RunnerState.HELD, until=NOW + 3600, job="j1", result="failed"),))
    told = facts(one(here, "7"))
    assert told["held until"] == "23:13 UTC, or: scaler release 7"
    assert told["job"] == "j1 (failed)"


@pytest.mark.parametrize(
    ("registration", "told"),
    [
        (Registration(name="x"), "not known whether online, not known whether busy"),
        (Registration(name="x", online=False, busy=True), "not online, busy"),
        (Registration(name="x", gone=True), "gone"),
    ],
    ids=["unknown", "offline", "gone"],
)
def test_registrations(registration: Registration, told: str) -> None:
    here = view(runners=(runner(7, registration=registration),))
    assert facts(one(here, "7"))["registration"] == told


def test_a_machine_that_stopped_says_why() -> None:
    stopped = Machine(runner=7, id="vm-7", state="stopped", why="it shut down")
    assert facts(one(view(runners=(runner(7, machine=stopped),)), "7"))["machine"] == (
        "vm-7, stopped: it shut down"
    )


def test_a_runner_that_ended_says_what_is_kept_of_it() -> None:
    event = Event(time=NOW - 60, text="linux.7@host is gone", runner=7, job="j1")
    kept = {7: (Kept(name="reason.txt", size=9, time=2.0), Kept(name="serial.log", size=9, time=3))}
    told = one(
        view(events=(event,)),
        "linux.7@host",
        ended={7: Ended(id=7, reason="its job failed")},
        kept=kept,
        evidence="/s/evidence",
    )
    assert told["text"] == "its job failed"
    assert told["facts"] == [
        ["state", "ended at 22:12 UTC (60 s ago)"],
        ["kept", "2 files in /s/evidence/runner-7"],
        ["job", "j1"],
    ]
    assert one(view(), "7", ended={7: Ended(id=7)})["text"] == (
        "it is no more, and nothing is kept of it"
    )


@pytest.mark.parametrize(
    ("about", "number"),
    [
        ("7", 7),
        ("linux.7", 7),
        ("linux.7@host", 7),
        ("9", 9),
        ("linux.9@host", 9),
        ("win.7", None),
        ("linux.7@other", None),
        ("0", None),
        ("07", None),
        ("-7", None),
        ("linux", None),
        ("linux.", None),
        (".7", None),
        ("٧", None),
        ("9" * 30, None),
        ("", None),
    ],
)
def test_which_runner_a_text_means(about: str, number: int | None) -> None:
    assert runner_of(about, view(runners=(runner(7),))) == number


# --- a profile, a plugin, a room


def test_a_profile_says_the_plans_own_words_then_the_cure_then_the_facts() -> None:
    here = view(
        profile(target=2, counts={"idle": 1}, why="no room has 2G left", cure="add a host"),
        **waiting(job(1, queued=NOW - 840), job(2, queued=NOW)),
        rooms={"vm": (Room(name="a", refuses={"linux": "its image is being built"}),)},
    )
    waits = Waits(failures=2, error="the pool is full", until=NOW + 32)
    told = one(here, "linux", sources={"linux": SOURCE}, waits={"linux": waits})
    assert (told["kind"], told["text"], told["cure"]) == (
        "profile",
        "no room has 2G left",
        "add a host",
    )
    assert facts(told) == {
        "may have": "4 now (max_count 4)",
        "target": "2 (target_count 0)",
        "runners": "1 idle",
        "needed by jobs": "0",
        "waiting": "2 jobs, the longest for 14 min",
        "failures": "2 in a row, the last: the pool is full",
        "next try": "in 32 s",
        "source": "2 owed, 1 waiting, at 22:12 UTC (30 s ago)",
        "room vm/a": "up, its image is being built",
    }


def test_a_profile_that_nothing_holds() -> None:
    told = one(view(profile(counts={"idle": 1}, target=1)), "linux")
    assert told["text"] == "nothing holds it: 1 runner, and a target of 1"


def test_a_profile_whose_source_is_ill_is_not_said_to_be_well() -> None:
    here = view(profile(counts={"idle": 1}, target=1), reports=(report(),))
    told = one(here, "linux")["text"]
    assert told == "it has 1 runner, and a target of 1; queue is not well: the token is refused"
    other = report("slow", profile="windows")
    assert one(view(reports=(other,)), "linux")["text"].startswith("nothing holds it")


def test_a_profile_that_is_paused_or_leaves_says_so_first() -> None:
    told = one(view(profile(paused=paused())), "linux")
    assert told["facts"][0] == ["paused", "since 22:03 UTC (10 min ago) by root"]
    assert one(view(profile(leaving=True)), "linux")["facts"][0][0] == "leaving"


def test_a_source_that_is_silent() -> None:
    silent = Source(owed=0, waiting=0, reported=False, at=None)
    told = one(view(), "linux", sources={"linux": silent})
    assert facts(told)["source"] == "has reported nothing since the start"


def test_a_plugin_says_what_it_says() -> None:
    here = view(reports=(report(), report("well", profile="linux", ok=True)))
    told = one(here, "queue")
    assert told["text"] == "the token is refused"
    assert told["facts"] == [["all", "not ok: the token is refused"], ["linux", "ok: well"]]


@pytest.mark.parametrize("about", ["a", "vm/a"])
def test_a_room_says_what_is_left_there(about: str) -> None:
    rooms = {"vm": (Room(name="a", state=RoomState.DRAINING),)}
    told = one(view(orders=(drained(),), rooms=rooms, runners=(runner(7),)), about)
    assert (told["text"], told["cure"]) == ("it is drained", "scaler undrain vm/a")
    assert facts(told)["linux.7@host"] == "idle since 22:12 UTC (60 s ago)"
    told = one(view(orders=(drained(),), rooms=rooms), about)
    assert told["text"] == "it is drained: nothing of scaler's is there"
    assert one(view(), about)["text"] == "it is up"


def test_a_room_that_is_drained_by_its_settings_says_where() -> None:
    rooms = {"vm": (Room(name="a", state=RoomState.DRAINING),)}
    told = one(view(rooms=rooms), "a")
    assert told["text"] == "it takes nothing new: vm says so by itself, and no order does"
    assert "[plugins.vm]" in told["cure"]
    assert "scaler reload" in told["cure"]


def test_a_room_that_is_down_says_so_also_where_it_is_drained() -> None:
    rooms = {"vm": (Room(name="a", state=RoomState.DOWN),)}
    told = one(view(rooms=rooms), "a")
    assert told["text"] == "it cannot be reached: what is there is unknown"
    assert told["cure"]
    told = one(view(rooms=rooms, orders=(drained(),)), "a")
    assert told["text"].endswith("; it is drained, too")


# --- by no name, and by a wrong one


def test_without_a_name_all_that_is_held_is_told_of() -> None:
    here = view(
        profile(),
        profile("win", target=1, why="no room"),
        profile("mac", paused=paused("mac")),
        profile("old", leaving=True),
        **waiting(job(1), job(2, "running")) | {"waiting": {("linux", "j1"): "x"}},
        reports=(report(), report("well", plugin="vm", ok=True)),
        runners=(runner(7), runner(8, RunnerState.RETIRING, since=NOW - 999)),
    )
    found = why(here, extras())["found"]
    assert [(each["kind"], each["name"]) for each in found] == [
        ("profile", "win"),
        ("profile", "mac"),
        ("profile", "old"),
        ("plugin", "queue"),
        ("job", "j1"),
        ("runner", "linux.8@host"),
    ]
    assert why(view(), extras()) == {"found": [], "more": 0}


def test_not_more_than_can_be_read() -> None:
    found = why(view(**waiting(*map(job, range(250)))), extras())
    assert (len(found["found"]), found["more"]) == (100, 150)


def test_a_number_that_is_a_runner_and_a_job_is_both() -> None:
    here = view(jobs=(job(1),), runners=(runner(7),))
    both = View(
        **{**vars(here), "jobs": (type(job(1))(id="7", state="assigned", profile="linux"),)}
    )
    assert [each["kind"] for each in why(both, extras(), "7")["found"]] == ["runner", "job"]


def test_a_wrong_name_is_met_by_the_nearest_and_by_what_there_is() -> None:
    with pytest.raises(Unknown) as error:
        why(view(runners=(runner(7),)), extras(), "lynux")
    assert error.value.text == (
        'there is no profile, runner or job "lynux" (did you mean linux or linux.7?);'
        " profiles: linux (labels gpu)"
    )
    assert "a job whose labels no profile has is never told to scaler" in error.value.fix


def test_many_profiles_are_not_all_named() -> None:
    here = view(*(profile(f"p{number}") for number in range(30)))
    with pytest.raises(Unknown, match="and 20 more"):
        why(here, extras(), "zzz")


@given(st.text(max_size=30))
def test_any_name_is_found_or_refused(about: str) -> None:
    here = view(runners=(runner(7),), **waiting(job(1)), reports=(report(),))
    try:
        found = why(here, extras(), about)["found"]
    except Unknown:
        found = [{"kind": "none"}]
    assert found
