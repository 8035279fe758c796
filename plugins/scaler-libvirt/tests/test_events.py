"""libvirt's events in trio: several runs in a process, floods, and runs that are over."""

from __future__ import annotations

import threading
from typing import Any

import libvirt
import pytest
import trio

from scaler_libvirt.hosts.events import Feed, LifecycleEvent, turn_event_loop
from scaler_libvirt.hosts.link import open_link

XML = "<domain type='test'><name>{}</name><memory>1024</memory><os><type>hvm</type></os></domain>"


def unexpected(reason: str) -> None:
    raise AssertionError(reason)


async def burst(count: int, size: int) -> tuple[int, int]:
    """How many events of a burst came through a feed of this size, and how many were missed."""
    feed = Feed(size)
    link = await trio.to_thread.run_sync(
        lambda: open_link("test:///default", feed=feed, on_close=unexpected, keepalive=(1, 3))
    )

    def make(connection: Any) -> None:
        for number in range(count):
            connection.createXML(XML.format(f"burst{number}-{threading.get_ident()}")).destroy()

    # this task does not read meanwhile, so what does not fit is missed
    await trio.to_thread.run_sync(link.use, make)
    while feed.events.statistics().current_buffer_used + feed.missed < 2 * count:  # noqa: ASYNC110
        await trio.sleep(0.005)
    await trio.to_thread.run_sync(link.retire)
    return feed.events.statistics().current_buffer_used, feed.missed


async def test_nothing_of_a_burst_is_lost() -> None:
    assert await burst(300, 1024) == (600, 0)


async def test_what_a_full_channel_cannot_take_is_counted() -> None:
    assert await burst(50, 10) == (10, 90)


def test_every_run_of_a_process_has_its_events() -> None:
    for _ in range(3):
        assert trio.run(burst, 5, 100) == (10, 0)


def test_runs_in_two_threads_have_their_events() -> None:
    came: list[int] = []

    async def one() -> None:
        came.append((await burst(20, 1000))[0])

    threads = [threading.Thread(target=trio.run, args=(one,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(came) == 2
    assert min(came) >= 40  # both see both: it is one hypervisor


def test_an_event_after_the_run_is_dropped() -> None:
    async def make() -> Feed:
        return Feed()

    feed = trio.run(make)
    feed.post(LifecycleEvent("u", 0, 0))


def test_the_loop_is_turned_once() -> None:
    def turning() -> int:
        return sum(thread.name == "libvirt events" for thread in threading.enumerate())

    for _ in range(3):
        turn_event_loop()
    assert turning() == 1


async def test_a_retired_link_is_closed_for_good() -> None:
    feed = Feed()
    opened: list[Any] = []
    link = await trio.to_thread.run_sync(
        lambda: open_link("test:///default", feed=feed, on_close=unexpected, keepalive=(1, 3))
    )
    await trio.to_thread.run_sync(link.use, opened.append)
    await trio.to_thread.run_sync(link.retire)
    with pytest.raises(libvirt.libvirtError, match="invalid connection"):
        opened[0].listAllDomains()
