"""The fixture `faults`, which makes worlds. How to use them stands in `world.py`."""

from __future__ import annotations

import logging
import os
import random
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import trio
from tests.faults.apps import app as app
from tests.faults.apps import key as key
from tests.faults.network import End, Network
from tests.faults.recovery import RECOVERY, recoveries
from tests.faults.recovery import pytest_terminal_summary as pytest_terminal_summary
from tests.faults.world import World
from trio.testing import MockClock

import scaler.clock
from scaler.ledger.writer import Changes, Writer, _Entry
from scaler_github.client.wire.connection import Connection

Faults: TypeAlias = Callable[..., AbstractAsyncContextManager[World]]

EPOCH = 1_800_000_000.0  # when every world begins
PATIENCE = 400 * 86400.0  # simulated seconds; a test that takes longer waits for nothing


@pytest.fixture(params=["assigned", "offered"])
def flow(request: pytest.FixtureRequest) -> str:
    """How jobs come: as from github.com, or as from an Enterprise Server."""
    return str(request.param)


class _Keeper(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def log_records() -> Iterator[list[logging.LogRecord]]:
    """Everything that is logged, from debug on."""
    keeper, root = _Keeper(), logging.getLogger()
    before = root.level
    root.addHandler(keeper)
    root.setLevel(logging.DEBUG)
    logging.getLogger("scaler").setLevel(logging.NOTSET)
    yield keeper.records
    root.removeHandler(keeper)
    root.setLevel(before)


@pytest.fixture
def one_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall clock and the kernel's follow trio's."""
    real = time.time

    def wall() -> float:
        try:
            return EPOCH + trio.current_time()
        except RuntimeError:  # outside of trio: pytest itself
            return real()

    monkeypatch.setattr(time, "time", wall)
    monkeypatch.setattr(scaler.clock, "_boot_time", trio.current_time)


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> list[World]:
    """Nothing happens in a thread, since the clock would jump while one works.

    The ledger is written within the loop, and not flushed to a disk.
    """
    worlds: list[World] = []
    opening = Writer._open

    def opened(self: Writer) -> sqlite3.Connection:
        connection = opening(self)
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    async def write(self: Writer, changes: Changes) -> None:
        # Before anybody else has a turn: the thread writes in the order that it is asked in
        failed = any(world.ledger_fails for world in worlds)
        error = None if failed else self._transaction([_Entry(dict(changes))])
        await trio.lowlevel.cancel_shielded_checkpoint()
        if failed:
            raise sqlite3.OperationalError("database or disk is full")
        if error is not None:
            raise error
        await trio.lowlevel.checkpoint_if_cancelled()

    async def inline(function: Callable[..., Any], *args: Any, **_: Any) -> Any:
        await trio.lowlevel.checkpoint()
        return function(*args)

    monkeypatch.setattr(Writer, "_open", opened)
    monkeypatch.setattr(Writer, "write", write)
    monkeypatch.setattr(trio.to_thread, "run_sync", inline)
    return worlds


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    """All connections of a test."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    made = Network()
    made.install(monkeypatch)
    really = Connection.quiet

    def quiet(self: Connection) -> bool:  # it looks at sockets, and these are none
        stream = self._stream
        while isinstance(stream, trio.SSLStream):
            stream = stream.transport_stream
        return really(self) and not (isinstance(stream, End) and stream.readable)

    monkeypatch.setattr(Connection, "quiet", quiet)
    return made


@pytest.fixture
def faults(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    network: Network,
    one_time: None,
    one_thread: list[World],
    log_records: list[logging.LogRecord],
) -> Faults:
    """Make a world: `async with faults(flow="assigned") as world`."""
    del one_time

    @asynccontextmanager
    async def make(*, seed: int = 1, folder: str = "", **more: Any) -> AsyncIterator[World]:
        assert isinstance(trio.lowlevel.current_clock(), MockClock), "ask for autojump_clock"
        random.seed(seed)
        trio._core._run._r.seed(seed)  # in which order tasks that can run do
        async with trio.open_nursery() as nursery:
            (tmp_path / folder).mkdir(exist_ok=True)
            log_records.clear()
            world = World(tmp_path / folder, network, nursery, **more)
            world.logged = log_records
            one_thread.append(world)
            spins = nursery.cancel_scope

            def on_spin() -> None:
                world.oracle.blame("I8", "calls follow each other without a pause")
                spins.cancel()

            network.on_spin = on_spin
            await nursery.start(world.simulator.serve)
            with trio.fail_after(PATIENCE):
                try:
                    yield world
                except AssertionError as error:
                    error.add_note("\n".join(world.oracle.story))
                    raise
            nursery.cancel_scope.cancel()
        request.node.user_properties += [(RECOVERY, each) for each in recoveries(world)]
        world.verdict()

    return make
