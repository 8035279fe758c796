"""Screenshots over HTTP (D21, D29)."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from scaler import Picture, Unavailable
from scaler_monitor.api import shots
from scaler_monitor.settings import Config
from scaler_monitor.site import RECENT

from .fakes import BEARER, PNG, Asker, FakeCore, asking, runner

PICTURE = Picture(png=PNG, time=1_000_000_000.7, etag="abc")
RUNNER = ["/runner/1/screenshot.png", "/runner/1/screenshot"]
BUILDER = ["/profile/linux/screenshot.png", "/profile/linux/screenshot"]
NOW = "/runner/1/screenshot/now"


@pytest.mark.parametrize("path", RUNNER + BUILDER)
async def test_the_last_picture(ask: Asker, core: FakeCore, path: str) -> None:
    subject = 1 if path in RUNNER else "linux"
    core.pictures[subject] = PICTURE
    answer = await ask("GET", path)
    assert (answer.status, answer.body) == (200, PNG)
    assert core.calls == [("picture", subject)]
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["ETag"] == '"abc"'
    assert answer.headers["Last-Modified"] == "Sun, 09 Sep 2001 01:46:40 GMT"
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", [RUNNER[0], BUILDER[0]])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-None-Match": '"abc"'}, 304),
        ({"If-None-Match": 'W/"abc"'}, 304),
        ({"If-None-Match": '"x", "abc"'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"abd"'}, 200),
        ({"If-Modified-Since": "Sun, 09 Sep 2001 01:46:40 GMT"}, 304),
        ({"If-Modified-Since": "Sun, 09 Sep 2001 01:46:39 GMT"}, 200),
        ({"If-Modified-Since": "nonsense"}, 200),
        ({"Range": "bytes=0-3"}, 200),
    ],
    ids=range(9),
)
async def test_conditional(
    ask: Asker, core: FakeCore, path: str, headers: dict[str, str], status: int
) -> None:
    core.pictures.update({1: PICTURE, "linux": PICTURE})
    answer = await ask("GET", path, headers=headers)
    assert answer.status == status
    assert answer.body == (b"" if status == 304 else PNG)
    assert answer.headers["ETag"] == '"abc"'


@pytest.mark.parametrize("path", RUNNER + BUILDER)
async def test_none_yet(ask: Asker, path: str) -> None:
    answer = await ask("GET", path)
    assert (answer.status, answer.code) == (404, "no-picture")


@pytest.mark.parametrize("number", ["9", "x", "99999999999999999999"])
@pytest.mark.parametrize("end", ["", ".png"])
async def test_whose_runner_is_not_there(ask: Asker, number: str, end: str) -> None:
    answer = await ask("GET", f"/runner/{number}/screenshot{end}")
    assert (answer.status, answer.code) == (404, "unknown-runner")


async def test_a_profile_that_is_not_there(ask: Asker) -> None:
    answer = await ask("GET", "/profile/nope/screenshot.png")
    assert (answer.status, answer.code) == (404, "unknown-profile")


@pytest.mark.parametrize(
    "name", ["nope", "..", "%2e%2e", "%00", "LINUX", "%2Fetc", "-1", "1_0", "0"]
)
async def test_d21_names_are_looked_up(ask: Asker, core: FakeCore, name: str) -> None:
    core.pictures.update({1: PICTURE, "linux": PICTURE, name: PICTURE, "..": PICTURE})
    for path in (
        f"/profile/{name}/screenshot.png",
        f"/runner/{name}/screenshot.png",
        f"/runner/{name}/screenshot",
        f"/runner/{name}/screenshot/now",
    ):
        assert (await ask("GET", path)).status == 404
    assert not [each for each in core.calls if each[0] == "screenshot"]


async def test_only_known_parameters(ask: Asker, core: FakeCore) -> None:
    core.pictures[1] = PICTURE
    assert (await ask("GET", RUNNER[0] + "?v=17")).status == 200
    for query in ("x=1", "v=1&v=2", "v=%2F"):
        assert (await ask("GET", f"{RUNNER[0]}?{query}")).code == "bad-parameter"
    assert (await ask("GET", f"{NOW}?v=1")).code == "bad-parameter"


async def test_one_at_once(ask: Asker, core: FakeCore) -> None:
    answer = await ask("GET", NOW)
    assert (answer.status, answer.body, answer.headers["ETag"]) == (200, PNG, '"now"')
    assert core.calls == [("screenshot", runner(1).machine)]


async def test_one_at_once_of_what_there_is(
    core: FakeCore, tmp_path: Path, mock_clock: MockClock
) -> None:
    ask = asking(core, tmp_path)
    assert (await ask("GET", "/runner/9/screenshot/now")).code == "unknown-runner"
    core.change(runners=(runner(9),))
    mock_clock.jump(RECENT)
    assert (await ask("GET", "/runner/9/screenshot/now")).status == 200
    assert (await ask("GET", NOW)).code == "unknown-runner"
    core.errors["screenshot"] = LookupError("takes none")
    assert (await ask("GET", "/runner/9/screenshot/now")).code == "no-picture"
    core.errors["screenshot"] = Unavailable("the host does not answer", 3)
    answer = await ask("GET", "/runner/9/screenshot/now")
    assert (answer.status, answer.code, answer.headers["Retry-After"]) == (503, "unavailable", "3")


async def test_d28_asking_for_the_head_takes_none(ask: Asker, core: FakeCore) -> None:
    answer = await ask("HEAD", NOW)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET")
    assert not core.calls
    core.pictures[1] = PICTURE
    assert (await ask("HEAD", RUNNER[0])).headers["ETag"] == '"abc"'


async def test_d29_a_burst_is_throttled(
    core: FakeCore, tmp_path: Path, mock_clock: MockClock
) -> None:
    ask = asking(core, tmp_path)
    rate, burst = shots.ADDRESS
    told = [(await ask("GET", NOW)).status for _ in range(burst + 20)]
    assert told == [200] * burst + [429] * 20
    assert (await ask("GET", NOW)).headers["Retry-After"] == "1"
    assert (await ask("GET", NOW, address="10.0.0.2")).status == 200
    mock_clock.jump(1 / rate)
    assert (await ask("GET", NOW)).status == 200
    assert len(core.calls) == burst + 2


async def test_d29_so_many_at_once_and_no_more(
    core: FakeCore, tmp_path: Path, mock_clock: MockClock
) -> None:
    ask = asking(core, tmp_path)
    core.gate = trio.Event()
    told = []

    async def look(number: int) -> None:
        told.append((await ask("GET", NOW, address=f"10.0.1.{number}")).status)

    async with trio.open_nursery() as nursery:
        for number in range(shots.PLACES + shots.QUEUE):
            nursery.start_soon(look, number)
        await wait_all_tasks_blocked()
        assert len(core.calls) == shots.PLACES
        await look(200)
        assert told == [503]
        core.gate.set()
    assert told == [503] + [200] * (shots.PLACES + shots.QUEUE)
    del mock_clock


@pytest.mark.parametrize("path", [*RUNNER, *BUILDER, NOW])
async def test_d29_a_setting_asks_for_the_token(core: FakeCore, tmp_path: Path, path: str) -> None:
    core.pictures.update({1: PICTURE, "linux": PICTURE})
    ask = asking(core, tmp_path, Config(screenshots_need_token=True))
    assert (await ask("GET", path)).status == 401
    assert (await ask("GET", path, headers={"Authorization": "Bearer wrong"})).status == 403
    assert not core.calls
    assert (await ask("GET", path, headers=BEARER)).status == 200
