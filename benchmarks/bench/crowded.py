"""The programs of `crowd.py`, as the benchmark starts them and speaks to them."""

from __future__ import annotations

import json
import os
import secrets
import selectors
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.processes import HERE, PATIENCE, Failed, started, workplace

PROFILE = "bench"
TOKEN = secrets.token_hex(32)
KINDS = {
    "github": "all of it",
    "instant": "without GitHub",
    "bare": "without GitHub and the disk",
}


@dataclass(frozen=True)
class Program:
    """One that runs."""

    process: subprocess.Popen[bytes]
    log: Path
    facts: dict[str, Any]

    @property
    def pid(self) -> int:
        """Its process."""
        return self.process.pid

    @property
    def port(self) -> int:
        """Where the Monitor listens."""
        return int(self.facts["port"])

    def tell(self, order: str) -> Any:
        """Have it do something; what it said. Raises Failed where it says nothing in time."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{order}\n".encode())
        self.process.stdin.flush()
        return _line(self.process, self.log)

    def keep_to(self, core: int) -> None:
        """Have all of its threads run on one core."""
        for thread in Path(f"/proc/{self.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {core})


def _line(process: subprocess.Popen[bytes], log: Path) -> Any:
    assert process.stdout is not None
    with selectors.DefaultSelector() as waiting:
        waiting.register(process.stdout, selectors.EVENT_READ)
        text = process.stdout.readline() if waiting.select(PATIENCE * 2) else b""
    if not text:
        end = log.read_text(errors="replace")[-2000:]
        raise Failed(f"a program of crowd.py says nothing; its log:\n{end}")
    return json.loads(text)


@contextmanager
def program(folder: Path, what: str, *words: str) -> Iterator[Program]:
    """One of the two, for as long as the block lasts."""
    command = [sys.executable, str(HERE / "bench" / "crowd.py"), what, *words]
    path = folder / f"{what}.log"
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    env = {"MONITOR_TOKEN": TOKEN}
    with path.open("wb") as log, started(command, env=env, stderr=log, **streams) as process:
        yield Program(process, path, _line(process, path))
        assert process.stdin is not None
        process.stdin.close()
        process.wait(PATIENCE)


@contextmanager
def scaler(kind: str, count: int, **options: object) -> Iterator[Program]:
    """A scaler that has so many idle runners, and what is around it.

    Args:
        kind: One of KINDS.
        options: As on crowd.py's command line.
    """
    words = [f"--count={count}", *(f"--{key}={value}" for key, value in options.items())]
    with ExitStack() as stack:
        folder = stack.enter_context(workplace())
        if kind == "github":
            there = stack.enter_context(program(folder, "github", f"--count={count}"))
            known = folder / "github.json"
            known.write_text(json.dumps(there.facts))
            words.append(f"--github={known}")
        if kind == "bare":
            words.append("--without-disk")
        yield stack.enter_context(program(folder, "scaler", f"--folder={folder}", *words))
