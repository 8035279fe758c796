"""What a step in the ledger costs, by how many runners take one at once.

    python benchmarks/ledger.py [--folder /where/the/disk/is]

A step is what every transition of a runner writes: its row, the next id and the clock, durable when
the call returns (SQLite, WAL, `synchronous = FULL`). One thread writes; whatever comes while it
commits goes into its next commit. Beside it: the same rows, one commit each, with SQLite alone.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import trio
from bench import results

from scaler.ledger import schema
from scaler.ledger.ledger import Ledger, Transaction
from scaler.ledger.rows import dump
from scaler.ledger.writer import Writer
from scaler.model.row import Row
from scaler.records import Machine, Registration, Runner, RunnerState
from scaler.units import Secret

TASKS = (1, 16, 64, 500)
HEAD = ["tasks at once", "steps", "µs a step (all the time ÷ steps)", "a step waits, ms (median)",
        "steps a second", "commits a second", "steps a commit"]  # fmt: skip


class Counted(Writer):
    """Counts its commits."""

    commits = 0

    def _commit(self, group: list[Any]) -> None:
        self.commits += 1
        super()._commit(group)


def row(number: int) -> Row:
    """A runner that is booting, as long as rows get: it still carries its configuration."""
    name = f"linux.{number}@host"
    runner = Runner(
        id=number,
        name=name,
        profile="linux",
        state=RunnerState.BOOTING,
        source="actions-queue",
        provisioner="libvirt",
        room="vm1",
        resources={"memory": 4 << 30, "vcpus": 2},
        registration=Registration(name=name, ref=str(number)),
        machine=Machine(runner=number, id=f"scaler-host-{number}", room="vm1", runner_name=name),
    )
    return Row(runner=runner, born=9000.0, entered=9000.0, config=Secret("x" * 4000))


def step(number: int) -> Transaction:
    """What one step writes."""
    transaction = Transaction()
    transaction.row(row(number))
    transaction.meta("next_id", number + 1)
    transaction.meta("clock", {"now": 9000.0, "boot": "b", "at": 9000.0})
    return transaction


def make_tables(connection: sqlite3.Connection) -> None:
    """The ledger's tables as they are now."""
    for statements in schema.STEPS.values():
        for statement in statements:
            connection.execute(statement)


async def measure(folder: Path, tasks: int, seconds: float) -> dict[str, Any]:
    """Let so many tasks write one step after another for a while."""
    writer = Counted(folder / f"{tasks}.sqlite3", schema.KEYS)
    make_tables(writer.connection)
    ledger = Ledger(writer, os.open(folder, os.O_RDONLY))
    waited: list[float] = []

    async def runner(number: int) -> None:
        while (began := time.perf_counter()) < end:
            await ledger.write(step(number))
            waited.append(time.perf_counter() - began)

    began = time.perf_counter()
    end = began + seconds
    async with trio.open_nursery() as nursery:
        for number in range(tasks):
            nursery.start_soon(runner, number + 1)
    took = time.perf_counter() - began
    commits = writer.commits
    await ledger.close()
    return {
        "tasks": tasks,
        "steps": len(waited),
        "us": round(took / len(waited) * 1e6, 1),
        "wait_ms": round(statistics.median(waited) * 1e3, 3),
        "steps_per_second": round(len(waited) / took),
        "commits_per_second": round(commits / took),
        "steps_per_commit": round(len(waited) / commits, 1),
    }


def bare(folder: Path, seconds: float) -> dict[str, Any]:
    """The same row, committed by SQLite without anything around it."""
    connection = sqlite3.connect(folder / "bare.sqlite3", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    make_tables(connection)
    text = dump(row(1))
    waited: list[float] = []
    end = time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT OR REPLACE INTO runners VALUES (?, ?)", (1, text))
        connection.execute("COMMIT")
        waited.append(time.perf_counter() - began)
    connection.close()
    rate = round(len(waited) / sum(waited))
    return {
        "tasks": 0,
        "steps": len(waited),
        "us": round(sum(waited) / len(waited) * 1e6, 1),
        "wait_ms": round(statistics.median(waited) * 1e3, 3),
        "steps_per_second": rate,
        "commits_per_second": rate,
        "steps_per_commit": 1,
    }


def cells(one: dict[str, Any]) -> list[str]:
    """A row of the table, in the order of HEAD."""
    return [
        str(one["tasks"] or "SQLite alone"),
        f"{one['steps']:,}",
        f"{one['us']:,.0f}",
        f"{one['wait_ms']:.2f}",
        f"{one['steps_per_second']:,}",
        f"{one['commits_per_second']:,}",
        f"{one['steps_per_commit']:g}",
    ]


def main() -> int:
    parser = results.arguments(__doc__ or "")
    parser.add_argument(
        "--folder", type=results.directory, default="/var/tmp", help="on the disk to ask"
    )
    given = parser.parse_args()
    seconds = 0.5 if given.quick else 4.0
    with tempfile.TemporaryDirectory(prefix="scaler-bench-", dir=given.folder) as name:
        folder = Path(name)
        rows = [bare(folder, seconds)]
        rows += [trio.run(measure, folder, tasks, seconds) for tasks in TASKS]
    print(results.table(HEAD, [cells(one) for one in rows]))
    if given.save:
        results.save("ledger", {"rows": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())
