"""Whose a job is, and what is told of it: no forge is needed for that."""

from __future__ import annotations

from scaler_forgejo.answers import Run
from scaler_forgejo.jobs import Known, deal, known_from, news

WAITS = Run(id=7, attempt=1, status="waiting", runs_on=["linux"], handle="h", name="build")
RUNS = Run(id=7, attempt=1, status="running", runs_on=["linux"], handle="h", name="build")
AGAIN = Run(id=7, attempt=2, status="waiting", runs_on=["linux"], handle="i", name="build")


def test_a_job_goes_to_the_profile_with_the_fewest_labels_that_will_do() -> None:
    fast = Run(id=8, status="waiting", runs_on=["linux", "fast"])
    profiles = {"big": ("linux", "fast", "gpu"), "fast": ("fast", "linux"), "plain": ("linux",)}
    assert deal([WAITS, fast], profiles) == {"big": [], "fast": [fast], "plain": [WAITS]}


def test_a_job_that_is_listed_for_two_profiles_is_dealt_once() -> None:
    assert deal([WAITS, WAITS], {"a": ("linux",), "b": ("linux",)}) == {"a": [WAITS], "b": []}


def test_a_job_without_labels_is_nobodys() -> None:
    assert deal([Run(id=1, status="waiting")], {"linux": ("linux",)}) == {"linux": []}


def test_jobs_and_demand_are_told_and_nothing_is_told_twice() -> None:
    first = news("linux", [WAITS], Known(), ident="1", repository="acme/web")
    assert first is not None
    message, known = first
    [job] = message.jobs
    assert (job.id, job.state, job.ref, job.labels) == ("7.1", "assigned", "h", ("linux",))
    assert (job.repository, message.demand, message.cursor) == ("acme/web", 1, ["7.1"])
    assert news("linux", [WAITS], known, ident="2", repository="acme/web") is None


def test_that_there_is_no_job_is_told_once() -> None:
    told = news("linux", [], Known(), ident="1")
    assert told is not None
    assert (told[0].jobs, told[0].demand) == ((), 0)
    assert news("linux", [], told[1], ident="2") is None


def test_a_job_that_is_listed_no_more_is_done() -> None:
    told = news("linux", [RUNS], Known(), ident="1")
    assert told is not None
    assert told[0].jobs[0].state == "running"
    told = news("linux", [], told[1], ident="2")
    assert told is not None
    assert [(job.id, job.state) for job in told[0].jobs] == [("7.1", "done")]
    assert told[0].demand == 0


def test_a_job_that_is_run_again_is_another_job() -> None:
    told = news("linux", [AGAIN], Known(frozenset({"7.1"})), ident="1")
    assert told is not None
    assert [(job.id, job.state) for job in told[0].jobs] == [("7.2", "assigned"), ("7.1", "done")]


def test_what_an_earlier_life_told_is_in_the_cursor() -> None:
    told = news("linux", [], known_from(["7.1"]), ident="1")
    assert told is not None
    assert [job.id for job in told[0].jobs] == ["7.1"]
    assert known_from(None) == known_from({"another": "shape"}) == Known()
