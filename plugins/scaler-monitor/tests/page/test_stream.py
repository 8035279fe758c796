from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import trio
import trio.testing

from scaler_monitor.page.fragment import Fragment
from scaler_monitor.page.stream import BEAT, Hub


def fragment(version: int, **parts: str) -> Fragment:
    made = {"verdict": "v", "runners": "r", **parts}
    etag = json.dumps(made)
    return Fragment(
        version=version, time=1.0, title="t", level="well", parts=made, html="", etag=etag
    )


class Maker:
    """Makes the fragment that it was told to; a listener without listeners makes none."""

    def __init__(self) -> None:
        self.now = fragment(1)
        self.made = 0
        self.stopping = trio.Event()
        self.hub = Hub(self.make, self.changed, self.stopping)
        self.send, self.receive = trio.open_memory_channel[None](100)

    async def make(self) -> Fragment:
        self.made += 1
        return self.now

    async def changed(self) -> None:
        await self.receive.receive()

    def change(self, to: Fragment) -> None:
        self.now = to
        self.send.send_nowait(None)


@asynccontextmanager
async def running() -> AsyncIterator[Maker]:
    maker = Maker()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(maker.hub.run)
        yield maker
        maker.stopping.set()


def parts(sent: bytes) -> dict[str, Any]:
    head, _, data = sent.partition(b"data: ")
    assert head == b"event: parts\n"
    assert data.endswith(b"\n\n")
    assert b"\n" not in data.strip()
    told: dict[str, Any] = json.loads(data)["parts"]
    return told


async def test_first_everything_then_what_changed(autojump_clock: Any) -> None:
    async with running() as maker, aclosing(maker.hub.listen()) as events:
        assert (await anext(events)).startswith(b"retry: ")
        assert parts(await anext(events)) == {"verdict": "v", "runners": "r"}
        maker.change(fragment(2, runners="r2\nr3"))
        assert parts(await anext(events)) == {"runners": "r2\nr3"}


async def test_nothing_is_made_while_nobody_listens(autojump_clock: Any) -> None:
    async with running() as maker:
        await trio.sleep(60)
        assert maker.made == 0
        async with aclosing(maker.hub.listen()) as events:
            await anext(events)
            await anext(events)
        made = maker.made
        maker.change(fragment(2))
        await trio.sleep(60)
        assert maker.made <= made + 1


async def test_a_slow_listener_gets_the_latest_alone(autojump_clock: Any) -> None:
    async with running() as maker, aclosing(maker.hub.listen()) as slow:
        await anext(slow)
        await anext(slow)
        for version in range(2, 12):
            maker.change(fragment(version, verdict=f"v{version}"))
            await trio.sleep(1)
        assert parts(await anext(slow)) == {"verdict": "v11", "runners": "r"}
        with trio.move_on_after(BEAT / 2) as scope:
            await anext(slow)
        assert scope.cancelled_caught, "the ten before it are not sent any more"


async def test_what_is_the_same_is_not_sent_but_that_it_lives(autojump_clock: Any) -> None:
    async with running() as maker, aclosing(maker.hub.listen()) as events:
        await anext(events)
        await anext(events)
        maker.change(fragment(9))
        began = trio.current_time()
        assert await anext(events) == b"event: beat\ndata:\n\n"
        assert trio.current_time() - began == BEAT


async def test_everybody_is_sent_the_same_bytes(autojump_clock: Any) -> None:
    got: list[bytes] = []

    async def listen(hub: Hub) -> None:
        async with aclosing(hub.listen()) as events:
            async for each in events:
                if b"v2" in each:
                    got.append(each)
                    return

    async with running() as maker:
        async with trio.open_nursery() as nursery:
            for _ in range(200):
                nursery.start_soon(listen, maker.hub)
            await trio.sleep(1)
            maker.change(fragment(2, verdict="v2"))
        assert len(got) == 200
        assert len({id(each) for each in got}) == 1
        assert maker.made == 2


async def test_stopping_ends_every_listener(autojump_clock: Any) -> None:
    ended = 0

    async def listen(hub: Hub) -> None:
        nonlocal ended
        async with aclosing(hub.listen()) as events:
            async for _ in events:
                pass
        ended += 1

    async with trio.open_nursery() as nursery, running() as maker:
        for _ in range(5):
            nursery.start_soon(listen, maker.hub)
        await trio.sleep(12.5)
        began = trio.current_time()
        maker.stopping.set()
        await trio.testing.wait_all_tasks_blocked()
    assert ended == 5
    assert trio.current_time() == began


async def test_a_listener_that_leaves_is_forgotten(autojump_clock: Any) -> None:
    async with running() as maker:
        for _ in range(3):
            async with aclosing(maker.hub.listen()) as events:
                await anext(events)
                assert maker.hub._listeners == 1
        assert maker.hub._listeners == 0


async def test_who_comes_after_hours_is_shown_what_is_then(autojump_clock: Any) -> None:
    async with running() as maker:
        async with aclosing(maker.hub.listen()) as events:
            await anext(events)
            await anext(events)
        maker.now = fragment(2, verdict="later")
        await trio.sleep(3600)
        async with aclosing(maker.hub.listen()) as events:
            await anext(events)
            began = trio.current_time()
            assert parts(await anext(events)) == {"verdict": "later", "runners": "r"}
            assert trio.current_time() == began


async def test_what_was_made_for_one_who_left_is_not_shown_to_the_next(
    autojump_clock: Any, monkeypatch: Any
) -> None:
    async with running() as maker:
        real, going = maker.hub._make, trio.Event()

        async def slow() -> Fragment | None:
            made = await real()
            await going.wait()
            return made

        monkeypatch.setattr(maker.hub, "_make", slow)
        async with aclosing(maker.hub.listen()) as events:
            await anext(events)
            await trio.testing.wait_all_tasks_blocked()
        going.set()
        maker.now = fragment(2, verdict="later")
        await trio.sleep(3600)
        async with aclosing(maker.hub.listen()) as events:
            await anext(events)
            assert parts(await anext(events))["verdict"] == "later"
