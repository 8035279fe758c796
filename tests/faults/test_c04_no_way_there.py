"""C4: no name, no connection, a proxy that refuses, TLS that is not to be trusted, slow answers."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import pytest
import trio
import trustme
from tests.faults.conftest import Faults
from tests.faults.machines import Times
from tests.faults.network import Network
from tests.faults.oracle import densest
from tests.faults.proxy import PORT, Proxy
from tests.faults.world import World
from trio.testing import MockClock

Trouble: TypeAlias = Callable[[World], Iterator[None]]

TIMES = 10  # how often each kind strikes, at least
# A minute has at most: 11 tries of the listener (0, then on average 1, 2, 4, 8, and 15 s apart; the
# least is half of that and less), 3 of each look at the registrations, which is every 30 s at most
# after 1, 2, 4, 8 and 16 s, and what runners that are waited for cause, with as many pauses
A_MINUTE = 45


def errors(make: Callable[[], OSError]) -> Trouble:
    def trouble(world: World) -> Iterator[None]:
        def fault(host: str, port: int) -> None:
            raise make()

        world.network.fault = fault
        world.network.cut()
        yield
        world.network.fault = None

    return trouble


def system(number: int) -> Callable[[], OSError]:
    return lambda: OSError(number, os.strerror(number))


def black_hole(world: World) -> Iterator[None]:
    world.network.black_hole = True
    world.network.cut()
    yield
    world.network.black_hole = False


def garbage(world: World) -> Iterator[None]:
    world.simulator.faults.add("*", kind="raw", times=None)
    world.network.cut()
    yield
    world.simulator.faults.clear()


def closed_at_once(world: World) -> Iterator[None]:
    world.simulator.faults.add("*", kind="drop", times=None)
    world.network.cut()
    yield
    world.simulator.faults.clear()


def unknown_name() -> OSError:
    return socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def no_name_server() -> OSError:
    return socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


async def endures(
    world: World, trouble: Trouble, attempts: Callable[[], list[float]]
) -> tuple[int, float]:
    """Have trouble until so many attempts were made in vain; how many in a minute, and how long.

    Everything goes on after it, and the dashboard tells while it lasts.
    """
    await world.listens()
    world.queue(1, run_time=300)
    await world.online()
    await trio.sleep(1)
    since = trio.current_time()
    with contextmanager(trouble)(world):
        await world.until(lambda: len([at for at in attempts() if at >= since]) >= TIMES, 1800)
        await trio.sleep(120)
        report = world.report()
        assert report is not None
        assert not report.ok, "the dashboard does not tell"
        during = [at for at in attempts() if at >= since]
    lasted = trio.current_time() - since
    await world.recovers()
    await world.settled()
    # A hook that failed five times is left alone for a minute, and its line stays so long
    await world.until(lambda: not world.degraded(), 130)
    return densest(during, 60), lasted


@pytest.mark.parametrize(
    "trouble",
    [
        errors(unknown_name),
        errors(no_name_server),
        errors(system(errno.ECONNREFUSED)),
        errors(system(errno.ENETUNREACH)),
        errors(system(errno.ETIMEDOUT)),
        errors(system(errno.EMFILE)),
        black_hole,
        garbage,
        closed_at_once,
    ],
    ids=["no name", "no dns", "refused", "no net", "timeout", "files", "hole", "garbage", "closed"],
)
async def test_c04_no_connection(
    autojump_clock: MockClock, faults: Faults, flow: str, trouble: Trouble, network: Network
) -> None:
    async with faults(flow=flow) as world, world.scaler():
        most, _ = await endures(world, trouble, lambda: network.opened)
        assert most <= A_MINUTE


class Place:
    """TLS with a certificate that is trusted, and one that is not."""

    def __init__(self, folder: Path) -> None:
        self.ca_file = folder / "ca.pem"
        authority, stranger = trustme.CA(), trustme.CA()
        authority.cert_pem.write_to_path(str(self.ca_file))
        self.trusted = self._context(authority, "127.0.0.1")
        self.of_a_stranger = self._context(stranger, "127.0.0.1")
        self.of_another_host = self._context(authority, "other.example")

    def _context(self, authority: trustme.CA, name: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        return context

    @property
    def settings(self) -> str:
        return f'ca_file = "{self.ca_file}"\n'


@pytest.mark.parametrize("which", ["of_a_stranger", "of_another_host"])
async def test_c04_tls_is_refused(
    autojump_clock: MockClock,
    faults: Faults,
    network: Network,
    flow: str,
    tmp_path: Path,
    which: str,
) -> None:
    place = Place(tmp_path)

    def trouble(world: World) -> Iterator[None]:
        world.simulator._server._tls = getattr(place, which)
        world.network.cut()
        asked = len(world.simulator.history.exchanges)
        yield
        assert len(world.simulator.history.exchanges) == asked, "a stranger was told something"
        world.simulator._server._tls = place.trusted

    async with faults(flow=flow, tls=place.trusted, github=place.settings) as world:
        async with world.scaler():
            most, _ = await endures(world, trouble, lambda: network.opened)
            assert most <= A_MINUTE
            assert any("certificate" in said.text for said in world.said)


async def test_c04_proxy_407(
    autojump_clock: MockClock, faults: Faults, network: Network, flow: str, tmp_path: Path
) -> None:
    place, proxy = Place(tmp_path), Proxy(network)

    def trouble(world: World) -> Iterator[None]:
        proxy.refuses = True
        world.network.cut()
        yield
        proxy.refuses = False

    settings = f'{place.settings}proxy = "http://127.0.0.1:{PORT}"\n'
    async with faults(flow=flow, tls=place.trusted, github=settings) as world:
        async with trio.open_nursery() as nursery:
            await nursery.start(proxy.serve)
            async with world.scaler():
                most, _ = await endures(world, trouble, lambda: proxy.asked)
                assert most <= A_MINUTE
                assert any("407" in said.text for said in world.said)
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("pace", [1.0, 25.0])
async def test_c04_dripping_answers(
    autojump_clock: MockClock, faults: Faults, flow: str, pace: float
) -> None:
    """A byte a second keeps every read alive; the whole answer has a deadline all the same."""

    def trouble(world: World) -> Iterator[None]:
        world.simulator.faults.add("*", kind="slow", delay=pace, times=None)
        yield
        world.simulator.faults.clear()

    async with faults(flow=flow, times=Times(work=10), assign_timeout=None) as world:
        async with world.scaler():
            most, lasted = await endures(world, trouble, lambda: world.times("poll"))
            assert most <= 12
            assert lasted <= (TIMES + 1) * 110 + 120
