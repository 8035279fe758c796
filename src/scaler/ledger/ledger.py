"""What the core keeps, and in which transaction."""

from __future__ import annotations

import fcntl
import json
import logging
import os
from typing import TYPE_CHECKING, Any

import trio

from scaler.errors import FatalError
from scaler.ledger.opening import CLOSED, open_ledger
from scaler.ledger.rows import dump

if TYPE_CHECKING:
    from pathlib import Path

    from scaler.ledger.stored import Stored
    from scaler.ledger.writer import Writer
    from scaler.model.demand import Demand
    from scaler.model.grant import Grant
    from scaler.model.jobs import KnownJob
    from scaler.model.row import Row
    from scaler.records import Order

log = logging.getLogger("scaler")


class LedgerError(Exception):
    """A transaction could not be written, or it is not known whether it was."""


class Transaction:
    """Collects what belongs together; `Ledger.write` makes it durable, all or none."""

    def __init__(self) -> None:
        self.changes: dict[tuple[str, tuple[str | int, ...]], tuple[str] | None] = {}

    def row(self, row: Row) -> None:
        """Keep a runner; a runner that is gone is forgotten."""
        gone = row.runner.state == "gone"
        self.changes["runners", (row.runner.id,)] = None if gone else (dump(row),)

    def job(self, profile: str, job_id: str, known: KnownJob | None) -> None:
        """Keep a job; None forgets it."""
        self.changes["jobs", (profile, job_id)] = None if known is None else (dump(known),)

    def demand(self, profile: str, demand: Demand) -> None:
        """Keep what a profile's source reported."""
        self.changes["demand", (profile,)] = (dump(demand),)

    def grant(self, unique_id: str, grant: Grant | None) -> None:
        """Keep what was answered to whoever asked for runners; None forgets it."""
        self.changes["grants", (unique_id,)] = None if grant is None else (dump(grant),)

    def order(self, kind: str, name: str, order: Order | None) -> None:
        """Keep what a person told; None forgets it."""
        self.changes["orders", (kind, name)] = None if order is None else (dump(order),)

    def fact(self, plugin: str, key: str, value: Any) -> None:
        """Keep a plugin's fact; None forgets it."""
        self.changes["facts", (plugin, key)] = None if value is None else (json.dumps(value),)

    def meta(self, key: str, value: Any) -> None:
        """Keep something of the core's own."""
        self.changes["meta", (key,)] = (dump(value),)


class Ledger:
    """The open ledger of one state folder, which it locks against a second scaler."""

    def __init__(self, writer: Writer, lock: int) -> None:
        self._writer = writer
        self._lock = lock

    @classmethod
    async def open(cls, folder: Path) -> tuple[Ledger, Stored]:
        """Open or create the ledger in this folder and read it.

        Raises:
            FatalError: The folder cannot be used, another scaler has it, or the ledger cannot be
                opened or is of a newer version. One that is damaged is put aside: see
                `Stored.damage`.
        """
        ledger, stored = await trio.to_thread.run_sync(cls._open, folder)
        if stored.damage:
            log.error("%s", stored.damage)
        return ledger, stored

    @classmethod
    def _open(cls, folder: Path) -> tuple[Ledger, Stored]:
        lock = _locked(folder)
        try:
            writer, stored = open_ledger(folder)
        except BaseException:
            os.close(lock)
            raise
        return cls(writer, lock), stored

    async def write(self, transaction: Transaction) -> None:
        """Make a transaction durable.

        Raises:
            LedgerError: It was not written, or that is not known.
        """
        if not transaction.changes:
            return
        try:
            await self._writer.write(transaction.changes)
        except Exception as error:  # whatever SQLite or the values themselves have to say
            raise LedgerError(f"the ledger cannot be written: {error!r}") from error

    async def close(self) -> None:
        """Write what waits and let go of the folder."""
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 60):
            await trio.to_thread.run_sync(self._writer.close, CLOSED)
        os.close(self._lock)


def _locked(folder: Path) -> int:
    """An exclusive lock on the folder, held until the file is closed."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise FatalError(
            f"state_dir {folder} cannot be used: {error.strerror}; make it, owned by this user,"
            " or name another in [scaler]"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        other = os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
        os.close(lock)
        raise FatalError(
            f"another scaler (process {other}) uses state_dir {folder}; stop it, or give this one"
            " a state_dir of its own"
        ) from error
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock
