"""The file itself: one that is no file, a disk that hangs, and a reload that takes long."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import trio

from scaler import SettingsError, Unavailable, load_settings
from scaler.reload import Reloader, reloader

from .conftest import SETTINGS

if TYPE_CHECKING:
    from .conftest import Place

IN_THREAD: Callable[[Reloader], Any] = Reloader._in_thread


def test_what_is_no_file_is_refused_at_once(place: Place) -> None:
    os.mkfifo(place.file)
    with pytest.raises(SettingsError, match="is not a file"):
        load_settings(place.file, extra=place.extra)


async def test_c46_a_file_without_profiles_makes_none_of_them_leave(
    place: Place, autojump_clock: object
) -> None:
    """As one that is just being written may be, or that a full disk cut off."""
    async with place.scaler():
        before = place.reloader.settings
        place.file.write_text("")
        became = await place.running.reload()
        assert not became.ok
        assert "there are no profiles" in became.problems[0]
        assert place.reloader.settings is before


async def test_a_disk_that_hangs_changes_nothing_and_the_next_reload_works(
    place: Place, monkeypatch: pytest.MonkeyPatch, autojump_clock: object
) -> None:
    hangs = True
    read: Callable[[Reloader], Any] = Reloader._in_thread

    async def slow(self: Reloader) -> Any:
        if hangs:
            await trio.sleep(1000)
        return await read(self)

    monkeypatch.setattr(Reloader, "_in_thread", slow)
    async with place.scaler():
        before = place.reloader.settings
        became = await place.reload(("max_count = 4", "max_count = 5"))
        assert "takes longer than 30 s" in became.problems[0]
        assert place.reloader.settings is before
        hangs = False
        assert (await place.running.reload()).ok
        assert place.state.profiles["linux"].max_count == 5


async def test_a_fifo_in_place_of_the_file_holds_up_no_later_reload(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the thread that a process uses, and its clock."""
    monkeypatch.setattr(Reloader, "_in_thread", IN_THREAD)
    monkeypatch.setattr(reloader, "READING", 10.0)
    with trio.fail_after(30):
        async with place.scaler():
            place.file.unlink()
            os.mkfifo(place.file)
            became = await place.running.reload()
            assert "is not a file" in became.problems[0]
            place.file.unlink()
            became = await place.reload(("max_count = 4", "max_count = 5"))
            assert became.ok, became
            assert place.state.profiles["linux"].max_count == 5


async def test_who_asks_is_told_in_time_that_it_goes_on(
    place: Place, autojump_clock: object
) -> None:
    place.extra |= {"other": type("Other", (place.queues,), {"made": []})}
    place.extra |= {"more": type("More", (place.queues,), {"made": []})}
    place.text = SETTINGS.replace("[plugins.deaf]", "[plugins.other]\n[plugins.more]")
    pace = '\npace = "9s"'
    async with place.scaler():
        sources = [place.queue, place.extra["other"].made[0], place.extra["more"].made[0]]
        for source in sources:
            source.script = [29.0]
        with pytest.raises(Unavailable, match=r"more is being told .* it goes on by itself"):
            await place.reload(
                ("[plugins.queue]", f"[plugins.queue]{pace}"),
                ("[plugins.other]", f"[plugins.other]{pace}"),
                ("[plugins.more]", f"[plugins.more]{pace}"),
            )
        await trio.sleep(20)
        assert place.reloader.last is not None
        assert place.reloader.last.ok
        assert all(source.context.config.pace == 9 for source in sources)
