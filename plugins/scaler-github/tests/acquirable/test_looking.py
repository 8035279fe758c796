"""Looks: what brings one about, and what it tells."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from scaler import Unavailable
from scaler_github.acquirable.decide import OFF, RENEW
from scaler_github.client import GitHubError, Kind, Verdict
from scaler_github.client.types import Statistics

Desk = Any


def refused(status: int, type_name: str = "", wait: float = 0.0) -> GitHubError:
    kind = Kind.WAIT if wait else Kind.GONE if status == 404 else Kind.RETRY
    text = f"GitHub answered {status}"
    return GitHubError(Verdict(kind, text, wait, status=status, type=type_name))


# --- what brings a look about


async def test_start_and_interval(autojump_clock: MockClock, desk: Desk) -> None:
    await trio.sleep(100)
    assert desk.github.looks == []
    start = trio.current_time()
    desk.listens()
    await trio.sleep(190)
    assert desk.since(start) == [1, 61, 121, 181]
    assert desk.core.messages == []
    text, ok, facts = desk.core.line
    assert (text, ok) == ("looks every 60 s", True)
    assert facts["last_look"] == pytest.approx(1_800_000_000 + start + 181)
    assert facts["off_until"] is None


async def test_the_listener_speaks_first(autojump_clock: MockClock, desk: Desk) -> None:
    """What a new place says resets what is known, and must not reset what a look found."""
    desk.state.scale_set = 7
    desk.opens()
    await trio.sleep(300)
    assert desk.github.looks == []
    desk.state.introduce()
    await trio.sleep(2)
    assert len(desk.github.looks) == 1


async def test_a_lost_session_that_is_opened_anew(autojump_clock: MockClock, desk: Desk) -> None:
    desk.listens("s1")
    await trio.sleep(20)
    desk.state.lost()
    await trio.sleep(5)
    start = trio.current_time()
    desk.listens("s2")
    await trio.sleep(30)
    assert desk.since(start) == [1]


async def test_numbers_that_disagree_for_five_seconds(
    autojump_clock: MockClock, desk: Desk
) -> None:
    desk.listens()
    await trio.sleep(20)
    start = trio.current_time()
    desk.hears(assigned=1)  # and the message that told so names no job
    desk.github.count(1)
    await trio.sleep(100)
    # noticed after a second; then it changes nothing, and comes less and less often
    assert desk.since(start) == [6, 26, 66]


async def test_numbers_that_soon_agree_bring_no_look_about(
    autojump_clock: MockClock, desk: Desk
) -> None:
    desk.listens()
    await trio.sleep(20)
    start = trio.current_time()
    desk.hears(assigned=1)
    await trio.sleep(3)
    desk.knows("assigned")
    await trio.sleep(20)
    assert desk.since(start) == []


async def test_a_scale_set_that_is_lost_is_not_looked_at(
    autojump_clock: MockClock, desk: Desk
) -> None:
    desk.listens()
    await trio.sleep(20)
    start = trio.current_time()
    desk.state.lost()
    desk.state.scale_set = None
    await trio.sleep(100)
    assert desk.since(start) == []


async def test_the_end_comes_in_the_middle_of_a_look(autojump_clock: MockClock, desk: Desk) -> None:
    desk.github.takes = 1000
    desk.listens()
    await trio.sleep(5)
    desk.stopping.set()
    await trio.testing.wait_all_tasks_blocked()
    assert desk.core.messages == []


# --- what GitHub does not have


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_a_list_that_is_not_there_is_left_for_an_hour(
    autojump_clock: MockClock, desk: Desk, status: int
) -> None:
    desk.github.no_list = refused(status)
    desk.listens()
    await trio.sleep(5)
    text, ok, facts = desk.core.line
    assert ok
    assert f"GitHub answers {status} to the list of acquirable jobs" in text
    off = facts["off_until"]
    assert off == pytest.approx(1_800_000_000 + OFF, abs=5)
    assert "asked for again at 09:00:01 UTC" in text
    await trio.sleep(OFF - 10)
    assert len(desk.github.lists) == 1
    assert len(desk.github.looks) >= 59  # the totals go on
    desk.github.count(1)
    desk.offers(1001)
    desk.github.no_list = None
    await trio.sleep(80)
    assert desk.demands[0] == 1
    assert [job.id for _, message in desk.core.messages for job in message.jobs] == ["1001"]
    assert "acquirable" not in desk.core.line[0]
    assert desk.core.line[2]["off_until"] is None


@pytest.mark.parametrize(
    "error",
    [
        refused(404, "GitHub.Actions.Runtime.WebApi.RunnerScaleSetNotFoundException, X"),
        refused(503),
        refused(500),
    ],
    ids=["scale set", "503", "500"],
)
async def test_a_list_that_fails_is_asked_for_again(
    autojump_clock: MockClock, desk: Desk, error: GitHubError
) -> None:
    desk.github.no_list = error
    desk.listens()
    await trio.sleep(5)
    assert desk.core.line[:2] == (str(error), False)
    desk.github.no_list = None
    await trio.sleep(60)
    assert desk.core.line[1]
    assert len(desk.github.lists) >= 2


async def test_a_list_that_is_not_there_beside_a_scale_set_that_is_not_is_no_proof(
    autojump_clock: MockClock,
    desk: Desk,
) -> None:
    desk.github.there = False
    desk.github.no_list = refused(404)
    desk.listens()
    await trio.sleep(60)
    assert len(desk.github.lists) >= 2


async def test_totals_that_fail_keep_no_job_waiting(autojump_clock: MockClock, desk: Desk) -> None:
    desk.github.no_totals = refused(503)
    desk.offers(1001)
    desk.listens()
    await trio.sleep(5)
    assert desk.demands == [None]


async def test_an_outage_is_asked_less_and_less_often(
    autojump_clock: MockClock, desk: Desk
) -> None:
    desk.github.no_totals = desk.github.no_list = refused(503)
    start = trio.current_time()
    desk.listens()
    await trio.sleep(200)
    assert desk.since(start) == [1, 21, 61, 121, 181]


async def test_what_github_tells_to_wait_is_waited(autojump_clock: MockClock, desk: Desk) -> None:
    desk.github.no_totals = refused(429, wait=600)
    start = trio.current_time()
    desk.listens()
    await trio.sleep(605)
    assert len(desk.since(start)) == 2
    assert desk.since(start)[1] >= 601


async def test_a_session_is_renewed_for_its_totals_where_nothing_else_tells(
    autojump_clock: MockClock, desk: Desk
) -> None:
    desk.github.statistics = None
    session = desk.listens()
    await trio.sleep(RENEW - 10)
    desk.hears()
    await trio.sleep(RENEW - 10)
    assert session.renewals == 0, "it told as it was opened, and the queue did since"
    session.statistics = Statistics(total_assigned_jobs=2)
    await trio.sleep(70)
    assert session.renewals == 1
    assert desk.demands == [2]
    await trio.sleep(RENEW - 70)
    assert session.renewals == 1
    session.statistics = Statistics()  # its zeros are believed, when two say so
    await trio.sleep(2 * RENEW + 150)
    assert desk.demands == [2, 0]


async def test_without_a_session_nothing_is_renewed(autojump_clock: MockClock, desk: Desk) -> None:
    desk.github.statistics = None
    desk.state.scale_set = 7
    desk.state.refused(left=True)
    await trio.sleep(100)
    assert desk.github.looks
    assert desk.core.messages == []


# --- what goes wrong here


@pytest.mark.parametrize("error", [Unavailable("the disk is full"), RuntimeError("a bug")])
async def test_what_the_core_does_not_take_is_told_again(
    autojump_clock: MockClock, desk: Desk, error: Exception
) -> None:
    desk.core.trouble = [error]
    desk.github.count(1)
    desk.listens()
    await trio.sleep(5)
    assert not desk.core.line[1]
    assert str(error) in desk.core.line[0]
    await trio.sleep(60)
    assert desk.demands == [1]
    assert desk.core.line[1]


async def test_another_interval_counts_at_once(autojump_clock: MockClock, desk: Desk) -> None:
    desk.listens()
    await trio.sleep(20)
    start = trio.current_time()
    desk.poller.look_every(30)
    await trio.sleep(61)
    assert desk.since(start) == [11, 41]
    desk.poller.look_every(600)
    await trio.sleep(500)
    assert desk.since(start) == [11, 41]


async def test_it_ends_for_itself(autojump_clock: MockClock, desk: Desk) -> None:
    desk.listens()
    await trio.sleep(20)
    start = trio.current_time()
    desk.poller.end()
    await trio.sleep(500)
    assert desk.since(start) == []
