"""A scaler as a process that is killed, and what its ledger holds when it is not there."""

from __future__ import annotations

import json
import multiprocessing
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import trio
from tests.crash import mortal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from multiprocessing.context import ForkServerProcess
    from pathlib import Path

TOKEN = "TEST_TOKEN"
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload([mortal.__name__])


class Scaler:
    """One start of `scaler run`, in a process of its own.

    A server that has everything imported forks it: a start costs a tenth of what it costs an
    interpreter, and no time passes in which there is nothing to kill yet.

    Attributes:
        log: Where it logs, a JSON object a line.
    """

    def __init__(self, process: ForkServerProcess, log: Path) -> None:
        self._process = process
        self.log = log

    @classmethod
    async def start(cls, settings: Path, log: Path, environ: Mapping[str, str]) -> Scaler:
        """Start it; `environ` may arm a point."""
        arguments = ["run", "-c", str(settings)]
        process = SERVER.Process(target=mortal.run, args=(arguments, dict(environ), str(log)))
        await trio.to_thread.run_sync(process.start)
        return cls(process, log)

    @property
    def number(self) -> int:
        """The process's id."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def runs(self) -> bool:
        """Whether it lives."""
        return self._process.exitcode is None

    def kill(self) -> None:
        """`kill -9`."""
        self._process.kill()

    def said(self) -> str:
        """All that it logged."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def messages(self) -> list[str]:
        """Its log as people read it."""
        lines = [line for line in self.said().splitlines() if line]
        return [_message(line) for line in lines]

    async def dies(self) -> int:
        """Wait for its end; its exit code, or the signal's number below zero."""
        while (code := self._process.exitcode) is None:
            await trio.lowlevel.wait_readable(self._process.sentinel)
        return code

    async def stop(self) -> int:
        """Stop it cleanly; its exit code."""
        self._process.terminate()
        return await self.dies()


def _message(line: str) -> str:
    try:
        entry = json.loads(line)
    except ValueError:
        return line
    text = f"{entry.get('time', '')} {entry.get('level', '')} {entry.get('message', '')}"
    return "\n".join([text, *([entry["exception"]] if entry.get("exception") else [])])


def ledger(folder: Path) -> dict[str, list[Any]]:
    """The rows of runners and jobs in a state folder, read from the file itself."""
    path = folder / "ledger.sqlite3"
    if not path.exists():
        return {"runners": [], "jobs": []}
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as connection:
        return {
            table: [json.loads(row) for (row,) in connection.execute(f"SELECT row FROM {table}")]
            for table in ("runners", "jobs")
        }
