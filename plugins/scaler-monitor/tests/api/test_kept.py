"""What was kept of runners and images, as it is handed out."""

from __future__ import annotations

from pathlib import Path

import pytest

from scaler import Event, Kept
from scaler_monitor.settings import Config

from .fakes import BEARER, Asker, FakeCore, asking


@pytest.fixture(autouse=True)
def there(core: FakeCore) -> None:
    items = tuple(Kept(name=name, size=9, time=5.0) for name in ("reason.txt", "x.bin", "s.png"))
    core.evidence = {7: items, "linux": items[:1]}
    core.items = {7: b"<script>why</script>\x1b[2J", "linux": b"the image"}


@pytest.mark.parametrize(
    ("path", "type_"),
    [
        ("/runner/7/kept/reason.txt", "text/plain; charset=utf-8"),
        ("/runner/7/kept/x.bin", "application/octet-stream"),
        ("/runner/7/kept/s.png", "image/png"),
        ("/profile/linux/kept/reason.txt", "text/plain; charset=utf-8"),
    ],
)
async def test_an_item_runs_nothing_and_is_not_stored(ask: Asker, path: str, type_: str) -> None:
    answer = await ask("GET", path)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == type_
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "sandbox" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/runner/7/kept/nothing.txt", "not-kept"),
        ("/runner/8/kept/reason.txt", "not-kept"),
        ("/runner/x/kept/reason.txt", "unknown-runner"),
        ("/runner/7/kept/..%2Freason.txt", "not-found"),
        ("/runner/7/kept/../../x", "not-found"),
        ("/profile/nope/kept/reason.txt", "unknown-profile"),
        ("/profile/linux/kept/x.bin", "not-kept"),
    ],
)
async def test_d21_what_is_not_there(ask: Asker, core: FakeCore, path: str, code: str) -> None:
    answer = await ask("GET", path)
    assert (answer.status, answer.code) == (404, code)
    assert not [each for each in core.calls if each[0] == "evidence"]


async def test_what_went_from_the_disk_meanwhile(ask: Asker, core: FakeCore) -> None:
    core.items.clear()
    assert (await ask("GET", "/runner/7/kept/reason.txt")).code == "not-kept"


async def test_who_ended_is_listed_and_linked(ask: Asker, core: FakeCore) -> None:
    core.evidence[8] = (Kept(name="events.txt", size=1, time=1.0),)
    events = [
        Event(time=5.0, text=f"linux.{n}@here is retiring: {why}", profile="linux", runner=n)
        for n, why in ((7, "its system crashed"), (8, "its job ended: succeeded"))
    ]
    core.change(events=tuple(events))
    page = (await ask("GET", "/dashboard.html")).body.decode()
    assert 'href="runner/7/kept/reason.txt"' in page
    assert 'href="runner/8/kept/events.txt"' in page
    told = (await ask("GET", "/dashboard.json")).json
    assert [each["id"] for each in told["failed"]] == [7]
    assert [(each["id"], each["why"]) for each in told["ended"]] == [
        (8, "its job ended: succeeded")
    ]


@pytest.mark.parametrize("path", ["/runner/7/kept/reason.txt", "/profile/linux/kept/reason.txt"])
async def test_d29_a_setting_asks_for_the_token(core: FakeCore, tmp_path: Path, path: str) -> None:
    ask = asking(core, tmp_path, Config(screenshots_need_token=True))
    assert (await ask("GET", path)).status == 401
    assert not core.calls
    assert (await ask("GET", path, headers=BEARER)).status == 200
    core.change(events=(Event(time=5.0, text="it is lost", profile="linux", runner=7),))
    assert "kept/reason.txt" not in (await ask("GET", "/dashboard.html")).body.decode()
