"""What the tests of this plugin share."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import libvirt
import pytest
import trio

from scaler import Registration, Runner, RunnerState, Secret
from scaler_libvirt.hosts.events import turn_event_loop
from scaler_libvirt.testing import NO_LIBVIRTD, PrivateLibvirtd

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from scaler_libvirt.plugin import Libvirt


@pytest.fixture
def libvirtd() -> Iterator[PrivateLibvirtd]:
    if NO_LIBVIRTD:
        pytest.skip(NO_LIBVIRTD)
    with PrivateLibvirtd() as daemon:
        yield daemon


@pytest.fixture
def someone() -> Iterator[Any]:
    """Another program's connection to the in-process test driver that is every test's default."""
    turn_event_loop()
    connection = libvirt.open("test:///default")
    yield connection
    connection.close()


@pytest.fixture
def serving() -> Callable[[Libvirt], Any]:
    @asynccontextmanager
    async def serve(plugin: Libvirt) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            await nursery.start(plugin.run_service)
            yield
            nursery.cancel_scope.cancel()

    return serve


@pytest.fixture
def runner() -> Callable[..., Runner]:
    def make(number: int = 7, *, room: str = "local", scaler: str = "here", **more: Any) -> Runner:
        name = f"linux.{number}@{scaler}"
        more = {"profile": "linux", "state": RunnerState.REGISTERED, **more}
        return Runner(id=number, name=more.pop("name", name), room=room, **more)

    return make


@pytest.fixture
def registration() -> Callable[..., Registration]:
    def make(runner: Runner, config: str = "the config") -> Registration:
        return Registration(name=runner.name, config=Secret(config))

    return make
