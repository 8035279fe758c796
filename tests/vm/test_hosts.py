"""Two hypervisors whose guests have the same addresses: shared evenly, and one of them dies."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import trio
from tests.vm.lab import Hypervisor, stock
from tests.vm.outside import change, dashboard, held, rooms
from tests.vm.relay import Relay
from tests.vm.site import DOOR, HOLD, MINIMAL, Profile, Scaler, Site, site

from scaler_libvirt.testing_watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.vm.guestimage import GuestImage

    from scaler_libvirt.testing_watcher import Life

SIZE = 128 << 20  # bytes of each machine; each host has room for four
AWAY = 40.0  # seconds until a host that does not answer is told as down


class Two:
    """A site with a second host, `there`, beside its own, `here`.

    Attributes:
        other: The second hypervisor.
        watcher: Sees the life of its machines.
    """

    def __init__(self, site: Site, other: Hypervisor, watcher: Watcher) -> None:
        self.site = site
        self.other = other
        self.watcher = watcher

    def running(self) -> dict[str, list[Life]]:
        """The machines that run, by their hosts."""
        there = [life for life in self.watcher.lives if life.identity and life.ended is None]
        return {"here": self.site.running(), "there": there}

    async def shown(self) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """The dashboard's profile, and its rooms."""
        shown = await dashboard(self.site)
        return shown["profiles"]["linux"], rooms(shown)

    async def until_shown(self, what: Callable[[dict[str, Any]], bool], seconds: float) -> None:
        """Wait until the dashboard shows this of its rooms."""
        with trio.fail_after(seconds):
            while not what((await self.shown())[1]):  # noqa: ASYNC110 - nobody tells
                await trio.sleep(0.3)


@asynccontextmanager
async def two_hosts(first: Hypervisor, image: GuestImage, folder: Path) -> AsyncIterator[Two]:
    """The scaler lives in the first one's network; guests of both reach it by the same URL."""
    linux = Profile(name="linux", most=8, script=held(HOLD) + MINIMAL)
    with ExitStack() as stack:
        second = stack.enter_context(Hypervisor(first.net))
        stock(second, image)
        host = (
            f' }}, {{ name = "there", uri = "{second.uri}", memory = "512M", acceleration = "none"'
        )
        async with site(first, folder, linux, host=host) as here, trio.open_nursery() as nursery:
            stack.enter_context(second.forward(int(here.simulator.origin.rpartition(":")[2])))
            door = second.listen("0.0.0.0", DOOR)
            stack.enter_context(Relay(door, lambda: first.connect("127.0.0.1", DOOR)))
            change(here.settings, 'memory = "4G"', 'memory = "512M"')
            yield Two(here, second, await watching(nursery, second))
            nursery.cancel_scope.cancel()


async def watching(nursery: trio.Nursery, hypervisor: Hypervisor) -> Watcher:
    """A watcher that watches."""
    watcher = Watcher(hypervisor.uri)
    await nursery.start(watcher.run)
    return watcher


async def test_two_hosts_share_and_one_that_is_away_loses_nothing(
    hypervisor: Hypervisor, image: GuestImage, tmp_path: Path
) -> None:
    async with two_hosts(hypervisor, image, tmp_path) as two:
        here = two.site
        here.mark(HOLD)
        scaler = await here.start()
        jobs = here.queue("linux", 4)
        await here.until(lambda: all(job.state == "running" for job in jobs))
        share = {name: len(lives) for name, lives in two.running().items()}
        assert share == {"here": 2, "there": 2}
        # the two networks have the same addresses: who asks is known by the seed's secret alone
        addresses = {
            name: {life.identity.address for life in lives if life.identity}
            for name, lives in two.running().items()
        }
        assert addresses["here"] & addresses["there"]
        away = {life.uuid for life in two.running()["there"]}
        before = (await two.shown())[0]["ceiling"]

        # its libvirtd is killed: what it has is unknown, and new jobs go to the other
        two.other.kill()
        await two.until_shown(lambda rooms: rooms["there"]["state"] == "down", AWAY)
        jobs += here.queue("linux", 3)
        await here.until(lambda: sum(job.state == "running" for job in jobs) == 6)
        assert len(two.running()["here"]) == 4
        profile, shown = await two.shown()
        assert shown["there"]["state"] == "down"
        assert shown["there"]["used"]["memory"] == 2 * SIZE
        assert (before, profile["ceiling"]) == (8, 6)  # what is there counts, what is free does not
        assert profile["states"] == {"busy": 6}
        assert here.known() >= away

        # it is back: everything is as it was, and ends
        two.other.start()
        async with trio.open_nursery() as nursery:
            two.watcher = await watching(nursery, two.other)
            await two.until_shown(lambda rooms: rooms["there"]["state"] == "up", AWAY)
            await here.until(lambda: all(job.state == "running" for job in jobs))
            there = (await two.watcher.listing()).keys()
            assert there >= away
            assert len(there) == 3  # the one more that there was no room for
            here.unmark(HOLD)
            await here.completed(jobs)
            assert [job.result for job in jobs] == ["succeeded"] * 7
            assert set(here.starts.of_job.values()) == {1}
            await here.clean()
            await nothing_is_there(two)
            assert len(here.machines) == 4  # nothing was made in place of what was unknown

            # one that is to take nothing new
            assert await scaler.stop() == 0
            await draining(two)
            nursery.cancel_scope.cancel()


async def draining(two: Two) -> None:
    """The same site once more, where a host has `drain = true`."""
    here = two.site
    change(here.settings, 'name = "here",', 'name = "here", drain = true,')
    scaler: Scaler = await here.start()
    made = len(here.machines)
    jobs = here.queue("linux", 3)
    await here.completed(jobs)
    assert Counter(job.result for job in jobs) == {"succeeded": 3}
    assert len(here.machines) == made
    assert (await two.shown())[1]["here"]["state"] == "draining"
    await here.clean()
    await nothing_is_there(two)
    assert await scaler.stop() == 0


async def nothing_is_there(two: Two) -> None:
    """Nothing is left of a machine on the second host."""
    assert await two.watcher.listing() == {}
    assert sorted(each.name for each in two.other.pool.iterdir()) == [
        "guest.raw",
        "initrd",
        "vmlinuz",
    ]
