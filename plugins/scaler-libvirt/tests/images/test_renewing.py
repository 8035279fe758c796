"""Recipes and hosts that come, change and go while images are built; hours pass at once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import trio

from scaler import Profile, Unavailable
from scaler_libvirt.hosts.base import NoImage
from scaler_libvirt.settings import ProfileConfig

pytestmark = pytest.mark.once

HOUR = 3600.0


def profiles(core: Any) -> None:
    """Have a profile for each recipe, as the core does."""
    core.profiles = {name: Profile(name=name, resources={"memory": 4}) for name in core.own}


async def test_a_profile_that_is_added_gets_an_image(
    lab: Any, autojump_clock: Any, guests: Any
) -> None:
    core = lab.cores(plain=ProfileConfig())
    scaler, host = lab.scaler(core, lab.host), lab.host
    async with guests(host), scaler.running() as images:
        await trio.sleep(HOUR)
        before = len(host.calls)
        await trio.sleep(HOUR)
        assert len(host.calls) == before  # there is nothing to do, and nothing is asked
        core.own = {**core.own, "linux": lab.recipe()}
        profiles(core)
        with pytest.raises(NoImage):
            images.base("vm1", "linux")  # the settings have it, and nobody was told yet
        await images.renew(scaler.hosts)
        assert "image" in images.refusal("vm1", "linux")
        await scaler.until(lambda: scaler.state().live)
        assert images.base("vm1", "linux").image == host.image(1)
        await trio.sleep(10)
        assert core.reports["linux"][1]
        assert (core.folder / "images").is_dir()


async def test_another_source_is_built_after_what_is_being_built(
    lab: Any, autojump_clock: Any, guests: Any
) -> None:
    core, host = lab.core, lab.host
    scaler = lab.scaler(core, host)
    async with guests(host), scaler.running() as images:
        await scaler.until(lambda: host.made)
        core.own = {"linux": lab.recipe(source_image="/srv/newer.qcow2")}
        await images.renew(scaler.hosts)
        await scaler.until(lambda: scaler.state().live)
        assert scaler.state().live.source == "/srv/source.qcow2"  # as it was begun
        await scaler.until(lambda: scaler.state().live.number == 2)
        assert scaler.state().live.source == "/srv/newer.qcow2"
        assert [box.base.path for box in host.made if box.role == "builder"] == [
            "/srv/source.qcow2",
            "/srv/newer.qcow2",
        ]


async def test_a_profile_that_goes_leaves_no_machine(
    lab: Any, autojump_clock: Any, guests: Any
) -> None:
    core = lab.cores(linux=lab.recipe(), other=lab.recipe())
    host, scaler = lab.host, lab.scaler(core, lab.host)
    host.script = lab.hangs
    async with guests(host), scaler.running() as images:
        await scaler.until(lambda: host.machines)
        [first] = {box.profile for box in host.machines.values()}
        [second] = {"linux", "other"} - {first}
        core.own = {second: core.own[second]}
        profiles(core)
        host.script = lab.works
        await images.renew(scaler.hosts)
        assert images.refusal("vm1", first) == ""
        assert scaler.state(first).building is None
        await scaler.until(lambda: scaler.state(second).live, within=900)
        await scaler.until(lambda: not host.machines)
        core.own = {}
        profiles(core)
        await images.renew(scaler.hosts)
        assert images.reserved("vm1") == {}
        await trio.sleep(HOUR)
        assert set(host.volumes) == {host.image(1, second)}  # for a person to delete
        core.own = {second: lab.recipe()}
        profiles(core)
        await images.renew(scaler.hosts)  # it comes back: what was built is still good
        assert images.base("vm1", second).image == host.image(1, second)


async def test_a_host_that_is_added_builds_and_one_that_leaves_gives_up(
    lab: Any, autojump_clock: Any, guests: Any
) -> None:
    core, one, two = lab.core, lab.host, lab.hosts("vm2")
    scaler = lab.scaler(core, one)
    async with guests(one, two), scaler.running() as images:
        await scaler.until(lambda: scaler.state().live)
        assert images.refusal("vm2", "linux") == ""
        scaler.hosts["vm2"] = two
        two.script = lab.hangs
        await images.renew(scaler.hosts)
        await scaler.until(lambda: two.machines)
        assert images.building("vm2")
        assert not images.building("vm1")
        two.draining = True
        await images.renew(scaler.hosts, ["vm2"])
        assert not images.building("vm2")
        await scaler.until(lambda: not two.machines, within=900)
        made = len(two.made)
        await trio.sleep(3 * HOUR)
        assert len(two.made) == made
        assert images.drop("vm2") == []
        before = len(two.calls)
        del scaler.hosts["vm2"]
        await images.renew(scaler.hosts)
        await trio.sleep(HOUR)
        assert len(two.calls) == before  # nobody looks at it any more
        assert images.reserved("vm2") == {}
        assert not images.building("vm2")
        assert images.drop("vm1") == [one.image(1)]


async def test_nothing_has_changed_where_it_cannot_be_read(
    lab: Any, autojump_clock: Any, guests: Any
) -> None:
    core, host = lab.core, lab.host
    scaler = lab.scaler(core, host)
    async with guests(host), scaler.running() as images:
        await scaler.until(lambda: scaler.state().live)
        core.own = {"other": lab.recipe()}
        profiles(core)
        load = core.load

        async def broken(key: str) -> Any:
            raise Unavailable("the ledger cannot be read")

        core.load = broken
        with pytest.raises(Unavailable):
            await images.renew(scaler.hosts)
        with pytest.raises(NoImage):
            images.base("vm1", "other")
        assert images.base("vm1", "linux").image == host.image(1)
        core.load = load
        await images.renew(scaler.hosts)
        await scaler.until(lambda: scaler.state("other").live)


async def test_limits_count_for_the_next_build(lab: Any, autojump_clock: Any, guests: Any) -> None:
    core, host = lab.core, lab.host
    limit = {"memory": 2}
    core.config = SimpleNamespace(hosts=[SimpleNamespace(name="vm1", total=lambda: limit)])
    scaler = lab.scaler(core, host)
    async with guests(host), scaler.running() as images:
        await trio.sleep(HOUR)
        assert "does not fit" in images.refusal("vm1", "linux")
        limit = {"memory": 8}
        await images.renew(scaler.hosts)
        await scaler.until(lambda: scaler.state().live, within=600)


async def test_a_host_that_a_person_drains_builds_nothing_until_it_may(
    lab: Any, autojump_clock: Any, guests: Any
) -> None:
    scaler, host = lab.scaler(lab.core, lab.host), lab.host
    host.draining = True
    async with guests(host), scaler.running():
        await trio.sleep(HOUR)
        assert not host.made
        host.draining = False
        await scaler.until(lambda: scaler.state().live, within=600)


async def test_people_are_heard_once_however_often_it_is_renewed(
    lab: Any, autojump_clock: Any, guests: Any
) -> None:
    scaler = lab.scaler(lab.core, lab.host)
    async with guests(lab.host), scaler.running() as images:
        await scaler.until(lambda: scaler.state().live)
        tasks = len(images._nursery.child_tasks)
        for _ in range(20):
            await images.renew(scaler.hosts)
        assert len(images._nursery.child_tasks) == tasks
