"""Attempts to connect that hang inside libvirt, where no deadline reaches."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
import trio

from scaler import RoomState, Unavailable
from scaler_libvirt.hosts import driver
from scaler_libvirt.hosts.connection import Connection, Pace
from scaler_libvirt.hosts.link import Link, open_link
from scaler_libvirt.plugin import Libvirt
from scaler_libvirt.testing import Listener, context_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

QUICK = Pace(open=0.5, probe=0.1, look=0.3, first_pause=0.01, longest_pause=0.02, close=0.2)


class Stuck:
    """Opens connections; the first few hang until they are let go."""

    def __init__(self, hanging: int) -> None:
        self.hanging = hanging
        self.begun = 0
        self.ended = 0
        self.go_on = threading.Event()

    def __call__(self, uri: str, **more: Any) -> Link:
        self.begun += 1
        if self.begun <= self.hanging:
            self.go_on.wait(30)
            self.ended += 1
        return open_link(uri, **more)


@pytest.fixture
def stuck() -> Iterator[Callable[[int], Stuck]]:
    made: list[Stuck] = []

    def make(hanging: int) -> Stuck:
        made.append(Stuck(hanging))
        return made[-1]

    yield make
    for each in made:
        each.go_on.set()


@pytest.mark.parametrize("hanging", [1, Connection.HANGING - 1])
async def test_an_attempt_that_hangs_for_ever_does_not_keep_the_host_down(
    hanging: int, someone: Any, serving: Any, stuck: Any, runner: Any, registration: Any
) -> None:
    listener, opener, one = Listener(), stuck(hanging), runner()
    plugin = Libvirt(context_for(listener), pace=QUICK, opener=opener)
    async with serving(plugin):
        assert await listener.reported(ok=True) == "local up"
        assert (opener.begun, opener.ended) == (hanging + 1, 0)
        assert [room.state for room in await plugin.capacity()] == [RoomState.UP]
        await plugin.provision_runner(one, registration(one))
        await plugin.destroy_runner(one)


async def test_when_all_attempts_hang_it_is_said_and_no_more_are_begun(
    someone: Any, serving: Any, stuck: Any
) -> None:
    listener, opener = Listener(), stuck(100)
    plugin = Libvirt(context_for(listener), pace=QUICK, opener=opener)
    async with serving(plugin):
        assert "connecting takes longer" in await listener.said("4 attempts hang in libvirt")
        await trio.sleep(0.5)  # it goes on trying, with no thread for it
        assert opener.begun == Connection.HANGING
        opener.hanging = 0
        opener.go_on.set()
        assert await listener.reported(ok=True) == "local up"


async def test_a_probe_that_hangs_spoils_neither_connecting_nor_the_next_probe(
    someone: Any, serving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener, go_on, done = Listener(), threading.Event(), threading.Event()
    probed: list[Link] = []
    probe = Link.probe

    def hang_first(link: Link) -> None:
        probed.append(link)
        if len(probed) == 1:
            go_on.wait(30)
        probe(link)
        done.set()

    async def be_too_slow() -> None:
        slow = threading.Event()
        monkeypatch.setattr(driver, "list_ours", lambda *_, **__: slow.wait(30))
        with pytest.raises(Unavailable, match="no answer within"):
            await plugin.list_machines()
        monkeypatch.undo()
        monkeypatch.setattr(Link, "probe", hang_first)
        slow.set()

    monkeypatch.setattr(Link, "probe", hang_first)
    # (only what hangs is to be too slow, also on a busy machine)
    pace = Pace(open=5, probe=1, look=1, first_pause=0.01, longest_pause=0.02, close=0.2)
    plugin = Libvirt(context_for(listener), pace=pace)
    try:
        async with serving(plugin):
            await be_too_slow()
            assert "does not answer" in await listener.reported(ok=False)
            assert await listener.reported(ok=True) == "local up"
            told = len(listener.reports)
            await be_too_slow()
            assert await trio.to_thread.run_sync(done.wait, 5)
            assert len(probed) >= 2  # (a busy machine may have been slow once more)
            assert await plugin.list_machines() == []
            assert len(listener.reports) == told
    finally:
        go_on.set()
