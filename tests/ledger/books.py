"""Rows, an open ledger, and what it holds."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from scaler.ledger import Ledger, Stored
from scaler.ledger.ledger import Transaction
from scaler.model.demand import Demand
from scaler.model.jobs import KnownJob
from scaler.model.row import Row
from scaler.records import Job, Machine, Registration, Reservation, Runner, RunnerState
from scaler.units import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


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
