"""What is told of how everything is, and what a person has to look at."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.telling.views import (
    MACHINE,
    NOW,
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

from scaler.records import Machine, Override, Reservation, Room, RoomState, RunnerState, View
from scaler.telling import Extras, Source, Waits, status

HELD: dict[str, Any] = {"target": 1, "why": "no room has 8G left", "cure": "add a host"}


def told(given_: View, **more: Any) -> list[tuple[str, str, str, bool]]:
    found = status(given_, extras(**more))["problems"]
    return [(each["about"], each["text"], each["cure"], each["order"]) for each in found]


def is_ok(given_: View, **more: Any) -> bool:
    found: bool = status(given_, extras(**more))["ok"]
    return found


def test_all_is_well() -> None:
    found = status(view(), extras())
    assert (found["ok"], found["problems"]) == (True, [])
    assert (found["running"], found["time"], found["as_of"]) == (True, NOW, NOW)
    assert (found["version"], found["pid"], found["started"]) == ("1", 7, NOW - 3600)


def test_what_the_source_keeps_is_told() -> None:
    source = Source(owed=4, waiting=12, reported=True, at=NOW)
    [linux] = status(view(profile()), extras(sources={"linux": source}))["profiles"]
    assert linux["waiting"] == 12
    [linux] = status(view(profile()), extras())["profiles"]
    assert linux["waiting"] == 0


def test_everything_is_there_and_plain() -> None:
    reserved = Reservation(unique_id="u", qualified_repo="o/r", run_id="1", since=NOW)
    found = status(
        view(
            profile(counts={RunnerState.BUSY: 1}, paused=paused()),
            runners=(runner(7, RunnerState.RESERVED, machine=MACHINE, reservation=reserved),),
            **waiting(job(1, name="build", queued=NOW), job(2, "done")),
            reports=(report(),),
            orders=(paused(), drained()),
            override=Override(counts={"linux": 1}, targets={"linux": 2}, since=NOW, until=NOW + 9),
            restart=("scaler.name: another",),
        ),
        extras(
            builders=(("vm", Machine(runner=None, id="b", room="a")),),
            reload={"time": NOW, "ok": True, "problems": []},
        ),
    )
    assert json.loads(json.dumps(found)) == found
    assert found["profiles"][0]["counts"] == {"busy": 1}
    assert found["profiles"][0]["paused"] == {"since": NOW - 600, "by": "root"}
    assert (
        found["runners"][0] | {"reserved_for": "u", "machine": "vm-7", "state": "reserved"}
        == (found["runners"][0])
    )
    assert [(each["id"], each["why"], each["cure"]) for each in found["jobs"]] == [
        ("j1", "max_count is 4", "raise max_count")
    ]
    assert found["orders"][1]["name"] == "vm/a"
    assert found["override"]["targets"] == {"linux": 2}
    assert found["restart"] == ["scaler.name: another"]
    (room,) = found["rooms"]
    assert room["drained"] == {"since": NOW - 600, "by": "root"}
    assert (room["runners"], room["machines"]) == (1, 2), "its builders count as machines"
    assert (room["total"], room["used"]) == ({"memory": 8}, {"memory": 2})


def test_a_profile_under_its_target_is_told_of_with_its_cure() -> None:
    assert told(view(profile(**HELD))) == [
        ("profile linux", "no room has 8G left", "add a host", False)
    ]
    assert not is_ok(view(profile(**HELD)))


def test_a_profile_that_may_have_no_runner_is_told_of() -> None:
    here = profile(ceiling=0, why="the rooms have not answered")
    assert told(view(here))[0][1] == "the rooms have not answered"


@pytest.mark.parametrize(
    "here",
    [
        profile(target=4, counts={"busy": 4}, why="max_count is 4, and 6 jobs need a runner"),
        profile(max_count=0, ceiling=0, why=""),
        profile(target=2, counts={"booting": 2}),
    ],
    ids=["as many as it may have", "none wanted", "they are coming"],
)
def test_a_profile_that_has_what_it_should_is_no_problem(here: Any) -> None:
    assert told(view(here)) == []


def test_a_profile_that_is_stopped_is_told_of_though_nothing_asks_for_it() -> None:
    waits = Waits(failures=3, error="x", until=NOW + 600, stopped="3 machines in a row stopped")
    assert told(view(), waits={"linux": waits})[0][1] == "3 machines in a row stopped"
    assert len(told(view(profile(**HELD)), waits={"linux": waits})) == 1


def test_while_it_stops_that_is_no_problem() -> None:
    assert told(view(profile(ceiling=0, target=1, why="stopping"), stopping=True)) == []


def test_jobs_that_wait_for_long_are_told_of_together() -> None:
    jobs = [job(number, queued=NOW - 60 * number) for number in range(10)]
    assert told(view(**waiting(*jobs))) == [
        (
            "profile linux",
            "5 jobs wait, the longest for 9 min: max_count is 4",
            "raise max_count",
            False,
        )
    ]


def test_a_job_of_which_nobody_told_when_it_was_queued_waits_since_it_was_heard_of() -> None:
    here = view(**waiting(job(1)))
    assert told(here, heard={("linux", "j1"): NOW - 301})[0][1] == (
        "1 job waits for 5 min: max_count is 4"
    )
    assert told(here, heard={("linux", "j1"): NOW - 299}) == []
    assert told(here) == []
    (only,) = status(here, extras(heard={("linux", "j1"): NOW - 299}))["jobs"]
    assert (only["queued"], only["since"]) == (None, NOW - 299)


def test_jobs_of_a_profile_that_is_told_of_are_not_told_of_again() -> None:
    old = waiting(job(1, queued=NOW - 9999))
    assert len(told(view(profile(**HELD), **old))) == 1
    assert len(told(view(profile(paused=paused()), orders=(paused(),), **old))) == 1


def test_rooms_that_are_down() -> None:
    here = view(rooms={"vm": (Room(name="a", state=RoomState.DOWN),)})
    assert told(here)[0][:2] == ("room vm/a", "cannot be reached: what is there is unknown")
    assert not is_ok(here)
    assert told(replace(here, stopping=True)) == [], "its plugin has ended"


def test_rooms_that_are_drained_by_their_settings() -> None:
    here = view(rooms={"vm": (Room(name="a", state=RoomState.DRAINING),)})
    assert told(here)[0][0] == "room vm/a"
    assert told(here)[0][1:3] == (
        "takes nothing new: vm says that it is draining",
        "scaler why vm/a",
    ), "why it is, its plugin knows: a host that left the settings may be draining, too"
    assert is_ok(here)


def test_what_plugins_say() -> None:
    reports = (report(), report("well", ok=True), report("slow", profile="linux"))
    assert [each[:2] for each in told(view(reports=reports))] == [
        ("plugin queue", "the token is refused"),
        ("plugin queue (linux)", "slow"),
    ]


def test_what_the_core_says_of_itself_is_of_no_plugin() -> None:
    reports = (report("socket: no", plugin="control"), report("reload: x", plugin="settings"))
    assert [each[0] for each in told(view(reports=reports))] == ["control", "settings"]
    failed = {"time": NOW, "ok": False, "problems": ["x"]}
    found = told(view(reports=reports), reload=failed)
    assert [each[0] for each in found] == ["settings", "control"], "a failed reload is told once"


def test_a_runner_that_does_not_go_is_told_of() -> None:
    here = view(runners=(runner(7, RunnerState.RETIRING, since=NOW - 600),))
    assert told(here, errors={7: "the host is down"}) == [
        (
            "runner linux.7@host",
            "is being retired for 10 min: the host is down",
            "scaler why 7",
            False,
        )
    ]
    assert told(view(runners=(runner(7, RunnerState.RETIRING, since=NOW - 200),))) == []


def test_c45_a_reload_that_failed_is_told_of_until_one_is_good() -> None:
    reload = {"time": NOW - 60, "ok": False, "problems": ["scaler.toml:3: a", "scaler.toml:4: b"]}
    assert told(view(), reload=reload) == [
        (
            "settings",
            "read at 22:12 UTC and not taken over: scaler.toml:3: a (and 1 more)",
            "mend the file, then: scaler reload",
            False,
        )
    ]
    assert told(view(), reload={**reload, "problems": []})[0][1].endswith("it could not be read")
    assert told(view(), reload={"time": NOW, "ok": True, "problems": []}) == []


def test_what_counts_only_after_a_restart_is_told_of() -> None:
    assert told(view(restart=("scaler.name: it names every runner",))) == [
        (
            "settings",
            "counts only after a restart: scaler.name: it names every runner",
            "restart scaler",
            True,
        )
    ]
    said = "plugins.monitor.tls: not good; it counts once it is, without a restart"
    cure = "mend what it says, then: scaler reload"
    assert told(view(restart=(said,))) == [("settings", f"does not count yet: {said}", cure, True)]
    leaving = told(view(profile(leaving=True), restart=("x",)))
    assert leaving[-1][2] == "restart scaler, once no profile is leaving any more"
    assert is_ok(view(restart=("x",))), "somebody changed a setting: nobody is woken for that"


# --- what a person ordered


def test_what_is_paused_is_told_of_and_no_failure() -> None:
    here = view(
        profile(paused=paused(), ceiling=0, why="paused since 22:03 UTC by root", target=1),
        orders=(paused(),),
        **waiting(job(1, queued=NOW - 9999), job(2)),
    )
    assert told(here) == [
        (
            "profile linux",
            "paused since 22:03 UTC by root; 2 jobs wait for it",
            "scaler resume linux",
            True,
        )
    ]
    assert is_ok(here)


def test_one_job_that_waits_for_what_is_paused() -> None:
    here = view(profile(paused=paused(by="")), orders=(paused(by=""),), **waiting(job(1)))
    assert told(here)[0][1] == "paused since 22:03 UTC; 1 job waits for it"


def test_what_is_drained_is_told_of_with_what_is_left_there() -> None:
    here = view(
        orders=(drained(),),
        rooms={"vm": (Room(name="a", state=RoomState.DRAINING),)},
        runners=(runner(1), runner(2, room="b")),
    )
    builders = (("vm", Machine(runner=None, id="b", room="a")),)
    assert told(here, builders=builders) == [
        (
            "room vm/a",
            "drained since 22:03 UTC by root; 2 machines still there",
            "scaler undrain vm/a",
            True,
        )
    ]
    assert is_ok(here)


def test_a_provisioner_without_rooms_is_drained_by_its_own_name() -> None:
    here = view(orders=(drained("vm/"),), rooms={"vm": (Room(name=""),)})
    assert told(here)[0][0] == "room vm"
    assert told(here)[0][2] == "scaler undrain vm"


def test_orders_about_what_is_not_there_any_more_can_be_taken_back() -> None:
    here = view(orders=(paused("old"), drained("vm/z")))
    assert [(each[0], each[2]) for each in told(here)] == [
        ("profile old", "scaler resume old"),
        ("room vm/z", "scaler undrain vm/z"),
    ]
    assert told(here)[0][1].endswith("the settings have no such profile")
    assert told(here)[1][1].endswith("no plugin tells of such a room now")


def test_a_profile_that_leaves_says_what_must_not_be_done_before() -> None:
    here = view(
        profile(leaving=True, why="it leaves", target=0, ceiling=0),
        **waiting(job(1), job(2)),
        runners=(runner(1),),
    )
    assert told(here) == [
        (
            "profile linux",
            "the settings have it no more: what it has comes to its end (2 jobs, 1 runner)",
            "do not restart scaler before they are done",
            True,
        )
    ]
    assert is_ok(here)


def test_an_order_that_is_not_written_is_a_failure() -> None:
    assert "a restart would lose it" in told(view(), unwritten=("pause linux",))[0][1]
    assert not is_ok(view(), unwritten=("pause linux",))


def test_failures_come_before_orders() -> None:
    here = view(profile(paused=paused()), orders=(paused(),), reports=(report(),), restart=("x",))
    assert [each[3] for each in told(here)] == [False, True, True]


@given(
    st.sampled_from([*RunnerState]),
    st.floats(allow_nan=False, min_value=-1e12, max_value=1e12),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_whatever_there_is_it_can_be_told(
    state: RunnerState, since: float, running: bool, leaving: bool, stopping: bool
) -> None:
    here = view(
        profile(leaving=leaving, counts={str(state): 1}),
        runners=(runner(1, state, since=since, created=since, until=since),),
        **waiting(job(1, queued=since)),
        stopping=stopping,
        orders=(paused(), drained()),
    )
    found = status(here, Extras(now=NOW, running=running))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["ok"] is False or running


@pytest.mark.parametrize("calm", [True, False])
def test_what_needs_nobody_stands_below_the_orders(calm: bool) -> None:
    held = profile(target=1, why="no room: a is draining", cure="scaler undrain a", calm=calm)
    rooms = {"vm": (Room(name="a", total={"memory": 8}, state=RoomState.DRAINING),)}
    here = view(held, rooms=rooms, orders=(drained(),))
    found = [("room vm/a", True), ("profile linux", calm)]
    assert [(each[0], each[3]) for each in told(here)] == (found if calm else found[::-1])
    assert is_ok(here) == calm


def test_a_runner_that_is_gone_stands_nowhere() -> None:
    here = view(
        runners=(runner(1, RunnerState.GONE), runner(2, RunnerState.BUSY)), orders=(drained(),)
    )
    (room,) = status(here, extras())["rooms"]
    assert (room["runners"], room["machines"], room["used"]) == (1, 1, {"memory": 2})
    assert "; 1 machine still there" in told(here)[0][1]


def test_runners_of_a_profile_that_the_settings_have_no_more_are_told_of() -> None:
    here = view(runners=(runner(1, profile="old"), runner(2, RunnerState.BUSY, profile="old")))
    (found,) = told(here)
    assert found[0] == "profile old"
    assert "there are still 2 runners of it" in found[1]
    assert "[profiles.old]" in found[2]
    assert is_ok(here)
