"""What goes wrong at GitHub, and that the loop goes on."""

from __future__ import annotations

from typing import Any

import pytest

from scaler import Unavailable
from scaler_github.account import watch
from scaler_github.client import rest, retry

World = Any


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"status": 502, "body": "<html>bad gateway</html>"},
        {"status": 403},
        {"status": 408},
        {"status": 400},
        {"status": 429, "headers": {"retry-after": "1"}},
        {"status": 200, "body": b""},
        {"status": 200, "body": "<html>hello</html>"},
        {"status": 200, "body": b"[]"},
        {"status": 200, "body": b'{"messageId": null}'},
        {"status": 401},
        {"kind": "drop"},
        {"kind": "reset"},
        {"kind": "raw"},
        {"status": 301, "headers": {"location": "https://example.org/"}, "body": b""},
    ],
    ids=str,
)
async def test_the_loop_survives(world: World, fault: dict[str, Any]) -> None:
    sim, core = world.sim, world.core
    times = 1 if fault.get("status") == 429 else 2  # a rate limit is a whole second
    sim.faults.add("poll", times=times, **fault)
    async with world.running():
        await sim.wait_for(lambda: sim.count("poll") >= 2 or not sim.faults.pending)
        sim.queue_jobs("linux")
        await core.until(lambda: core.jobs)
        await sim.wait_for(lambda: sim.count("delete-message") == 1)


@pytest.mark.parametrize("keep", [0, 1, 2, 40, 200])
async def test_a_message_cut_short_is_no_message(world: World, keep: int) -> None:
    sim, core = world.sim, world.core
    sim.faults.add("poll", kind="truncate", keep=keep, times=2)
    async with world.running():
        await sim.wait_for(lambda: sim.scale_sets)
        sim.queue_jobs("linux")
        await core.until(lambda: core.jobs)
        await sim.wait_for(lambda: sim.count("delete-message") == 1)
        assert len(core.jobs) == 1


@pytest.mark.parametrize(
    "route", ["registration-token", "runner-registration", "find-scale-set", "create-session"]
)
@pytest.mark.parametrize("fault", [{"status": 503}, {"kind": "drop"}, {"status": 200, "body": ""}])
async def test_trouble_on_the_way_to_the_queue_is_waited_out(
    world: World, route: str, fault: dict[str, Any]
) -> None:
    world.sim.faults.add(route, times=2, **fault)
    async with world.running():
        await world.core.until(lambda: any(not report[2] for report in world.core.reports))
        await world.listening()
        await world.core.until(lambda: world.core.reports[-1][2])


async def test_github_down_at_start_is_reported_and_waited_out(world: World) -> None:
    world.sim.faults.outage()
    async with world.running():
        await world.core.until(lambda: any(not report[2] for report in world.core.reports))
        world.sim.faults.clear()
        await world.listening()


async def test_trouble_tells_how_long_it_has_been(world: World) -> None:
    """An alert on a source's silence would otherwise end just when it fails."""
    async with world.running():
        await world.listening()
        await world.core.until(lambda: any("last_poll" in each[4] for each in world.core.reports))
        world.sim.faults.add("poll", times=50, status=500)
        world.core.set_ceiling("linux", 2)
        await world.core.until(lambda: any(not each[2] for each in world.core.reports))
        told = [each for each in world.core.reports if "last_poll" in each[4]]
        first_bad = next(n for n, each in enumerate(told) if not each[2])
        assert told[first_bad][4]["last_poll"] == told[first_bad - 1][4]["last_poll"]


async def test_expired_queue_token_is_renewed_once(world: World) -> None:
    sim = world.sim
    async with world.running():
        await world.listening()
        sim.expire_tokens("queue")
        sim.queue_jobs("linux")
        await world.core.until(lambda: world.core.jobs)
        world.core.set_ceiling("linux", 3)
        await sim.wait_for(lambda: sim.count("refresh-session") == 1)
        await sim.wait_for(lambda: sim.history.of("poll")[-1].capacity == 3)
        assert sim.count("refresh-session") == 1


async def test_expired_admin_token_is_renewed(world: World) -> None:
    sim = world.sim
    async with world.running():
        await world.listening()
        await world.core.until(lambda: any(r[0] == "github" for r in world.core.reports))
        await world.queue.list_registrations()
        before = sim.count("runner-registration")
        sim.expire_tokens("admin")
        assert await world.queue.list_registrations() == []
        assert sim.count("runner-registration") == before + 1


async def test_lost_session_is_opened_anew(world: World) -> None:
    sim = world.sim
    async with world.running():
        await world.listening()
        sim.end_session("linux")
        sim.queue_jobs("linux")
        await world.core.until(lambda: world.core.jobs)
        assert sim.count("create-session") == 2


async def test_lost_scale_set_is_made_anew_and_read_from_its_first_message(world: World) -> None:
    sim, core = world.sim, world.core
    async with world.running():
        await world.listening()
        sim.queue_jobs("linux")
        await core.until(lambda: core.jobs)
        sim.delete_scale_set("linux")
        await sim.wait_for(lambda: sim.count("create-scale-set") == 2)
        polls = sim.count("poll")
        await sim.wait_for(lambda: sim.count("poll") > polls)
        sim.queue_jobs("linux")
        await core.until(lambda: core.store["cursor/linux"]["scale_set"] != 1)


async def test_a_rival_is_waited_for(world: World) -> None:
    sim = world.sim
    sim.create_scale_set("linux", ["linux", "extra"])
    sim.hold_session("linux")
    async with world.running():
        await sim.wait_for(lambda: sim.count("create-session") >= 2)
        assert sim.count("poll") == 0
        assert sim.count("delete-session") == 0
        assert await world.queue.list_registrations() == []  # the rest works meanwhile
        sim.end_session("linux")
        await world.listening()


@pytest.mark.parametrize("sim_options", [{"byte_order_mark": True}])
async def test_byte_order_marks_do_no_harm(world: World) -> None:
    async with world.running():
        await world.listening()
        world.sim.queue_jobs("linux")
        await world.core.until(lambda: world.core.jobs)


async def test_no_token_is_ever_told(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    sim, core = world.sim, world.core
    for route in ("registration-token", "runner-registration", "create-session", "poll"):
        sim.faults.add(route, status=500, act=route != "create-session")
        sim.faults.add(route, status=403)
        sim.faults.add(route, kind="drop")
    sim.faults.add("jitconfig", kind="edit", fields={"runner": 3})
    async with world.running():
        await world.listening()
        sim.expire_tokens()
        sim.queue_jobs("linux")
        await core.until(lambda: core.jobs)
        for _ in range(2):
            try:
                registration = await world.queue.register_runner(world.runner())
                core.reports.append(("", repr(registration), True, "", {}))
            except Unavailable as error:
                core.reports.append(("", repr(error), False, "", {}))
    told = caplog.text + repr(core.reports) + repr(core.messages) + repr(vars(world))
    known = sim._tokens._known.values()
    assert len(known) > 4
    for token in known:
        assert token.text not in told
        assert not token.ticket or token.ticket not in told
    assert "encodedJITConfig" not in told


async def test_the_token_is_read_anew(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LOOK", 0.02)
    monkeypatch.setattr(rest, "_REFUSED", 0.02)  # seconds until one that was refused is tried again
    world.write_token("ghp_wrong")
    async with world.running():
        await world.core.until(lambda: any("token is wrong" in r[1] for r in world.core.reports))
        world.write_token(world.sim.token)
        await world.listening()


async def test_a_token_that_was_mended_is_tried_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "LOOK", 0.02)
    monkeypatch.setattr(retry, "_PERSON", 1e9)  # how long the pause is that a person should end
    world.write_token("ghp_wrong")
    async with world.running():
        backoff = world.queue.lines["linux"].listener._backoff
        await world.core.until(lambda: backoff._refusals >= 3)  # that pause has begun
        world.write_token(world.sim.token)
        await world.listening()
