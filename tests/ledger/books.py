"""Rows, an open ledger, and what it holds."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaler.ledger import Ledger, Stored
from scaler.ledger.ledger import Transaction
from scaler.model.demand import Demand
from scaler.model.jobs import KnownJob
from scaler.model.row import Row
from scaler.records import Job, Machine, Registration, Reservation, Runner, RunnerState
from scaler.units import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


def a_row(number: int = 1, state: RunnerState = RunnerState.BOOTING) -> Row:
    name = f"linux.{number}@host"
    return Row(
        runner=Runner(
            id=number,
            name=name,
            profile="linux",
            state=state,
            reason="it was planned",
            created=1.5,
            since=2.5,
            source="queue",
            provisioner="vm",
            room="a",
            resources={"memory": 4 << 30},
            registration=Registration(name=name, ref="77", online=False, expires=99.0),
            machine=Machine(
                runner=number, id="uuid", room="a", addresses=("10.0.0.1",), facts={"port": 5900}
            ),
            reservation=Reservation(unique_id="u", qualified_repo="a/b", run_id="1", since=3.0),
            job="j1",
            failed=True,
        ),
        born=1.0,
        entered=2.0,
        config=Secret("the config of runner 1"),
        unlisted=4.0,
        failed=True,
        told=5.0,
    )


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[Ledger, Stored]]:
    ledger, stored = await Ledger.open(folder)
    try:
        yield ledger, stored
    finally:
        await ledger.close()


async def stored(folder: Path) -> Stored:
    async with opened(folder) as (_, found):
        return found


def everything() -> Transaction:
    transaction = Transaction()
    transaction.row(a_row())
    transaction.job("linux", "j1", KnownJob(job=Job(id="j1", state="running"), heard=3.0, tried=2))
    transaction.demand("linux", Demand(owed=3, kept=5, lower_since=1.0, reported=True, at=2.0))
    transaction.fact("queue", "cursor/linux", {"message": 7, "recent": [[7, "abc"]]})
    transaction.meta("next_id", 12)
    return transaction


OLD = Path(__file__).parent / "old"


def old_ledger(folder: Path, version: int = 1) -> Path:
    """A ledger as the scaler of that version left it, closed."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "ledger.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((OLD / f"version-{version}.sql").read_text())
        connection.execute("PRAGMA journal_mode = WAL")
    path.chmod(0o600)
    return path


def asked(path: Path, sql: str, *values: object) -> list[Any]:
    """What a ledger's file says by itself."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(sql, values).fetchall()


def killed(folder: Path, after: int) -> bool:
    """Open a ledger in a process that is killed after so many steps; whether it was killed.

    A step is whatever touches files, and each statement.
    """
    child = os.fork()
    if child == 0:
        try:
            _count_to(after)
            Ledger._open(folder)
        finally:
            os._exit(0)  # without closing it
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def _count_to(after: int) -> None:
    count = 0

    def step() -> None:
        nonlocal count
        count += 1
        if count > after:
            os.kill(os.getpid(), signal.SIGKILL)

    class Counting(sqlite3.Connection):
        def execute(self, *arguments: Any) -> sqlite3.Cursor:
            step()
            return super().execute(*arguments)

        def backup(self, *arguments: Any, **more: Any) -> None:
            step()
            super().backup(*arguments, **more)

        def close(self) -> None:
            step()
            super().close()

    connect = sqlite3.connect

    def connecting(*arguments: Any, **more: Any) -> sqlite3.Connection:
        step()
        return connect(*arguments, factory=Counting, **more)

    sqlite3.connect = connecting  # type: ignore[assignment]
    for name in ("rename", "fsync", "mkdir", "unlink", "open"):
        _counted(name, step)


def _counted(name: str, step: Callable[[], None]) -> None:
    really = getattr(os, name)

    def counted(*arguments: Any, **more: Any) -> Any:
        step()
        return really(*arguments, **more)

    setattr(os, name, counted)
