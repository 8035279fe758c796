"""C10: a scale set of our name that is there already, and whose it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
import trio

from scaler import Profile, Unavailable
from scaler_github.client.types import Label, ScaleSet
from scaler_github.queue import ActionsQueue
from scaler_github.queue.adoption import Adopt, Foreign, Own, Sought, check

World = Any

WANTED = Sought(
    profile="linux",
    setting="profiles.linux.actions-queue",
    scope="github.com/orgs/acme",
    name="linux",
    group=1,
    labels=("linux", "extra"),
)
OURS = Own(scope=WANTED.scope, id=7, name="linux", group=1)


def there(*labels: str, number: int = 7) -> ScaleSet:
    return ScaleSet(id=number, name="linux", labels=[Label(name=label) for label in labels])


@pytest.mark.parametrize(
    ("labels", "kept", "adopt", "taken"),
    [
        (("linux", "extra"), None, "same", True),
        (("EXTRA", "Linux"), None, "same", True),
        (("linux",), None, "same", False),
        (("linux", "extra", "more"), None, "same", False),
        (("linux",), None, "any", True),
        (("linux", "extra"), None, "never", False),
        # ours by its number, whatever became of its labels
        (("old",), OURS, "same", True),
        (("old",), OURS, "never", True),
        (("old",), replace(OURS, id=8), "same", False),
        (("linux", "extra"), replace(OURS, id=8), "never", False),
        # the same number of another scope is another scale set
        (("linux", "extra"), replace(OURS, scope="github.com/orgs/zoo"), "never", False),
        # made by a call whose answer was lost: only with the labels that it asked for
        (("linux", "extra"), replace(OURS, id=0, making=True), "never", True),
        (("linux",), replace(OURS, id=0, making=True), "never", False),
        (("linux", "extra"), replace(OURS, id=0, making=True, name="other"), "never", False),
        (("linux", "extra"), replace(OURS, id=0, making=True, group=2), "never", False),
        (
            ("linux", "extra"),
            Own(scope="github.com/orgs/zoo", id=0, name="linux", group=1, making=True),
            "never",
            False,
        ),
    ],
)
def test_what_is_ours(labels: tuple[str, ...], kept: Own | None, adopt: Adopt, taken: bool) -> None:
    wanted = replace(WANTED, adopt=adopt)
    if taken:
        check(there(*labels), kept, wanted)
    else:
        with pytest.raises(Foreign):
            check(there(*labels), kept, wanted)


@pytest.mark.parametrize(
    ("labels", "adopt", "way"),
    [(("linux", "old"), "same", "any"), (WANTED.labels, "never", "same")],
)
def test_a_refusal_says_what_is_there_and_the_ways_out(
    labels: tuple[str, ...], adopt: Adopt, way: str
) -> None:
    with pytest.raises(Foreign) as caught:
        check(there(*labels), None, replace(WANTED, adopt=adopt))
    text = str(caught.value)
    assert "number 7" in text
    assert ", ".join(labels) in text
    assert "linux, extra" in text
    assert "Set profiles.linux.actions-queue.scale_set to another name" in text
    assert f'profiles.linux.actions-queue.adopt = "{way}"' in text
    assert "delete it at GitHub" in text


def alarmed(world: World) -> bool:
    """Whether the plugin's own line tells of a scale set that is not ours."""
    lines = [r for r in world.core.reports if r[0] == "actions-queue" and not r[3]]
    return bool(lines) and not lines[-1][2] and "was not made here" in lines[-1][1]


def labels_of(world: World) -> set[str]:
    names: set[str] = world.sim.scale_set("linux").label_names
    return names


async def test_another_ones_scale_set_is_left_alone_and_asked_for_again(world: World) -> None:
    sim = world.sim
    sim.create_scale_set("linux", ["linux", "old"])
    async with world.running():
        await world.core.until(lambda: alarmed(world))
        await sim.wait_for(lambda: sim.count("find-scale-set") >= 3)
        assert labels_of(world) == {"linux", "old"}
        assert sim.count("update-scale-set") == sim.count("create-session") == 0
        assert "scale_set/linux" not in world.core.store
        sim.delete_scale_set("linux")
        await world.listening()
        assert not alarmed(world)
        assert labels_of(world) == {"linux", "extra"}


async def test_a_person_is_asked_once_a_minute(world: World) -> None:
    world.pace = replace(world.pace, person=0.3)
    world.build()
    world.sim.create_scale_set("linux", ["old"])
    async with world.running():
        await trio.sleep(0.7)
    assert 2 <= world.sim.count("find-scale-set") <= 3


@pytest.mark.parametrize("adopt", ["any", "same"])
async def test_one_that_may_be_taken_over_is_and_stays_ours(world: World, adopt: Adopt) -> None:
    labels = ["linux", "old"] if adopt == "any" else ["extra", "LINUX"]
    made = world.sim.create_scale_set("linux", labels)
    world.own["linux"] = ActionsQueue.ProfileConfig(adopt=adopt)
    world.build()
    async with world.running():
        await world.listening()
    assert labels_of(world) == {"linux", "extra"}
    assert world.sim.count("update-scale-set") == (adopt == "any")
    assert world.core.store["scale_set/linux"] == {
        "scope": world.account.scope.place,
        "id": made.id,
        "name": "linux",
        "group": 1,
        "making": False,
    }


async def again(world: World) -> None:
    """A start that comes to listen."""
    world.build()
    polls = world.sim.count("poll")
    async with world.running():
        await world.sim.wait_for(lambda: world.sim.count("poll") > polls)


async def test_labels_of_our_own_follow_the_settings(world: World) -> None:
    world.own["linux"] = ActionsQueue.ProfileConfig(adopt="never")
    await again(world)
    world.profiles["linux"] = Profile(name="linux", labels=("new",), source="actions-queue")
    await again(world)
    assert labels_of(world) == {"linux", "new"}
    assert len(world.sim.scale_sets) == 1


@pytest.mark.parametrize("adopt", ["same", "never"])
async def test_one_whose_making_was_not_answered_is_known_again(world: World, adopt: Adopt) -> None:
    world.own["linux"] = ActionsQueue.ProfileConfig(adopt=adopt)
    world.build()
    world.sim.faults.add("create-scale-set", kind="lose")
    async with world.running():
        await world.listening()
    assert world.sim.count("create-scale-set") == 1
    [one] = world.sim.scale_sets
    assert world.core.store["scale_set/linux"]["id"] == one.id
    assert world.core.store["scale_set/linux"]["making"] is False


async def test_one_whose_making_a_crash_cut_off_is_known_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.own["linux"] = ActionsQueue.ProfileConfig(adopt="never")
    world.build()
    kept = world.core.save

    async def save(plugin: str, key: str, value: Any) -> None:
        if key == "scale_set/linux" and not value["making"]:
            await trio.sleep_forever()
        await kept(plugin, key, value)

    with monkeypatch.context() as patch:
        patch.setattr(world.core, "save", save)
        async with trio.open_nursery() as nursery:
            await nursery.start(world.queue.run_service)
            await world.sim.wait_for(lambda: world.sim.scale_sets)
            nursery.cancel_scope.cancel()
    await again(world)
    assert world.sim.count("create-scale-set") == 1


async def test_what_github_refuses_to_make_leaves_no_claim(world: World) -> None:
    """Else whoever makes one of that name and labels later would lose it to us."""
    world.own["linux"] = ActionsQueue.ProfileConfig(adopt="never")
    world.build()
    world.sim.faults.add("create-scale-set", status=403, times=None)
    async with world.running():
        await world.sim.wait_for(lambda: world.sim.count("create-scale-set") >= 1)
        world.sim.create_scale_set("linux", ["linux", "extra"])
        await world.core.until(lambda: alarmed(world))
        assert "scale_set/linux" not in world.core.store


async def test_one_that_was_made_between_our_look_and_our_making_is_not_ours(world: World) -> None:
    world.own["linux"] = ActionsQueue.ProfileConfig(adopt="never")
    world.build()
    world.sim.delays["create-scale-set"] = 0.1
    async with world.running():
        await world.sim.wait_for(lambda: world.sim.count("create-scale-set") == 1)
        world.sim.create_scale_set("linux", ["linux", "extra"])
        await world.core.until(lambda: alarmed(world))


async def test_nothing_is_made_that_cannot_be_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, full = world.core.save, True

    async def save(plugin: str, key: str, value: Any) -> None:
        if full and key == "scale_set/linux":
            raise Unavailable("no space left on device", 0.02)
        await kept(plugin, key, value)

    monkeypatch.setattr(world.core, "save", save)
    async with world.running():
        await world.core.until(lambda: any("no space" in r[1] for r in world.core.reports))
        assert world.sim.count("create-scale-set") == 0
        full = False
        await world.listening()


async def test_the_one_that_is_found_after_ours_was_lost_passes_the_same_gate(world: World) -> None:
    """C9: another one made it anew before we did."""
    sim = world.sim
    async with world.running():
        await world.listening()
        sim.delete_scale_set("linux")
        sim.create_scale_set("linux", ["linux", "theirs"])
        await world.core.until(lambda: alarmed(world))
        assert labels_of(world) == {"linux", "theirs"}
        assert sim.count("create-scale-set") == 1
        sim.delete_scale_set("linux")
        polls = sim.count("poll")
        await sim.wait_for(lambda: sim.count("poll") > polls)
        assert labels_of(world) == {"linux", "extra"}


@pytest.mark.parametrize("key", ["cursor/linux", "session/linux", "scale_set/linux"])
async def test_what_is_kept_of_another_scope_is_not_ours(world: World, key: str) -> None:
    """The numbers are the same, and mean something else."""
    sim = world.sim
    world.own["linux"] = ActionsQueue.ProfileConfig(adopt="never" if "set" in key else "same")
    world.build()

    async def killed(do: Callable[[], Awaitable[Any]]) -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(world.queue.run_service)
            await do()
            nursery.cancel_scope.cancel()

    await killed(world.listening)
    sim.queue_jobs("linux")
    world.build()

    async def received() -> None:
        await world.core.until(lambda: "cursor/linux" in world.core.store)

    await killed(received)
    world.core.store[key] = {**world.core.store[key], "scope": "github.com/orgs/zoo"}
    world.build()
    told = len(world.core.messages)
    sessions = sim.count("delete-session")
    async with world.running():
        if key == "scale_set/linux":
            await world.core.until(lambda: alarmed(world))
        elif key == "session/linux":
            await world.core.until(
                lambda: any("another scaler" in report[1] for report in world.core.reports)
            )
            assert sim.count("delete-session") == sessions
        else:
            await world.core.until(lambda: world.core.messages[told:])
            assert world.core.messages[told].reset
