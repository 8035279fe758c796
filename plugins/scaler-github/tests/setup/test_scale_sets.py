"""The check of `actions-queue`: runner group, scale set, labels, session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio

from scaler import Profile
from scaler_github.account import Connection
from scaler_github.queue import ActionsQueue
from scaler_github.setup import queue as setup
from scaler_github.testing import Simulator

Checked = Any
Told = Callable[[Any], list[str]]
Own = ActionsQueue.ProfileConfig


async def test_a_scale_set_that_will_be_made(checked: Checked, sim: Simulator, told: Told) -> None:
    [said] = told(await checked.build(sim.url, sim.token).queue.check())
    assert said == (
        "ok profile linux: the scale set linux does not exist yet; it will be made, "
        "with labels linux, x64"
    )
    assert sim.scale_sets == []


async def test_a_scale_set_that_is_there_and_whose_session_opens(
    checked: Checked, sim: Simulator, told: Told
) -> None:
    made = sim.create_scale_set("linux", ["linux", "x64"])
    [said] = told(await checked.build(sim.url, sim.token).queue.check())
    assert said == (
        f"ok profile linux: scale set linux is number {made.id}, with labels linux, x64; "
        "its session opens"
    )
    assert made.session is None  # and it was closed again
    assert sim.count("create-session") == sim.count("delete-session") == 1


async def test_a_session_that_another_one_has(checked: Checked, sim: Simulator, told: Told) -> None:
    made = sim.create_scale_set("linux", ["linux", "x64"])
    held = sim.hold_session("linux")
    [said] = told(await checked.build(sim.url, sim.token).queue.check())
    assert said.startswith("ok ")
    assert "a scaler listens to it, or the last one's has not ended yet" in said
    assert made.session is held


@pytest.mark.parametrize(
    ("labels", "adopt", "words"),
    [
        (["linux"], "same", ["lacks x64", "do not come", "if another did", "before 3.21"]),
        (["linux", "x64", "gpu"], "same", ["has gpu, which the settings do not", 'adopt = "any"']),
        (["linux", "gpu"], "any", ["lacks x64", "has gpu", "sets them when it starts."]),
    ],
)
async def test_labels_that_differ(
    checked: Checked, sim: Simulator, told: Told, labels: list[str], adopt: Any, words: list[str]
) -> None:
    sim.create_scale_set("linux", labels)
    checked.queue_own = {"linux": Own(adopt=adopt)}
    [found, said] = told(await checked.build(sim.url, sim.token).queue.check())
    assert found.startswith("ok ")
    assert ", ".join(labels) in found
    assert said.startswith("warn ")
    for word in words:
        assert word.lower() in said.lower()


async def test_one_that_is_never_taken_over(checked: Checked, sim: Simulator, told: Told) -> None:
    sim.create_scale_set("linux", ["linux", "x64"])
    checked.queue_own = {"linux": Own(adopt="never")}
    [said] = told(await checked.build(sim.url, sim.token).queue.check())
    assert "only if this scaler made it (profiles.linux.actions-queue.adopt)" in said


async def test_labels_differ_by_more_than_their_case(
    checked: Checked, sim: Simulator, told: Told
) -> None:
    sim.create_scale_set("linux", ["Linux", "X64"])
    assert len(await checked.build(sim.url, sim.token).queue.check()) == 1


async def test_a_runner_group_that_is_missing(checked: Checked, sim: Simulator, told: Told) -> None:
    checked.queue_own = {"linux": Own(runner_group="Zoo")}
    [said] = told(await checked.build(sim.url, sim.token).queue.check())
    assert said.startswith('WRONG profile linux: organization acme has no runner group "Zoo"')
    assert "profiles.linux.actions-queue.runner_group" in said
    assert f"{sim.origin}/organizations/acme/settings/actions/runner-groups" in said
    sim.add_runner_group("zoo")
    [said] = told(await checked.build(sim.url, sim.token).queue.check())
    assert said.startswith("ok ")


async def test_a_repository_has_no_groups(checked: Checked, sim: Simulator, told: Told) -> None:
    url = sim.add_scope("acme/web")
    checked.queue_own = {"linux": Own(runner_group="Zoo")}
    [said] = told(await checked.build(url, sim.token).queue.check())
    assert "repository acme/web has no runner groups" in said
    checked.queue_own = {"linux": Own()}
    [said] = told(await checked.build(url, sim.token).queue.check())
    assert said.startswith("ok ")


def many(checked: Checked, count: int) -> None:
    names = [f"p{number}" for number in range(count)]
    checked.profiles = {name: Profile(name=name, source="actions-queue") for name in names}
    checked.queue_own = {name: Own() for name in names}


async def test_what_follows_from_a_bad_token_is_told_once(
    checked: Checked, sim: Simulator, told: Told
) -> None:
    many(checked, 5)
    [said] = told(await checked.build(sim.url, "ghp_bad").queue.check())
    assert said.startswith("WRONG the scale sets of p0, p1, p2, p3, p4 were not looked at")
    assert "github's check failed" in said
    assert sim.count("registration-token") == 1
    assert "ghp_bad" not in said


async def test_a_service_that_does_not_answer_is_told_once(
    checked: Checked, sim: Simulator, told: Told
) -> None:
    many(checked, 5)
    sim.faults.add("find-scale-set", times=99, kind="drop")
    [said] = told(await checked.build(sim.url, sim.token).queue.check())
    assert said.startswith("WRONG profiles p")
    assert "the Actions service does not answer" in said
    assert sim.origin.partition("//")[2] in said


async def test_one_profile_may_fail_alone(checked: Checked, sim: Simulator, told: Told) -> None:
    many(checked, 6)
    sim.create_scale_set("p3", ["p3"])
    sim.faults.add("create-session", status=500)
    said = told(await checked.build(sim.url, sim.token).queue.check())
    assert [line.startswith("ok profile p") for line in said].count(False) == 1
    [wrong] = [line for line in said if not line.startswith("ok ")]
    assert wrong.startswith("WRONG profile p3: the session of scale set p3 does not open")
    assert "500" in wrong


async def test_a_session_that_does_not_close_is_told(
    checked: Checked, sim: Simulator, told: Told
) -> None:
    sim.create_scale_set("linux", ["linux", "x64"])
    sim.faults.add("delete-session", status=500)
    [_, said] = told(await checked.build(sim.url, sim.token).queue.check())
    assert said.startswith("warn profile linux: the session that this check opened")


async def test_a_session_is_closed_also_when_the_check_is_broken_off(
    checked: Checked, sim: Simulator
) -> None:
    made = sim.create_scale_set("linux", ["linux", "x64"])
    sim.delays["create-session"] = 0.3
    async with trio.open_nursery() as nursery:
        nursery.start_soon(checked.build(sim.url, sim.token).queue.check)
        with trio.fail_after(5):
            while not sim.count("create-session"):  # noqa: ASYNC110 - the simulator's to tell
                await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    assert sim.count("create-session") == sim.count("delete-session") == 1
    assert made.session is None


async def test_without_time_to_close_it_no_session_is_opened(
    checked: Checked, sim: Simulator, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    sim.create_scale_set("linux", ["linux", "x64"])
    monkeypatch.setattr(setup, "PATIENCE", setup.SESSION + setup.CLOSING - 0.01)
    [found, said] = told(await checked.build(sim.url, sim.token).queue.check())
    assert found.startswith("ok ")
    assert said.startswith("unseen profile linux: whether the session of scale set linux opens was")
    assert sim.count("create-session") == 0


async def test_a_session_that_takes_too_long_is_left(
    checked: Checked, sim: Simulator, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    sim.create_scale_set("linux", ["linux", "x64"])
    sim.delays["create-session"] = 30
    monkeypatch.setattr(setup, "SESSION", 0.2)
    [_, said] = told(await checked.build(sim.url, sim.token).queue.check())
    assert said.startswith("WRONG ")
    assert "does not open: no answer within 0.2 s; it may be open all the same" in said
    assert "ends by itself within minutes" in said


@pytest.mark.parametrize(
    ("fault", "maybe"),
    [({"kind": "drop"}, True), ({"status": 502}, True), ({"status": 400}, False)],
)
async def test_a_session_may_be_open_where_no_answer_tells(
    checked: Checked, sim: Simulator, told: Told, fault: dict[str, Any], maybe: bool
) -> None:
    sim.create_scale_set("linux", ["linux", "x64"])
    sim.faults.add("create-session", **fault)
    [_, said] = told(await checked.build(sim.url, sim.token).queue.check())
    assert said.startswith("WRONG profile linux: the session of scale set linux does not open: ")
    assert ("may be open all the same" in said) is maybe


async def test_what_was_looked_at_in_time_is_kept(
    checked: Checked, sim: Simulator, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(checked, 2)
    sim.create_scale_set("p1", ["p1"])
    checked.queue_own["p1"] = Own(runner_group="slow")
    sim.add_runner_group("slow")
    sim.delays["runner-groups"] = 30
    monkeypatch.setattr(setup, "PATIENCE", 0.5)
    said = told(await checked.build(sim.url, sim.token).queue.check())
    assert said[0].startswith("ok profile p0")
    assert said[1].startswith("WRONG not looked at within 0.5 s: p1")


async def test_beside_the_service_no_session_is_opened(
    checked: Checked, sim: Simulator, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    sim.create_scale_set("linux", ["linux", "x64"])
    checked.build(sim.url, sim.token)
    checked.queue.lines._nursery = object()
    monkeypatch.setattr(setup, "OPENING", 0.3)
    [_, said] = told(await checked.queue.check())
    assert said.startswith("warn profile linux: no session of scale set linux is open now")
    checked.queue.lines.states["linux"].session = object()
    [said] = told(await checked.queue.check())
    assert said.endswith("; its session is open")
    assert sim.count("create-session") == 0


async def test_profiles_of_several_connections(
    checked: Checked, sim: Simulator, told: Told
) -> None:
    url = sim.add_scope("other")
    many(checked, 3)
    checked.queue_own["p1"] = Own(connection="two")
    checked.queue_own["p2"] = Own(connection="two")
    two = Connection(url=url, token=checked.token("ghp_bad"))
    said = told(await checked.build(sim.url, sim.token, more={"two": two}).queue.check())
    assert said[0].startswith("ok profile p0")
    assert "p1, p2 were not looked at: github's check of connection two failed" in said[1]
    assert len(said) == 2
    checked.queue_own["p0"] = Own(connection="three")
    [unknown, *_] = told(await checked.build(sim.url, sim.token, more={"two": two}).queue.check())
    assert 'profiles.p0.actions-queue.connection: found "three"' in unknown
