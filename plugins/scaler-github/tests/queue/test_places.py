"""Where messages come from may change, and where to go on is clear: at once, and once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import trio

from scaler import Message
from scaler_github.client import GitHubError, Kind, QueueSession, SessionLost, Verdict
from scaler_github.queue.listener import QUICK_STEPS, Listener, ScaleSetLost

World = Any


def resets(world: World) -> list[Message]:
    return [message for message in world.core.messages if message.reset]


async def test_a_new_scale_set_makes_the_old_ones_jobs_forgotten_once(world: World) -> None:
    sim, core = world.sim, world.core
    async with world.running():
        await world.listening()
        sim.queue_jobs("linux")
        await core.until(lambda: core.jobs)
        sim.end_session("linux")  # a new session alone is no new place
        await sim.wait_for(lambda: sim.count("create-session") == 2)
        sim.delete_scale_set("linux")
        await core.until(lambda: resets(world))
        number = sim.scale_set("linux").id
        assert core.store["cursor/linux"]["scale_set"] == number
        assert core.store["cursor/linux"]["message"] == 0
    world.build()
    core.ceilings["linux"] = 4
    sessions = sim.count("create-session")
    async with world.running():  # also not after a restart, before any message came
        await sim.wait_for(lambda: sim.count("create-session") > sessions)
        sim.queue_jobs("linux")
        await core.until(lambda: len(core.jobs) >= 2)
    assert len(resets(world)) == 1
    assert not resets(world)[0].jobs
    ids = [message.id for message in core.messages]
    assert len(set(ids)) == len(ids)


async def test_the_first_place_of_all_resets_nothing(world: World) -> None:
    async with world.running():
        await world.listening()
    assert resets(world) == []


async def test_a_change_of_place_while_stopped_is_noticed(world: World) -> None:
    world.core.store["cursor/linux"] = {"scale_set": 1, "host": "other", "message": 10**9}
    async with world.running():
        await world.listening()
    assert [message.reset for message in world.core.messages] == [True]


async def test_a_message_from_a_host_that_a_renewal_told_is_kept_after_the_reset(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sim, core = world.sim, world.core
    host = property(lambda session: "new" if session.renewals else "old")
    monkeypatch.setattr(QueueSession, "host", host)
    async with world.running():
        await world.listening()
        sim.queue_jobs("linux")
        await sim.wait_for(lambda: sim.count("delete-message") == 1)
        sim.expire_tokens("queue")
        core.set_ceiling("linux", 3)  # the next poll meets the stale token
        sim.queue_jobs("linux")
        await sim.wait_for(lambda: sim.count("delete-message") == 2)
    assert [message.reset for message in core.messages if message.reset or message.jobs] == [
        False,
        True,
        False,
    ]
    assert core.store["cursor/linux"]["host"] == "new"


async def test_what_to_do_next_waits_out_no_pause(world: World) -> None:
    world.pace = replace(world.pace, first=10.0, largest=30.0)
    world.build()
    listener = made(world)
    ill = GitHubError(Verdict(Kind.RETRY, "ill", status=500))
    assert max(listener._failed(ill) for _ in range(6)) >= 5
    for number in range(QUICK_STEPS):
        lost = (SessionLost, ScaleSetLost)[number % 2](Verdict(Kind.GONE, "gone", status=404))
        assert listener._failed(lost) == 0
    assert listener._failed(SessionLost(Verdict(Kind.GONE, "gone", status=404))) >= 5
    listener._went_well()
    assert listener._failed(SessionLost(Verdict(Kind.GONE, "gone", status=404))) == 0


def made(world: World) -> Listener:
    return Listener(
        world.queue._context,
        "linux",
        name="linux",
        group="default",
        scope=world.account.scope,
        alarms=world.queue._alarms,
        pace=world.pace,
    )


async def test_a_session_that_is_always_lost_makes_no_hot_loop(world: World) -> None:
    sim = world.sim
    world.pace = replace(world.pace, first=60.0, largest=60.0)
    world.build()
    sim.faults.add("poll", status=404, times=None)
    async with world.running():
        await sim.wait_for(lambda: sim.count("poll") == QUICK_STEPS + 1)
        await trio.sleep(0.1)
        assert sim.count("poll") == QUICK_STEPS + 1


async def test_a_scale_set_that_is_gone_is_looked_up_at_once(world: World) -> None:
    sim = world.sim
    world.pace = replace(world.pace, first=60.0, largest=60.0)
    world.build()
    async with world.running():
        await world.listening()
        with trio.fail_after(3):
            sim.delete_scale_set("linux")
            await sim.wait_for(lambda: sim.count("create-scale-set") == 2)
            polls = sim.count("poll")
            await sim.wait_for(lambda: sim.count("poll") > polls)


async def killed(world: World) -> None:
    """A run that leaves its session open."""
    async with trio.open_nursery() as nursery:
        await nursery.start(world.queue.run_service)
        await world.listening()
        nursery.cancel_scope.cancel()
    world.build()


async def test_a_leftover_that_cannot_be_closed_is_closed_later(world: World) -> None:
    sim = world.sim
    await killed(world)
    left = world.core.store["session/linux"]
    seen: list[Any] = []
    sim.faults.add("delete-session", status=503, times=2)
    polls = sim.count("poll")
    async with world.running():
        await sim.wait_for(lambda: sim.count("delete-session") >= 1)
        seen.append(world.core.store.get("session/linux"))
        await sim.wait_for(lambda: sim.count("poll") > polls)
    assert [one["session"] for one in seen] == [left["session"]]


async def test_a_closed_leftover_that_cannot_be_struck_out_is_no_hot_loop(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sim = world.sim
    await killed(world)
    kept = world.core.save

    async def save(plugin: str, key: str, value: Any) -> None:
        if value is None:
            raise OSError("no space left on device")
        await kept(plugin, key, value)

    monkeypatch.setattr(world.core, "save", save)
    sim.faults.add("create-session", status=409, times=4)
    async with world.running():
        polls = sim.count("poll")
        await sim.wait_for(lambda: sim.count("poll") > polls)
        assert sim.count("delete-session") == 1
    said = "another scaler listens to scale set linux, or its session has not ended yet"
    assert said in [text for _, text, *_ in world.core.reports]


@pytest.mark.parametrize("leftover", [0.02, 600.0], ids=["a moment", "for ever"])
async def test_a_session_whose_id_a_crash_took_is_waited_for_in_short_steps(
    world: World, monkeypatch: pytest.MonkeyPatch, leftover: float
) -> None:
    """The process ended between GitHub's answer and the store."""
    sim = world.sim
    kept = world.core.save

    async def save(plugin: str, key: str, value: Any) -> None:
        if value and value.get("session"):
            await trio.sleep_forever()
        await kept(plugin, key, value)

    with monkeypatch.context() as patch:
        patch.setattr(world.core, "save", save)
        async with trio.open_nursery() as nursery:
            await nursery.start(world.queue.run_service)
            await sim.wait_for(lambda: sim.scale_sets and sim.scale_set("linux").session)
            nursery.cancel_scope.cancel()
    lost = sim.scale_set("linux").session
    # were it taken for a rival's, the next try would come in a minute
    world.pace = replace(world.pace, first=60.0, largest=60.0, leftover=leftover)
    world.build()
    async with world.running():
        await sim.wait_for(lambda: sim.count("create-session") >= 2)
        await world.core.until(lambda: any("a crash left" in one[1] for one in world.core.reports))
        sim.end_session("linux")
        if leftover > 1:
            await trio.sleep(0.1)
            assert sim.scale_set("linux").session is None
        else:
            await world.listening()
            assert sim.scale_set("linux").session is not lost


async def test_a_session_whose_opening_was_not_answered_is_waited_for_in_short_steps(
    world: World,
) -> None:
    """It may be open, and then it is in the way until GitHub ends it: no rival's."""
    sim = world.sim
    world.pace = replace(world.pace, first=60.0, largest=60.0)
    world.build()
    sim.faults.add("create-session", kind="lose")
    async with world.running():
        await world.core.until(lambda: any("a crash left" in one[1] for one in world.core.reports))
        assert not world.queue.lines.states["linux"].rival
        assert world.queue.lines.states["linux"].is_ours(trio.current_time())
        sim.end_session("linux")
        await world.listening()
        assert sim.count("delete-session") == 0


@pytest.mark.parametrize(
    ("route", "calls"),
    [("create-session", 1), ("find-scale-set", 1), ("create-scale-set", 1)],
)
async def test_a_step_that_fails_is_not_repeated_within_itself(
    world: World, route: str, calls: int
) -> None:
    """Trying again is the listener's business alone, at its own pace."""
    world.pace = replace(world.pace, first=60.0, largest=60.0)
    world.build()
    world.sim.faults.add(route, status=503, times=None)
    async with world.running():
        await world.core.until(lambda: any("503" in report[1] for report in world.core.reports))
        await trio.sleep(0.05)
        assert world.sim.count(route) == calls


async def test_a_rivals_session_is_not_taken_for_a_leftover_after_a_clean_stop(
    world: World,
) -> None:
    sim = world.sim
    sim.faults.add("create-session", status=409, times=None)
    async with world.running():
        await sim.wait_for(lambda: sim.count("create-session") >= 2)
    world.build()
    told = len(world.core.reports)
    async with world.running():
        seen = sim.count("create-session")
        await sim.wait_for(lambda: sim.count("create-session") >= seen + 2)
    assert not any("a crash left" in report[1] for report in world.core.reports[told:])
