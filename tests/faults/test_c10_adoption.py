"""C10: a scale set of our name is there already, and whose it is."""

from __future__ import annotations

from typing import Literal, TypeAlias

import pytest
import trio
from tests.faults.conftest import Faults
from tests.faults.world import World
from trio.testing import MockClock

from scaler_github.testing.errors import Refusal

Kind: TypeAlias = Literal["lose", "truncate"]
SAME = ["linux", "self-hosted-image:linux"]
EQUAL = {
    "same": SAME,
    "in another order and case": ["Self-Hosted-Image:Linux", "LINUX"],
}
OTHER = {
    "fewer": ["linux"],
    "more": [*SAME, "gpu"],
    "others": ["linux", "self-hosted-image:windows"],
}
LABELS = {**EQUAL, **OTHER}
TAKEN = {
    "same": set(EQUAL),
    "any": set(LABELS),
    "never": set[str](),
}


def adopting(adopt: str) -> str:
    return f'adopt = "{adopt}"'


async def it_is_ours(world: World, number: int) -> None:
    """It serves, there is no other one, and it has our labels."""
    await world.recovers()
    await world.settled()
    [one] = world.simulator.scale_sets
    assert one.id == number
    assert one.label_names == {label.lower() for label in SAME}
    assert not world.degraded()


async def it_is_left_alone(world: World, labels: list[str]) -> None:
    """Nothing is changed about it, and a person can read what to do."""
    await world.until(world.degraded)
    await trio.sleep(900)
    foreign = world.simulator.scale_set("linux")
    assert foreign.label_names == {label.lower() for label in labels}
    assert foreign.session is None
    for route in ("create-session", "update-scale-set", "delete-scale-set", "jitconfig"):
        assert not world.calls(route), route
    # (the listener looks once a minute, and the check of the settings looks by itself)
    assert world.per_minute("find-scale-set", trio.current_time() - 800) <= 2, "asked in haste"
    [alarm] = {each.text for each in world.said if not each.profile and not each.ok}
    assert "scale set linux" in alarm
    assert "adopt" in alarm


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("adopt", TAKEN)
async def test_c10_there_before_us(
    autojump_clock: MockClock, faults: Faults, adopt: str, labels: str
) -> None:
    async with faults(more=adopting(adopt)) as world:
        before = world.simulator.create_scale_set("linux", LABELS[labels])
        async with world.scaler():
            if labels in TAKEN[adopt]:
                await it_is_ours(world, before.id)
                assert not world.calls("create-scale-set")
                return
            await it_is_left_alone(world, LABELS[labels])
            assert not world.calls("create-scale-set")
            world.simulator.delete_scale_set("linux")  # a person did
            await it_is_ours(world, before.id + 1)


RIVALS = [(adopt, labels) for adopt in TAKEN for labels in ("same", "others")]


@pytest.mark.parametrize(("adopt", "labels"), RIVALS)
async def test_c10_there_when_we_make_ours(
    autojump_clock: MockClock, faults: Faults, flow: str, adopt: str, labels: str
) -> None:
    """Made by another one between our look and our making: the creation says that it exists."""
    async with faults(flow=flow, more=adopting(adopt)) as world:
        world.simulator.delays["create-scale-set"] = 3
        async with world.scaler():
            await world.until(lambda: world.calls("create-scale-set"))
            rival = world.simulator.create_scale_set("linux", LABELS[labels])
            del world.simulator.delays["create-scale-set"]
            await world.until(lambda: world.calls("create-scale-set")[0].status == 400)
            if labels in TAKEN[adopt]:
                await it_is_ours(world, rival.id)
            else:
                await it_is_left_alone(world, LABELS[labels])
                world.simulator.delete_scale_set("linux")
                await it_is_ours(world, rival.id + 1)


@pytest.mark.parametrize("adopt", TAKEN)
@pytest.mark.parametrize("kind", ["lose", "truncate"])
async def test_c10_the_answer_was_lost(
    autojump_clock: MockClock,
    faults: Faults,
    flow: str,
    adopt: str,
    kind: Literal["lose", "truncate"],
) -> None:
    """It was made all the same: ours, and not made twice."""
    async with faults(flow=flow, more=adopting(adopt)) as world:
        fault = world.simulator.faults.add("create-scale-set", kind=kind)
        async with world.scaler():
            await world.until(lambda: fault.struck)
            [one] = world.simulator.scale_sets
            await it_is_ours(world, one.id)
        assert len(world.calls("create-scale-set")) == 1


@pytest.mark.parametrize("adopt", TAKEN)
async def test_c10_a_crash_while_it_is_made(
    autojump_clock: MockClock, faults: Faults, flow: str, adopt: str
) -> None:
    async with faults(flow=flow, more=adopting(adopt)) as world:
        world.simulator.faults.add("create-scale-set", kind="slow")  # made, and the answer drips
        async with world.scaler():
            await world.until(lambda: world.simulator.scale_sets)
            await world.crash()
        [one] = world.simulator.scale_sets
        async with world.scaler():
            await it_is_ours(world, one.id)
        assert len(world.calls("create-scale-set")) == 1


@pytest.mark.parametrize("adopt", TAKEN)
@pytest.mark.parametrize("changed", [False, True])
async def test_c10_ours_is_known_again(
    autojump_clock: MockClock, faults: Faults, adopt: str, changed: bool
) -> None:
    """After a restart it is ours whatever `adopt` says, even with labels that a person changed."""
    async with faults(more=adopting(adopt)) as world:
        async with world.scaler():
            await world.listens()
        [one] = world.simulator.scale_sets
        if changed:
            one.labels = [{"id": "1", "name": "linux", "type": "System"}]
        async with world.scaler():
            await it_is_ours(world, one.id)


@pytest.mark.parametrize("adopt", TAKEN)
async def test_c10_anothers_by_our_number(
    autojump_clock: MockClock, faults: Faults, adopt: str
) -> None:
    """Ours was deleted while we were away, and another one made with other labels."""
    async with faults(more=adopting(adopt)) as world:
        async with world.scaler():
            await world.listens()
        since = trio.current_time()
        world.simulator.delete_scale_set("linux")
        other = world.simulator.create_scale_set("linux", OTHER["others"])
        async with world.scaler():
            if adopt == "any":
                await it_is_ours(world, other.id)
                return
            await world.until(world.degraded)
            await trio.sleep(600)
            assert other.session is None
            assert not world.calls("update-scale-set", since)
            world.simulator.delete_scale_set("linux")
            await it_is_ours(world, other.id + 1)


@pytest.mark.parametrize("adopt", TAKEN)
async def test_c10_another_group(
    autojump_clock: MockClock, faults: Faults, flow: str, adopt: str
) -> None:
    """A name counts within its group: another group's is never taken, and ours is made."""
    more = f'{adopting(adopt)}\nrunner_group = "fast"'
    async with faults(flow=flow, more=more) as world:
        group = world.simulator.add_runner_group("fast")
        foreign = world.simulator.create_scale_set("linux", SAME)
        # (else jobs, which name no group, might go there)
        foreign.enabled = False
        async with world.scaler():
            await world.recovers()
            await world.settled()
        _, ours = world.simulator.scale_sets
        assert ours.group_id == group
        assert foreign.session is None
        assert not world.calls("update-scale-set")
        with pytest.raises(Refusal):
            world.simulator.create_scale_set("linux", SAME, group_id=group)
