"""The page as it is served, and what keeps it fresh."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio
from quart import Quart

from scaler import (
    Context,
    Kept,
    Machine,
    Panel,
    Picture,
    Runner,
    RunnerState,
    Unavailable,
    View,
)
from scaler_monitor import app
from scaler_monitor.paced import PACE, REST
from scaler_monitor.page.live import Live
from scaler_monitor.page.routes import POLICY
from scaler_monitor.settings import Config
from scaler_monitor.site import Door, Site

from .views import profile, view


class Core:
    """A view, and what stands beside it."""

    def __init__(self) -> None:
        self.now = view()
        self.shown: Mapping[str, Panel | None] | Exception = {}
        self.pictures: dict[int | str, Picture] = {}
        self.evidence: dict[int | str, tuple[Kept, ...]] = {}
        self.asked: list[int | str] = []
        self.views = 0
        self.fault: Exception | None = None
        self.changed = trio.Event()

    def change(self, **changes: Any) -> None:
        self.now = replace(self.now, version=self.now.version + 1, **changes)
        self.changed.set()
        self.changed = trio.Event()

    def view(self) -> View:
        self.views += 1
        if self.fault is not None:
            raise self.fault
        return self.now

    async def next_view(self, after: View) -> View:
        if self.fault is not None:
            raise self.fault
        while self.now is after:
            await self.changed.wait()
        return self.now

    def kept(self, subject: int | str) -> tuple[Kept, ...]:
        return self.evidence.get(subject, ())

    def picture(self, subject: int | str) -> Picture | None:
        self.asked.append(subject)
        return self.pictures.get(subject)

    async def panels(self) -> Mapping[str, Panel | None]:
        if isinstance(self.shown, Exception):
            raise self.shown
        return self.shown


@pytest.fixture
def core() -> Core:
    return Core()


@pytest.fixture
def context(core: Core, tmp_path: Path) -> Context[Config, None]:
    return context_of(core, tmp_path, Config())


def context_of(core: Core, folder: Path, config: Config) -> Context[Config, None]:
    behind: Any = core
    return Context(
        name="monitor",
        scaler="here",
        config=config,
        profiles={},
        own={},
        folder=folder,
        log=logging.LoggerAdapter(logging.getLogger("scaler.plugins.monitor"), {}),
        stopping=trio.Event(),
        core=behind,
    )


@pytest.fixture
def live(context: Context[Config, None]) -> Live:
    return Live(context)


@pytest.fixture
def inline(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """No threads: a clock that jumps does not wait for them."""

    async def apart(work: Any) -> Any:
        return work()

    live.pages.warm()
    monkeypatch.setattr(live, "_apart", apart)


@pytest.fixture
def served(context: Context[Config, None], live: Live) -> Quart:
    return app.build(Site(context, live), Door.PEOPLE)


def machine(number: int) -> Runner:
    made = Machine(runner=number, id=f"m{number}")
    name = f"linux.{number}@here"
    return Runner(id=number, name=name, profile="linux", state=RunnerState.IDLE, machine=made)


@asynccontextmanager
async def running(live: Live, context: Context[Config, None]) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(live.run)
        yield
        context.stopping.set()


async def test_the_page_has_all_of_it_without_a_script(core: Core, served: Quart) -> None:
    core.change(profiles={"linux": profile(why="no room", idle=1)})
    response = await served.test_client().get("/")
    html = await response.get_data(as_text=True)
    assert response.status_code == 200
    assert response.content_type == "text/html; charset=utf-8"
    assert "<title>NOT WELL · here · scaler</title>" in html
    assert 'lang="en"' in html
    assert "Not well: " in html
    assert "linux: 1 of 3 runners: no room" in html


async def test_it_is_a_page_that_loads_nothing_from_elsewhere(served: Quart) -> None:
    client = served.test_client()
    response = await client.get("/")
    assert response.headers["Content-Security-Policy"] == POLICY
    html = await response.get_data(as_text=True)
    assert " style=" not in html
    assert "<style" not in html
    assert re.findall(r"<script[^>]*>([^<]*)</script>", html) == [""]
    named = re.findall(r'(?:src|href)="(assets/[^"]+)"', html)
    assert {name.partition("?")[0].rpartition(".")[2] for name in named} == {"css", "js", "svg"}
    for name in named:
        response = await client.get(f"/{name}")
        assert response.status_code == 200
        assert response.content_type.startswith(("text/css", "text/javascript", "image/svg+xml"))
        content = await response.get_data(as_text=True)
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", content)


async def test_what_has_not_changed_is_not_sent_again(core: Core, served: Quart) -> None:
    client = served.test_client()
    etag = ""
    for path in ("/dashboard.html", "/assets/page.js", "/dashboard.json"):
        response = await client.get(path)
        etag = response.headers["ETag"]
        assert response.headers["Cache-Control"] == "no-cache"
        again = await client.get(path, headers={"If-None-Match": etag})
        assert (again.status_code, again.headers["ETag"]) == (304, etag)
        assert await again.get_data() == b""
        other = await client.get(path, headers={"If-None-Match": '"other"'})
        assert other.status_code == 200
    core.change(runners=(machine(1),))
    changed = await client.get("/dashboard.json", headers={"If-None-Match": etag})
    assert changed.status_code == 200


async def test_files_may_be_kept_by_their_version(served: Quart, live: Live) -> None:
    client = served.test_client()
    kept = await client.get(f"/assets/page.css?v={live.assets.version}")
    assert kept.headers["Cache-Control"].startswith("max-age=")
    old = await client.get("/assets/page.css?v=old")
    assert old.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/assets/secret.txt", 404),
        ("/assets/..%2froutes.py", 404),
        ("/dashboard.html?x=1", 400),
        ("/dashboard.json?x=1", 400),
        ("/events?x=1", 400),
        ("/assets/page.css?v=1&v=2", 400),
    ],
)
async def test_what_is_asked_wrongly(served: Quart, path: str, status: int) -> None:
    assert (await served.test_client().get(path)).status_code == status


async def test_guests_see_no_page(context: Context[Config, None], live: Live) -> None:
    guests = app.build(Site(context, live), Door.GUESTS).test_client()
    for path in ("/", "/dashboard.html", "/dashboard.json", "/events", "/assets/page.css"):
        assert (await guests.get(path)).status_code == 404


async def test_too_many_listeners_are_sent_away(
    served: Quart, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scaler_monitor.page.stream.MOST", 0)
    response = await served.test_client().get("/events")
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "30"


@pytest.mark.usefixtures("inline")
async def test_it_is_made_once_a_second_at_most(
    autojump_clock: Any, core: Core, live: Live
) -> None:
    first = await live.fragment()
    core.change(stopping=True)
    assert await live.fragment() is first
    await trio.sleep(PACE)
    assert (await live.fragment()).version == 2


@pytest.mark.usefixtures("inline")
async def test_what_is_dear_to_make_is_made_less_often(
    autojump_clock: Any, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*args: Any, **kwargs: Any) -> Any:
        end = time.thread_time() + 0.3
        while time.thread_time() < end:
            pass
        return real(*args, **kwargs)

    real = live.pages.fragment
    monkeypatch.setattr(live.pages, "fragment", slow)
    first = await live.fragment()
    await trio.sleep(REST * 0.3 * 0.99)
    assert await live.fragment() is first
    await trio.sleep(5)
    assert await live.fragment() is not first


async def test_it_is_made_in_a_thread_and_once_for_many(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def seen(*args: Any, **kwargs: Any) -> Any:
        threads.append(threading.current_thread())
        return real(*args, **kwargs)

    real = live.pages.fragment
    monkeypatch.setattr(live.pages, "fragment", seen)
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(live.fragment)
    [thread] = threads
    assert thread is not threading.main_thread()


async def test_pictures_of_what_is_shown_are_asked_for(core: Core, live: Live) -> None:
    core.pictures = {1: Picture(png=b"x", time=5.0, etag='"e1"')}
    builder = Machine(runner=None, id="b", profile="linux")
    idle = replace(machine(3), machine=None)
    core.change(runners=(machine(1), machine(2), idle), builders=(builder,))
    fragment = await live.fragment()
    assert sorted(map(str, core.asked)) == ["1", "2", "linux"]
    assert 'src="runner/1/screenshot.png?v=e1"' in fragment.html
    assert "runner/2/screenshot" not in fragment.html


async def test_where_pictures_need_a_token_the_page_has_none(core: Core, tmp_path: Path) -> None:
    core.pictures = {1: Picture(png=b"x", time=5.0, etag="e1")}
    core.change(runners=(machine(1),))
    live = Live(context_of(core, tmp_path, Config(screenshots_need_token=True)))
    assert "screenshot" not in (await live.fragment()).html
    assert core.asked == []


async def test_without_panels_there_is_a_page(core: Core, live: Live) -> None:
    core.shown = Unavailable("not now")
    assert "All is well" in (await live.fragment()).html


@pytest.mark.usefixtures("inline")
async def test_events_tell_of_a_change(
    autojump_clock: Any, core: Core, live: Live, context: Context[Config, None]
) -> None:
    async with running(live, context):
        listening = live.hub.listen()
        await anext(listening)
        assert b"All is well" in await anext(listening)
        core.change(stopping=True)
        began = trio.current_time()
        while b"stopping: no new runners" not in (event := await anext(listening)):
            pass
        assert trio.current_time() - began < 2
        told = json.loads(event.partition(b"data: ")[2])
        assert "verdict" in told["parts"]
        assert "runners" not in told["parts"]
        assert told["version"] == core.now.version
        await listening.aclose()


@pytest.mark.usefixtures("inline")
async def test_a_history_grows_also_while_nobody_looks(
    autojump_clock: Any, core: Core, live: Live, context: Context[Config, None]
) -> None:
    async with running(live, context):
        await trio.sleep(65)
    assert (
        "Over the last minute: 3 runners, 0 of them busy; target 3" in (await live.fragment()).html
    )
    assert core.views <= 9


@pytest.mark.usefixtures("inline")
async def test_a_fault_in_a_round_ends_nothing_and_is_told_once(
    autojump_clock: Any,
    core: Core,
    live: Live,
    context: Context[Config, None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running(live, context):
        listening = live.hub.listen()
        await anext(listening)
        await anext(listening)
        for _ in range(2):
            core.fault, before = ValueError("out of order"), core.views
            await trio.sleep(100)
            assert before + 5 < core.views < before + 250, "it neither gives up nor spins"
            core.fault = None
            core.change(stopping=not core.now.stopping)
            wanted = b"stopping: no new" if core.now.stopping else b"All is well"
            while wanted not in await anext(listening):
                pass
            await trio.sleep(30)
        await listening.aclose()
    told = sorted(each.getMessage() for each in caplog.records)
    assert [each.partition(";")[0] for each in told] == [
        "cannot make the dashboard",
        "cannot make the dashboard",
        "cannot take a sample",
        "cannot take a sample",
        "cannot wait for news",
        "cannot wait for news",
    ]
    assert all(each.exc_info for each in caplog.records)


@pytest.mark.usefixtures("inline")
async def test_a_fault_at_the_very_first_is_no_end_either(
    autojump_clock: Any, core: Core, live: Live, context: Context[Config, None]
) -> None:
    core.fault = ValueError("out of order")
    async with running(live, context):
        listening = live.hub.listen()
        await anext(listening)
        assert b"beat" in await anext(listening)
        core.fault = None
        assert b"All is well" in await anext(listening)
        await listening.aclose()


def test_an_application_is_built_without_reading_a_file(
    context: Context[Config, None], live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reading(*_: Any, **__: Any) -> Any:
        raise AssertionError("it reads a file on the loop")

    monkeypatch.setattr("scaler_monitor.page.live.Assets", reading)
    monkeypatch.setattr("scaler_monitor.page.live.Pages", reading)
    for door in Door:
        app.build(Site(context, live), door)
