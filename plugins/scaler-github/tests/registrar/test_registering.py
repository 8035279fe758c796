"""Registering by REST: whatever comes back, a runner is either usable or gone (C22, C23)."""

from __future__ import annotations

import base64
import time
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from scaler import Unavailable
from scaler_github.client import GitHubError
from scaler_github.connection import GitHub

World = Any


def names(world: World) -> list[str]:
    return [agent.name for agent in world.sim.agents]


async def test_register_answers_what_a_runner_reads(
    world: World, autojump_clock: MockClock
) -> None:
    made = await world.github.register_runner(world.runner())
    [agent] = world.sim.agents
    assert made.name == agent.name == "bench.1@host-1"
    assert made.ref == f"127.0.0.1:8/orgs/acme/{agent.id}"
    assert b".credentials" in base64.b64decode(made.config.reveal())
    assert made.config.reveal() not in repr(made)
    assert 40 * 60 < made.expires - time.time() <= 45 * 60
    assert (made.online, made.busy) == (False, False)
    assert world.labels() == ["self-hosted", "bench"]
    assert agent.group_id == 1
    assert world.calls() == 1


@pytest.mark.parametrize(
    ("scope", "place"),
    [
        ("acme/web", "repos/acme/web"),
        ("enterprises/big", "enterprises/big"),
    ],
)
async def test_other_scopes(
    world: World, scope: str, place: str, autojump_clock: MockClock
) -> None:
    world.sim.add_scope(scope)
    world.url = world.url.replace("acme", scope)
    world.build()
    runner = await world.registered()
    assert runner.registration.ref == f"127.0.0.1:8/{place}/{world.sim.agent(runner.name).id}"
    assert list(await world.listed()) == [runner.name]
    await world.github.unregister_runner(runner)
    assert world.sim.agents == []


async def test_another_connection(world: World, autojump_clock: MockClock) -> None:
    world.sim.add_scope("zoo")
    other = GitHub.Config(url="http://127.0.0.1:8/zoo", token=world.token)
    world.config = {"connections": {"zoo": other}}
    world.own["bench"] = GitHub.ProfileConfig(connection="zoo")
    world.build()
    runner = await world.registered()
    assert world.sim.agent(runner.name).scope == "zoo"
    assert runner.registration.ref.startswith("127.0.0.1:8/orgs/zoo/")
    world.own["bench"] = GitHub.ProfileConfig()  # the profile has moved: its runner has not
    world.build()
    assert list(await world.listed()) == [runner.name]
    await world.github.unregister_runner(runner)
    assert world.sim.agents == []


async def test_a_name_that_exists_is_removed_and_made_again(
    world: World, autojump_clock: MockClock
) -> None:
    first = await world.github.register_runner(world.runner())
    second = await world.github.register_runner(world.runner())
    assert first.ref != second.ref
    assert [str(agent.id) for agent in world.sim.agents] == [second.ref.rpartition("/")[2]]
    assert world.calls("rest-jitconfig") == 3


async def test_a_name_whose_runner_works_is_left_alone(
    world: World, autojump_clock: MockClock
) -> None:
    await world.github.register_runner(world.runner())
    world.sim.bring_online(world.name())
    world.sim.queue_jobs(labels=["bench"])
    with pytest.raises(Unavailable, match="runs a job"):
        await world.github.register_runner(world.runner())
    assert names(world) == [world.name()]
    assert world.calls("rest-delete-runner") == 0


async def test_a_name_that_goes_on_existing_is_not_tried_for_ever(
    world: World, autojump_clock: MockClock
) -> None:
    world.sim.faults.add("rest-jitconfig", status=409, body={"message": "odd"}, times=None)
    with pytest.raises(Unavailable, match="is taken"):
        await world.github.register_runner(world.runner())
    assert world.calls("rest-jitconfig") == 1  # nobody is shown who has it
    with pytest.raises(Unavailable, match="does not show it yet"):
        await world.github.unregister_runner(world.runner())
    await trio.sleep(121)
    await world.github.unregister_runner(world.runner())


@pytest.mark.parametrize("sim_options", [{"list_delay": 90.0}])
async def test_a_name_that_is_taken_by_nobody_who_is_shown_is_given_up(
    world: World, autojump_clock: MockClock
) -> None:
    await world.github.register_runner(world.runner())
    with pytest.raises(Unavailable, match="does not show by whom"):
        await world.github.register_runner(world.runner())
    assert world.calls("rest-jitconfig") == 2


@pytest.mark.parametrize(
    "fault",
    [{"kind": "lose"}, {"kind": "truncate"}, {"status": 502, "act": True}, {"kind": "drop"}],
    ids=str,
)
async def test_c22_a_lost_answer_leaves_nothing_and_is_not_repeated(
    world: World, fault: dict[str, Any], autojump_clock: MockClock
) -> None:
    world.sim.faults.add("rest-jitconfig", **fault)
    with pytest.raises(Unavailable):
        await world.github.register_runner(world.runner())
    assert world.calls("rest-jitconfig") == 1
    assert world.sim.agents == []
    made = await world.github.register_runner(world.runner(2))  # as the core does then
    assert names(world) == [made.name] == [world.name(2)]


async def test_c22_what_cannot_be_looked_for_is_removed_when_the_core_asks(
    world: World, autojump_clock: MockClock
) -> None:
    world.sim.faults.add("rest-jitconfig", kind="lose")
    world.sim.faults.add("rest-runners", status=503)
    with pytest.raises(Unavailable, match="register runner"):
        await world.github.register_runner(world.runner())
    assert names(world) == [world.name()]
    await world.github.unregister_runner(world.runner())
    assert world.sim.agents == []


async def lost(world: World, **fault: Any) -> None:
    world.sim.faults.add("rest-jitconfig", **fault)
    with pytest.raises(Unavailable):
        await world.github.register_runner(world.runner())


@pytest.mark.parametrize("sim_options", [{"list_delay": 60.0}])
async def test_c22_what_is_not_shown_yet_is_not_taken_for_gone(
    world: World, autojump_clock: MockClock
) -> None:
    await lost(world, kind="lose")
    for _ in range(6):
        with pytest.raises(Unavailable, match="does not show it yet") as caught:
            await world.github.unregister_runner(world.runner())
        assert names(world) == [world.name()]
        assert caught.value.retry_after == 10
        await trio.sleep(10)
    await world.github.unregister_runner(world.runner())
    assert world.sim.agents == []


@pytest.mark.parametrize("sim_options", [{"list_delay": 60.0}])
@pytest.mark.parametrize(
    "fault", [None, {"fields": {"encoded_jit_config": "x"}}, {"status": 403}, {"status": 422}]
)
async def test_c22_what_was_never_registered_is_gone_at_once(
    world: World, fault: Any, autojump_clock: MockClock
) -> None:
    await lost(world, kind="drop")
    if fault is not None:
        world.sim.faults.add("rest-jitconfig", **fault)
    await world.github.unregister_runner(world.runner())
    assert world.sim.agents == []
    assert world.calls("rest-jitconfig") == 2
    assert world.core.told == []
    await world.github.unregister_runner(world.runner())
    assert world.calls("rest-jitconfig") == 2  # it is known now


@pytest.mark.parametrize("sim_options", [{"list_delay": 60.0}])
async def test_c22_a_second_answer_that_is_lost_is_no_answer_either(
    world: World, autojump_clock: MockClock
) -> None:
    await lost(world, kind="drop")
    world.sim.faults.add("rest-jitconfig", kind="lose")
    for _ in range(2):
        with pytest.raises(Unavailable):
            await world.github.unregister_runner(world.runner())
    assert names(world) == [world.name()]
    await trio.sleep(61)
    await world.github.unregister_runner(world.runner())
    assert world.sim.agents == []


@pytest.mark.parametrize("sim_options", [{"list_delay": 600.0}])
async def test_c22_what_was_registered_to_see_is_removed_however_late(
    world: World, autojump_clock: MockClock
) -> None:
    await lost(world, kind="drop")
    world.sim.faults.add("rest-delete-runner", status=503, times=2)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await world.github.unregister_runner(world.runner())
        assert names(world) == [world.name()]
        await trio.sleep(130)
    await world.github.unregister_runner(world.runner())
    assert world.sim.agents == []
    assert world.calls("rest-jitconfig") == 2


@pytest.mark.parametrize("sim_options", [{"list_delay": 110.0}])
async def test_c22_an_attempt_to_see_counts_from_when_it_was_made(
    world: World, autojump_clock: MockClock
) -> None:
    await lost(world, kind="drop")
    await trio.sleep(100)
    world.sim.faults.add("rest-jitconfig", kind="lose")
    with pytest.raises(Unavailable):
        await world.github.unregister_runner(world.runner())
    await trio.sleep(30)
    with pytest.raises(Unavailable, match="not show it yet"):
        await world.github.unregister_runner(world.runner())
    assert names(world) == [world.name()]
    await trio.sleep(81)
    await world.github.unregister_runner(world.runner())
    assert world.sim.agents == []


@pytest.mark.parametrize("sim_options", [{"list_delay": 600.0}])
async def test_c23_an_unusable_one_that_could_not_be_removed_is_removed_later(
    world: World, autojump_clock: MockClock
) -> None:
    world.sim.faults.add("rest-jitconfig", fields={"encoded_jit_config": ""})
    world.sim.faults.add("rest-delete-runner", status=503)
    with pytest.raises(Unavailable, match="not readable"):
        await world.github.register_runner(world.runner())
    await trio.sleep(130)
    await world.github.unregister_runner(world.runner())
    assert world.sim.agents == []


async def test_c22_after_long_lists_are_enough(world: World, autojump_clock: MockClock) -> None:
    await lost(world, kind="drop")
    await trio.sleep(121)
    await world.github.unregister_runner(world.runner())
    assert world.calls("rest-jitconfig") == 1


async def test_c22_a_caller_that_left_has_no_answer_either(
    world: World, autojump_clock: MockClock
) -> None:
    world.sim.options.list_delay = 60.0
    world.sim.delays["rest-jitconfig"] = 5.0
    with trio.move_on_after(1):
        await world.github.register_runner(world.runner())
    await trio.sleep(10)
    assert names(world) == [world.name()]
    with pytest.raises(Unavailable, match="not show it yet"):
        await world.github.unregister_runner(world.runner())
    await trio.sleep(61)
    await world.github.unregister_runner(world.runner())
    assert world.sim.agents == []


UNUSABLE = ["", "%%%", "bm8ganNvbg==", base64.b64encode(b"{}").decode(), None, 7]


@pytest.mark.parametrize("config", UNUSABLE)
@pytest.mark.parametrize("sim_options", [{}, {"list_delay": 90.0}], ids=["shown", "not yet shown"])
async def test_c23_an_unusable_config_leaves_no_runner(
    world: World, config: object, autojump_clock: MockClock
) -> None:
    world.sim.faults.add("rest-jitconfig", kind="edit", fields={"encoded_jit_config": config})
    with pytest.raises(Unavailable, match="not readable"):
        await world.github.register_runner(world.runner())
    assert world.sim.agents == []
    assert world.calls("rest-jitconfig") == world.calls("rest-delete-runner") == 1


@pytest.mark.parametrize("runner", [None, {}, {"id": "x"}, {"id": 0}, {"id": True}], ids=str)
async def test_c23_a_config_without_a_runner_leaves_no_runner(
    world: World, runner: object, autojump_clock: MockClock
) -> None:
    world.sim.faults.add("rest-jitconfig", kind="edit", fields={"runner": runner})
    with pytest.raises(Unavailable, match="not readable"):
        await world.github.register_runner(world.runner())
    assert world.sim.agents == []


async def test_groups_are_asked_for_once(world: World, autojump_clock: MockClock) -> None:
    group = world.sim.add_runner_group("GPU")
    world.own["bench"] = GitHub.ProfileConfig(runner_group="gpu")
    world.build()
    for number in (1, 2):
        await world.github.register_runner(world.runner(number))
    assert {agent.group_id for agent in world.sim.agents} == {group}
    assert world.calls("rest-runner-groups") == 1


async def test_a_group_that_may_not_be_used_is_asked_for_again(
    world: World, autojump_clock: MockClock
) -> None:
    group = world.sim.add_runner_group("gpu")
    world.own["bench"] = GitHub.ProfileConfig(runner_group="gpu")
    world.build()
    await world.github.register_runner(world.runner(1))
    for status in (403, 404):
        world.sim.close_runner_group(group, status)
        with pytest.raises(Unavailable, match="may its runner group be used here"):
            await world.github.register_runner(world.runner(2))
    world.sim._world.groups[99] = world.sim._world.groups.pop(group)
    await world.github.register_runner(world.runner(2))
    assert world.sim.agent(world.name(2)).group_id == 99


async def test_a_group_that_is_not_there(world: World, autojump_clock: MockClock) -> None:
    world.own["bench"] = GitHub.ProfileConfig(runner_group="zoo")
    world.build()
    with pytest.raises(Unavailable, match="no runner group 'zoo': make it"):
        await world.github.register_runner(world.runner())
    world.url += "/web"
    world.build()
    with pytest.raises(Unavailable, match="web has no runner groups: leave runner_group"):
        await world.github.register_runner(world.runner())
    assert world.calls("rest-jitconfig") == 0


async def test_a_missing_right_is_named(world: World, autojump_clock: MockClock) -> None:
    world.sim.add_token(world.sim.token, ["repo"])
    with pytest.raises(Unavailable, match="admin:org"):
        await world.github.register_runner(world.runner())
    with pytest.raises(Unavailable, match="admin:org"):
        await world.listed()


async def test_what_github_does_not_understand_is_a_fault(
    world: World, autojump_clock: MockClock
) -> None:
    world.sim.faults.add("rest-jitconfig", status=422, body={"message": "labels are odd"})
    with pytest.raises(GitHubError, match=r"422.*labels are odd"):
        await world.github.register_runner(world.runner())
