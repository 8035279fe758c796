"""Who asks for a reload: several at once, one who goes away, one who comes too late."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio

from scaler import Unavailable

from .conftest import MAC

if TYPE_CHECKING:
    from .conftest import Place


async def test_two_who_ask_at_once_share_a_reload_and_a_later_one_sees_a_later_file(
    place: Place, autojump_clock: object
) -> None:
    place.text = place.text + MAC
    async with place.scaler():
        place.queue.script = [5.0]
        became: list[Any] = []

        async def ask() -> None:
            became.append(await place.running.reload())

        place.write(place.text, ("max_count = 4", "max_count = 5"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            nursery.start_soon(ask)
            await trio.sleep(2)  # it is being told
            place.write(place.text, ("max_count = 5", "max_count = 6"))
            nursery.start_soon(ask)
        assert became[0] is became[1]
        assert became[2].applied == ("profiles.linux.max_count: 6, was 5",)


async def test_it_goes_on_where_who_asked_goes_away(place: Place, autojump_clock: object) -> None:
    async with place.scaler():
        place.queue.script = [5.0]
        with trio.move_on_after(2):
            await place.reload(("[plugins.queue]", '[plugins.queue]\npace = "9s"'))
        await place.until(lambda: place.reloader.last)
        assert place.reloader.last is not None
        assert place.reloader.last.ok
        assert place.reloader.last.restart == ()


async def test_none_while_it_stops(place: Place, autojump_clock: object) -> None:
    async with place.scaler() as running:
        place.queue.script = [500.0]
        refused = []

        async def ask() -> None:
            try:
                await place.reload(("[plugins.queue]", '[plugins.queue]\npace = "9s"'))
            except Unavailable as error:
                refused.append(str(error))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await trio.sleep(2)
            running.stop()
        assert refused == ["this scaler is stopping"]
        with pytest.raises(Unavailable):
            await running.reload()
