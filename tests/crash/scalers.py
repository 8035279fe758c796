"""A scaler as a process that is killed, and what its ledger holds when it is not there."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parent.parent.parent
TOKEN = "TEST_TOKEN"
PASSED = ("PATH", "PYTHONPATH")  # of the environment


class Scaler:
    """One start of `scaler run`.

    Attributes:
        log: Where it logs, a JSON object a line.
    """

    def __init__(self, process: trio.Process, log: Path) -> None:
        self.process = process
        self.log = log

    @classmethod
    async def start(cls, settings: Path, log: Path, environ: Mapping[str, str]) -> Scaler:
        """Start it; `environ` may arm a point."""
        command = [sys.executable, "-m", "tests.crash.mortal", "run", "-c", str(settings)]
        with log.open("wb") as file:
            process = await trio.lowlevel.open_process(
                command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=file,
                env={key: os.environ[key] for key in PASSED if key in os.environ} | dict(environ),
            )
        return cls(process, log)

    @property
    def runs(self) -> bool:
        """Whether it lives."""
        return self.process.poll() is None

    def kill(self) -> None:
        """`kill -9`."""
        if self.runs:
            self.process.send_signal(signal.SIGKILL)

    def said(self) -> str:
        """All that it logged."""
        return self.log.read_text(errors="replace")

    def messages(self) -> list[str]:
        """Its log as people read it."""
        lines = [line for line in self.said().splitlines() if line]
        return [_message(line) for line in lines]

    async def dies(self) -> int:
        """Wait for its end; its exit code, or the signal's number below zero."""
        return await self.process.wait()

    async def stop(self) -> int:
        """Stop it cleanly; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return await self.process.wait()


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
