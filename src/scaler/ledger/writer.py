"""One thread that writes: whatever waits while it commits goes into its next transaction."""

from __future__ import annotations

import queue
import sqlite3
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import trio

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Statement: TypeAlias = tuple[str, tuple[Any, ...]]

GROUP = 1000  # transactions in one commit, at most
LIMIT = 30.0  # seconds that a commit may take before its outcome is unknown


@dataclass(eq=False)
class _Entry:
    statements: Sequence[Statement]
    token: trio.lowlevel.TrioToken
    finished: trio.Event = field(default_factory=trio.Event)
    error: Exception | None = None

    def finish(self, error: Exception | None) -> None:
        self.error = error
        with suppress(trio.RunFinishedError):  # whoever waited for it is gone
            self.token.run_sync_soon(self.finished.set)


class Writer:
    """Owns the connection. `write` returns when the statements are durable, all or none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._connection = self._open()
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA busy_timeout = 5000")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    @property
    def connection(self) -> sqlite3.Connection:
        """For reading before the first write; afterwards the thread's alone."""
        return self._connection

    async def write(self, statements: Sequence[Statement]) -> None:
        """Write in one transaction. A cancelled caller still waits for the commit.

        Raises:
            Exception: Nothing of it was written.
            trio.TooSlowError: The disk did not answer; the outcome is unknown.
        """
        entry = _Entry(statements, trio.lowlevel.current_trio_token())
        self._entries.put(entry)
        with trio.fail_after(LIMIT, shield=True):
            await entry.finished.wait()
        if entry.error is not None:
            raise entry.error
        await trio.lowlevel.checkpoint_if_cancelled()

    def close(self) -> None:
        """Write what waits, then close. Blocks; call it from a thread."""
        self._entries.put(None)
        self._thread.join(LIMIT)

    def _run(self) -> None:
        closing = False
        while not closing:
            group: list[_Entry] = []
            entry = self._entries.get()
            while entry is not None:
                group.append(entry)
                if len(group) >= GROUP or self._entries.empty():
                    break
                entry = self._entries.get()
            closing = entry is None
            if group:
                self._commit(group)
        self._connection.close()

    def _commit(self, group: list[_Entry]) -> None:
        error = self._transaction(group)
        if error is None or len(group) == 1:
            for entry in group:
                entry.finish(error)
            return
        for entry in group:  # one of them is at fault: each for itself
            entry.finish(self._transaction([entry]))

    def _transaction(self, group: list[_Entry]) -> Exception | None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for entry in group:
                for sql, values in entry.statements:
                    self._connection.execute(sql, values)
            self._connection.execute("COMMIT")
        except Exception as error:  # also a value that SQLite cannot take: the thread must go on
            with suppress(sqlite3.Error):
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            return error
        return None
