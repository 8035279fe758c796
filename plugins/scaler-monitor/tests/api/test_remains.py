"""What is left of failures, as it is served."""

from __future__ import annotations

import pytest

from scaler import Event, Kept, Picture, Report

from .fakes import PNG, Asker, FakeCore

PICTURE = 'src="profile/linux/screenshot.png?v=e1"'


def kept(*names: str) -> tuple[Kept, ...]:
    return tuple(Kept(name=name, size=9, time=5.0) for name in names)


@pytest.mark.parametrize("ok", [True, False])
async def test_the_last_screen_of_an_image_is_shown_where_it_failed(
    ask: Asker, core: FakeCore, ok: bool
) -> None:
    core.pictures["linux"] = Picture(png=PNG, time=5.0, etag="e1")
    core.evidence["linux"] = kept("reason.txt")
    told = Report(plugin="l", profile="linux", ok=ok, text="it gave up", time=999.0,
                  facts={"images": []})  # fmt: skip
    core.change(reports=(*core.now.reports, told))
    page = (await ask("GET", "/dashboard.html")).body.decode()
    assert (PICTURE in page) is not ok
    assert ("reason.txt" in page) is not ok
    assert (("picture", "linux") in core.calls) is not ok


async def test_programs_are_told_what_failed_and_what_was_kept(ask: Asker, core: FakeCore) -> None:
    core.evidence = {7: kept("reason.txt", "serial.log"), "linux": kept("screenshot.png")}
    gone = Event(time=5.0, text="linux.7@here is retiring: its system crashed", profile="linux",
                 runner=7)  # fmt: skip
    core.change(events=(gone,))
    told = (await ask("GET", "/dashboard.json")).json
    assert told["failed"] == [
        {"id": 7, "name": "linux.7", "profile": "linux", "time": 5.0, "why": "its system crashed",
         "kept": ["reason.txt", "serial.log"]}
    ]  # fmt: skip
    assert told["profiles"]["linux"]["kept"] == ["screenshot.png"]
    assert told["profiles"]["windows"]["kept"] == []
