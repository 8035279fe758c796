"""One thread that writes: whatever waits while it commits goes into its next transaction.

Calls into SQLite give Python's lock up, and a busy loop is slow to give it back. So a group is
merged, the last change of a key counting, and written in few statements of many rows.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import trio

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

#: What becomes of one row: by table and key, the row's other columns, or None to delete it.
Changes: TypeAlias = "Mapping[tuple[str, tuple[str | int, ...]], tuple[Any, ...] | None]"

GROUP = 1000  # transactions in one commit, at most
ROWS = 250  # rows in one statement, at most; SQLite takes 999 variables everywhere
QUIET = 5.0  # seconds without a change after which old contents are swept out
SWEEP = 60.0  # seconds until they are all the same
LIMIT = 30.0  # seconds that a commit may take before its outcome is unknown


@dataclass(eq=False)
class _Entry:
    changes: Changes
    finished: trio.Event = field(default_factory=trio.Event)
    error: Exception | None = None


class Writer:
    """Owns the connection. `write` returns when the changes are durable, all or none.

    One trio run writes: the first that does.

    Args:
        path: The file.
        tables: The key columns of every table, in the order of their definition; the other columns
            follow them.
    """

    def __init__(self, path: Path, tables: Mapping[str, tuple[str, ...]]) -> None:
        self._path = path
        self._tables = tables
        self._token: trio.lowlevel.TrioToken | None = None
        self._entries: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._last: Changes | None = None
        self._connection = self._open()
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA busy_timeout = 5000")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")  # secrets stand in it for a while
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    @property
    def connection(self) -> sqlite3.Connection:
        """For reading before the first write; afterwards the thread's alone."""
        return self._connection

    async def write(self, changes: Changes) -> None:
        """Write in one transaction. A cancelled caller still waits for the commit.

        Raises:
            Exception: Nothing of it was written.
            trio.TooSlowError: The disk did not answer; the outcome is unknown.
        """
        token = trio.lowlevel.current_trio_token()
        if self._token is not token:
            if self._token is not None:
                raise RuntimeError("a ledger that one trio run opened cannot be used in another")
            self._token = token
        entry = _Entry(changes)
        self._entries.put(entry)
        with trio.CancelScope(shield=True, deadline=trio.current_time() + LIMIT) as scope:
            await entry.finished.wait()
        if scope.cancelled_caught:
            raise trio.TooSlowError
        if entry.error is not None:
            raise entry.error
        await trio.lowlevel.checkpoint_if_cancelled()

    def close(self, last: Changes | None = None) -> None:
        """Write what waits, then this, then close. Blocks; call it from a thread."""
        self._last = last
        self._entries.put(None)
        self._thread.join(LIMIT)

    def _run(self) -> None:
        closing, dirty = False, False
        swept = time.monotonic()
        while not closing:
            group: list[_Entry] = []
            if dirty and time.monotonic() - swept >= SWEEP:
                self._sweep()
                dirty, swept = False, time.monotonic()
            try:
                entry = self._entries.get(timeout=QUIET if dirty else None)
            except queue.Empty:
                self._sweep()
                dirty, swept = False, time.monotonic()
                continue
            dirty = True
            while entry is not None:
                group.append(entry)
                if len(group) >= GROUP or self._entries.empty():
                    break
                entry = self._entries.get()
            closing = entry is None
            if group:
                self._commit(group)
        if self._last:
            self._transaction([_Entry(self._last)])
        self._connection.close()

    def _sweep(self) -> None:
        """Leave no old contents in the log of changes: what was a secret there is none any more."""
        with suppress(sqlite3.Error):  # the next one will do
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _commit(self, group: list[_Entry]) -> None:
        error = self._transaction(group)
        if error is not None and len(group) > 1:
            for entry in group:  # one of them is at fault: each for itself
                entry.error = self._transaction([entry])
        else:
            for entry in group:
                entry.error = error
        assert self._token is not None, "whoever wrote set it"
        with suppress(trio.RunFinishedError):  # whoever waited for them is gone
            self._token.run_sync_soon(_finish, group)

    def _transaction(self, group: list[_Entry]) -> Exception | None:
        merged: dict[tuple[str, tuple[str | int, ...]], tuple[Any, ...] | None] = {}
        for entry in group:
            merged.update(entry.changes)
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for sql, values in statements(merged, self._tables):
                self._connection.execute(sql, values)
            self._connection.execute("COMMIT")
        except Exception as error:  # also a value that SQLite cannot take: the thread must go on
            with suppress(sqlite3.Error):
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            return error
        return None


def _finish(group: list[_Entry]) -> None:
    for entry in group:
        entry.finished.set()


def statements(
    changes: Changes, tables: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[str, list[Any]]]:
    """The changes as SQL: per table, rows that are put and rows that are deleted."""
    for table, columns in tables.items():
        put: list[tuple[Any, ...]] = []
        gone: list[tuple[Any, ...]] = []
        for (name, key), row in changes.items():
            if name == table:
                if row is None:
                    gone.append(key)
                else:
                    put.append((*key, *row))
        for part in _parts(put):
            yield f"INSERT OR REPLACE INTO {table} VALUES {_marks(part)}", _flat(part)
        for part in _parts(gone):
            key_columns = ", ".join(columns)
            where = f"({key_columns}) IN (VALUES {_marks(part)})"
            yield f"DELETE FROM {table} WHERE {where}", _flat(part)


def _parts(rows: list[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    for start in range(0, len(rows), ROWS):
        yield rows[start : start + ROWS]


def _marks(rows: Sequence[tuple[Any, ...]]) -> str:
    mark = f"({', '.join('?' * len(rows[0]))})"
    return ", ".join([mark] * len(rows))


def _flat(rows: Sequence[tuple[Any, ...]]) -> list[Any]:
    return [value for row in rows for value in row]
