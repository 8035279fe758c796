"""What a look tells the core, and when it keeps silent."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from scaler_github.client.types import Statistics

Desk = Any


async def test_more_is_told_at_once_and_once(autojump_clock: MockClock, desk: Desk) -> None:
    desk.listens()
    desk.github.count(2, 1)
    await trio.sleep(150)
    [(_, message)] = desk.core.messages
    assert (message.profile, message.demand, message.waiting) == ("linux", 2, 1)
    assert message.jobs == ()
    assert message.cursor is None
    assert not message.reset


async def test_jobs_of_the_list_are_offered_by_the_number_that_the_queue_gives_them(
    autojump_clock: MockClock,
    desk: Desk,
) -> None:
    desk.listens()
    desk.offers(1001, 1002)
    await trio.sleep(5)
    [(_, message)] = desk.core.messages
    assert [(job.id, job.ref, job.state) for job in message.jobs] == [
        ("1001", "1001", "offered"),
        ("1002", "1002", "offered"),
    ]
    assert {job.repository for job in message.jobs} == {"acme/widgets"}
    assert desk.core.line[2]["found"] == 2


async def test_jobs_that_are_known_are_not_told_again(
    autojump_clock: MockClock, desk: Desk
) -> None:
    desk.listens()
    desk.offers(1001)
    await trio.sleep(150)
    assert len(desk.core.messages) == 1
    desk.offers(1001, 1003)
    await trio.sleep(60)
    assert len(desk.core.messages) == 2
    ids = [message.id for _, message in desk.core.messages]
    assert len(set(ids)) == 2


async def test_less_is_told_when_two_looks_say_so(autojump_clock: MockClock, desk: Desk) -> None:
    desk.github.count(3)
    desk.listens(counts=Statistics(total_assigned_jobs=3))
    desk.knows("running", "running", "running")
    await trio.sleep(5)
    desk.github.count(1)
    await trio.sleep(57)  # one look
    assert desk.demands == []
    await trio.sleep(10)
    assert desk.demands == [1]


async def test_a_lower_total_that_was_a_slip_is_not_told(
    autojump_clock: MockClock, desk: Desk
) -> None:
    desk.github.count(3)
    desk.listens(counts=Statistics(total_assigned_jobs=3))
    desk.knows("running", "running", "running")
    await trio.sleep(5)
    desk.github.count(0)
    await trio.sleep(57)
    desk.github.count(3)
    await trio.sleep(300)
    assert desk.demands == []


async def test_what_the_queue_said_between_two_looks_makes_the_first_count_no_more(
    autojump_clock: MockClock,
    desk: Desk,
) -> None:
    desk.github.count(3)
    desk.listens(counts=Statistics(total_assigned_jobs=3))
    desk.knows("running", "running", "running")
    await trio.sleep(5)
    desk.github.count(1)
    await trio.sleep(57)
    desk.hears(assigned=3)
    await trio.sleep(10)  # the look that would have told it
    assert desk.demands == []
    await trio.sleep(10)
    assert desk.demands == [1]


async def test_zeros_of_a_service_that_fills_in_nothing_are_not_believed(
    autojump_clock: MockClock, desk: Desk
) -> None:
    desk.listens(counts=Statistics(total_assigned_jobs=2))
    desk.knows("assigned", "assigned")
    await trio.sleep(1000)
    assert desk.demands == []
    desk.github.count(2)  # it does tell, once
    await trio.sleep(61)
    desk.github.count(0)
    await trio.sleep(200)
    assert desk.demands == [0]


async def test_what_the_queue_told_during_a_look_counts_and_another_look_follows(
    autojump_clock: MockClock,
    desk: Desk,
) -> None:
    desk.github.takes = 2.0
    desk.github.count(5)
    desk.offers(1001)
    desk.listens()
    await trio.sleep(2)  # the look began a second ago
    desk.hears(assigned=0)
    await trio.sleep(3)
    assert desk.core.messages == []
    await trio.sleep(25)
    assert desk.demands == [5]


# --- whose the queue is


async def test_nothing_is_told_while_another_one_listens(
    autojump_clock: MockClock, desk: Desk
) -> None:
    desk.listens()
    await trio.sleep(20)
    desk.state.lost()
    desk.state.refused(left=False)
    desk.github.count(2)
    desk.offers(1001)
    start = trio.current_time()
    await trio.sleep(600)
    assert desk.core.messages == []
    assert desk.since(start) == []
    assert "another one listens" in desk.core.line[0]
    desk.listens("s2")
    await trio.sleep(2)
    assert desk.demands == [2]


async def test_a_look_that_is_overtaken_by_another_listener_tells_nothing(
    autojump_clock: MockClock, desk: Desk
) -> None:
    desk.github.takes = 5.0
    desk.github.count(2)
    desk.listens()
    await trio.sleep(3)
    desk.state.lost()
    desk.state.refused(left=False)
    await trio.sleep(300)
    assert len(desk.github.looks) == 1
    assert desk.core.messages == []


@pytest.mark.parametrize(("after", "told"), [(30, True), (130, False)])
async def test_a_session_that_was_lost_is_ours_for_two_minutes(
    autojump_clock: MockClock, desk: Desk, after: float, told: bool
) -> None:
    desk.listens()
    await trio.sleep(5)
    desk.state.lost()
    await trio.sleep(after)
    desk.github.count(1)
    await trio.sleep(600)
    assert bool(desk.core.messages) is told


async def test_a_session_that_a_crash_left_is_ours(autojump_clock: MockClock, desk: Desk) -> None:
    desk.state.scale_set = 7
    desk.state.refused(left=True)
    desk.github.count(1)
    desk.offers(1001)
    await trio.sleep(5)
    assert desk.demands == [1]
    desk.state.refused(left=False)
    desk.github.count(2)
    await trio.sleep(600)
    assert desk.demands == [1]
