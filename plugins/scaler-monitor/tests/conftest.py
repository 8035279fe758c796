"""A view that tests can change, and a Monitor that serves it on a real socket."""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest
import trio

from scaler import Context, Guest, GuestUnknown, Kept, Profile, ProfileView, Report, View
from scaler_monitor.plugin import Monitor
from scaler_monitor.settings import Config

LINUX = ProfileView(
    profile=Profile(name="linux", labels=("self-hosted-image:linux",), source="queue"),
    demand=1,
    target=3,
    ceiling=4,
    counts={},
)
QUIET = View(
    version=1,
    time=1000.0,
    scaler="here",
    stopping=False,
    profiles={"linux": LINUX},
    jobs=(),
    runners=(),
    rooms={},
    reports=(Report(plugin="queue", profile="linux", ok=True, text="polled", time=999.0),),
    waiting={},
    events=(),
)


NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # httpx would read all authorities each time


class World:
    """Stands behind the Monitor's Context: a view, and what was reported.

    Attributes:
        guests: The addresses and secrets of guests that asked for something.
    """

    def __init__(self) -> None:
        self.now = QUIET
        self.reports: list[tuple[str, bool]] = []
        self.guests: list[tuple[str, str | None]] = []
        self._changed = trio.Event()

    def change(self, **changes: Any) -> None:
        """Another view, one version later."""
        self.now = replace(self.now, version=self.now.version + 1, **changes)
        self._changed.set()
        self._changed = trio.Event()

    def view(self) -> View:
        """The core's side of `Context.view`."""
        return self.now

    async def next_view(self, after: View) -> View:
        """The core's side of `Context.next_view`."""
        while self.now is after:
            await self._changed.wait()
        return self.now

    def picture(self, _subject: int | str) -> None:
        """The core's side of `Context.picture`."""

    def kept(self, _subject: int | str) -> tuple[Kept, ...]:
        """The core's side of `Context.kept`: nothing was kept."""
        return ()

    def guest(self, address: str, secret: str | None) -> Guest:
        """The core's side of `Context.guest`: nobody is known."""
        self.guests.append((address, secret))
        raise GuestUnknown("no machine has this address")

    async def panels(self) -> dict[str, Any]:
        """The core's side of `Context.panels`."""
        return {}

    def report(self, _plugin: str, text: str, ok: bool, _profile: str, _facts: Any) -> None:
        """The core's side of `Context.report`."""
        self.reports.append((text, ok))


class Served:
    """A Monitor that serves.

    Attributes:
        stopping: Set to end it, as the core does.
        ended: Set when its service has returned.
    """

    def __init__(self, monitor: Monitor, stopping: trio.Event, scope: trio.CancelScope) -> None:
        self.monitor = monitor
        self.stopping = stopping
        self.scope = scope
        self.ended = trio.Event()

    def client(self, address: int = 0, *, guests: bool = False) -> httpx.AsyncClient:
        """An HTTP client of one of its addresses."""
        url = self._addresses(guests)[address]
        if url.startswith("unix:"):
            transport = httpx.AsyncHTTPTransport(uds=url.removeprefix("unix:"), verify=NO_TLS)
            return httpx.AsyncClient(base_url="http://here", transport=transport)
        return httpx.AsyncClient(base_url=url, trust_env=False, verify=NO_TLS)

    async def connect(self, *, guests: bool = False) -> trio.SocketStream:
        """A bare connection to its first address."""
        port = int(self._addresses(guests)[0].rpartition(":")[2])
        return await trio.open_tcp_stream("127.0.0.1", port)

    async def say(self, *said: bytes, guests: bool = False) -> bytes:
        """All that comes back on a bare connection until its other end closes it."""
        heard = b""
        async with await self.connect(guests=guests) as stream:
            with suppress(trio.BrokenResourceError):  # it may have been dropped already
                for each in said:
                    await stream.send_all(each)
                while more := await stream.receive_some():
                    heard += more
        return heard

    def _addresses(self, guests: bool) -> tuple[str, ...]:
        return self.monitor.guest_addresses if guests else self.monitor.addresses


Serve: TypeAlias = Callable[..., AbstractAsyncContextManager[Served]]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def make(world: World, tmp_path: Path) -> Callable[..., tuple[Monitor, trio.Event]]:
    def make(*listen: str, **settings: Any) -> tuple[Monitor, trio.Event]:
        core: Any = world
        stopping = trio.Event()
        context: Context[Config, None] = Context(
            name="monitor",
            scaler="here",
            config=Config(listen=listen or ("127.0.0.1:0",), **settings),
            profiles={},
            own={},
            folder=tmp_path,
            log=logging.LoggerAdapter(logging.getLogger("scaler.plugins.monitor"), {}),
            stopping=stopping,
            core=core,
        )
        return Monitor(context), stopping

    return make


@pytest.fixture
def serving(make: Callable[..., tuple[Monitor, trio.Event]]) -> Serve:
    @asynccontextmanager
    async def serve(*listen: str, **settings: Any) -> AsyncIterator[Served]:
        monitor, stopping = make(*listen, **settings)
        scope = trio.CancelScope()
        served = Served(monitor, stopping, scope)

        async def service(task_status: trio.TaskStatus[None]) -> None:
            with scope:
                await monitor.run_service(task_status)
            served.ended.set()

        async with trio.open_nursery() as nursery:
            await nursery.start(service)
            yield served
            stopping.set()

    return serve
