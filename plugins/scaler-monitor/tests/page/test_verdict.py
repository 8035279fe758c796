from __future__ import annotations

from dataclasses import replace

import pytest

from scaler import Job, Machine, Override, Report, Room, RoomState, Runner, RunnerState, View
from scaler_monitor.page.verdict import Level, judge, waiting

from .views import NOW, WELL, job, profile, view


def said(of: View) -> tuple[str, str]:
    verdict = judge(of, now=NOW)
    return verdict.level, verdict.text


def test_all_is_well() -> None:
    three = view(profile("linux"), profile("windows"), profile("bench"))
    assert said(three) == ("well", "All is well: 3 profiles at target, nothing waits")
    assert said(view()) == ("well", "All is well: 1 profile at target, nothing waits")
    assert said(WELL) == ("well", "All is well: no profile is set up")
    assert judge(three, now=NOW).rest == ()


def test_a_job_whose_runner_is_on_its_way_is_well() -> None:
    text = "All is well: 1 profile at target, 2 jobs wait for a runner that is on its way"
    assert said(view(jobs=(job(1, 20), job(2, 10)))) == ("well", text)


def test_jobs_that_are_held_are_told_at_once_and_bad_after_a_while() -> None:
    held = profile(why="no room in vm1 (memory)", busy=2)
    fresh = view(held, jobs=(job(1, 70), job(2, 20)))
    assert said(fresh) == (
        "note",
        "Nothing is broken, but: linux: 2 jobs wait, the longest 1 min: no room in vm1 (memory)",
    )
    late = view(held, jobs=(job(1, 20), job(2, 380), job(3, 30), job(4, None)))
    assert said(late) == (
        "bad",
        "Not well: linux: 4 jobs wait, the longest 6 min: no room in vm1 (memory)",
    )


def test_a_job_that_waits_too_long_is_bad_whatever_its_reason() -> None:
    assert said(view(jobs=(job(1, 299),)))[0] == "well"
    assert said(view(jobs=(job(1, 300),))) == (
        "bad",
        "Not well: linux: 1 job waits, 5 min: linux.1@here is booting",
    )


def test_a_profile_under_its_target_is_told_with_why() -> None:
    under = profile(why="backing off until 12:00", idle=1, retiring=2)
    assert said(view(under)) == ("bad", "Not well: linux: 1 of 3 runners: backing off until 12:00")
    full = profile(why="max_count is 3, and 5 jobs need a runner")
    assert said(view(full))[0] == "note"
    spares = replace(profile(why="no room in vm1 (memory)", busy=2), calm=True)
    assert said(view(spares))[0] == "note"


def test_what_plugins_report_as_wrong() -> None:
    reports = (
        *WELL.reports,
        Report(plugin="libvirt", profile="", ok=False, text="vm1 down: refused", time=NOW),
        Report(plugin="queue", profile="linux", ok=False, text="401", time=NOW),
    )
    text = "Not well: libvirt: vm1 down: refused; queue (linux): 401"
    assert said(view(reports=reports)) == ("bad", text)


def test_a_source_that_has_not_reported() -> None:
    both = view(profile("linux"), profile("windows"), reports=())
    assert said(both) == ("bad", "Not well: linux, windows: queue has not reported yet")


@pytest.mark.parametrize("fact", ["last_poll", "last_look"])
def test_a_source_that_is_silent(fact: str) -> None:
    def asked(ago: float) -> View:
        facts = {fact: NOW - ago}
        report = Report(plugin="queue", profile="linux", ok=True, text="", time=NOW, facts=facts)
        return view(reports=(report,))

    assert said(asked(300))[0] == "well"
    assert said(asked(421)) == ("bad", "Not well: queue (linux) has not asked for 7 min")


def test_rooms() -> None:
    down, draining = (Room(name=each, state=RoomState(each)) for each in ("down", "draining"))
    verdict = judge(view(rooms={"libvirt": (draining, down)}), now=NOW)
    assert verdict.text == "Not well: room down (libvirt) cannot be reached"
    assert [each.text for each in verdict.rest] == ["room draining (libvirt) takes nothing new"]


def test_what_somebody_wanted_is_a_note() -> None:
    override = Override(counts={"linux": 2}, targets={"linux": 5}, since=NOW, until=NOW + 3600)
    assert said(view(override=override)) == (
        "note",
        "Nothing is broken, but: an override is active until 04:46 UTC: linux +2",
    )
    late = replace(override, until=NOW + 86400)
    assert "until 1970-01-03 03:46 UTC: linux +2" in said(view(override=late))[1]
    assert said(view(stopping=True))[1].endswith("stopping: no new runners")
    kept = view(profile(idle=3, held=1))
    assert said(kept)[1].endswith("1 job failed, and its machine is kept for a look")


def test_what_is_kept_says_until_when() -> None:
    def held(number: int, until: float) -> Runner:
        return Runner(id=number, name="n", profile="linux", state=RunnerState.HELD, until=until)

    one = view(profile(idle=3, held=1), runners=(held(1, NOW + 780),))
    text = (
        "Nothing is broken, but: 1 job failed, and its machine is kept for a look until 03:59 UTC"
    )
    assert said(one) == ("note", text)
    two = view(profile(idle=3, held=2), runners=(held(1, NOW + 780), held(2, NOW + 86_400)))
    assert said(two)[1].endswith("their machines are kept for a look, the first until 03:59 UTC")


def test_machines_that_stand_still_are_told() -> None:
    def still(number: int) -> Runner:
        machine = Machine(runner=number, id="m", facts={"paused": "someone paused it"})
        name = f"linux.{number}@here"
        return Runner(
            id=number, name=name, profile="linux", state=RunnerState.BUSY, machine=machine
        )

    one = said(view(runners=(still(1),)))
    assert one == ("note", "Nothing is broken, but: linux.1: someone paused it")
    assert (
        "linux.1 and 2 more: someone paused it"
        in said(view(runners=tuple(map(still, (1, 2, 3)))))[1]
    )


def test_an_image_that_cannot_be_made_leads_to_its_profile() -> None:
    told = Report(plugin="libvirt", profile="linux", ok=False, text="image 3: it gave up", time=NOW,
                  facts={"images": []})  # fmt: skip
    verdict = judge(view(reports=(*WELL.reports, told)), now=NOW)
    assert verdict.text == "Not well: libvirt (linux): image 3: it gave up"
    assert verdict.told[0].about == "profiles"


def test_a_sentence_stays_one() -> None:
    many = tuple(
        Report(plugin=f"p{number}", profile="", ok=False, text="x" * 999, time=NOW)
        for number in range(9)
    )
    verdict = judge(view(reports=(*WELL.reports, *many)), now=NOW)
    assert len(verdict.told) == 3
    assert len(verdict.rest) == 6
    assert len(verdict.text) < 700


def test_every_finding_leads_somewhere() -> None:
    everything = view(
        profile(why="no room", idle=1, held=1),
        profile("windows", why="no room", idle=1),
        jobs=(job(1, 900),),
        reports=(Report(plugin="a", profile="", ok=False, text="b", time=NOW),),
        rooms={"libvirt": (Room(name="down", state=RoomState.DOWN),)},
        override=Override(counts={}, targets={}, since=NOW, until=NOW),
        stopping=True,
    )
    verdict = judge(everything, now=NOW)
    assert verdict.level is Level.BAD
    about = {each.about for each in (*verdict.told, *verdict.rest)}
    assert about == {"waiting", "profiles", "sources", "rooms", "override", "runners"}


def test_those_that_wait_longest_come_first() -> None:
    jobs = (job(1, 5), job(2, None), job(3, 50))
    done = Job(id="j4", state="done", profile="linux", queued=1.0)
    found = waiting(replace(view(jobs=jobs), jobs=(*jobs, done)))
    assert [each.job.id for each in found] == ["j3", "j1", "j2"]
