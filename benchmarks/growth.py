"""How time and memory grow from 10 to 10,000 runners, in a real engine with a real ledger.

    python benchmarks/growth.py

Each size in a process of its own: its ledger is written, opened as at a start, and the engine above
it measured, with plugins that answer at once. All runners are busy, each with its job, up to 100 in
a profile. Milliseconds, the best of several (`fact`: microseconds); memory is what the process
grew by, from before the ledger was read until a view of everything was made.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import trio
from bench import results
from bench.processes import resident, workplace

from scaler.clock import Clock
from scaler.dispatch import Dispatcher
from scaler.engine import Engine
from scaler.engine.state import State
from scaler.hooks import hookimpl
from scaler.ledger import Ledger
from scaler.ledger.ledger import Transaction
from scaler.loading import register
from scaler.model.jobs import KnownJob
from scaler.model.plan import Situation, plan
from scaler.model.row import Provisioned, Row
from scaler.records import Job, Machine, Profile, Registration, Room, Runner, RunnerState

SIZES = (10, 100, 1000, 10_000)
IN_A_PROFILE = 100
GIB = 1 << 30
AT = 9000.0  # when all runners came to be, on the ledger's clock
WHAT = {
    "load": "ledger read at the start, ms",
    "plan": "plan, ms",
    "pass": "pass after one change, ms",
    "look": "pass that looks at all times, ms",
    "fact": "one fact, µs",
    "survey": "complete survey, ms",
    "view": "view, ms",
    "kb": "memory a runner, kB",
    "mb": "memory in all, MB",
}


class Shifted(Clock):
    """A clock that can be put forward."""

    shift = 0.0

    def now(self) -> float:
        return super().now() + self.shift


class World:
    """So many busy runners, as lists and the ledger tell of them."""

    def __init__(self, count: int) -> None:
        profiles = max(1, count // IN_A_PROFILE)
        self.profiles = {
            f"p{number}": Profile(
                name=f"p{number}",
                max_count=IN_A_PROFILE,
                resources={"memory": 4 * GIB, "vcpus": 2},
                source="queue",
                provisioners=("vm",),
            )
            for number in range(profiles)
        }
        names = list(self.profiles)
        self.rooms = [
            Room(name=f"r{number}", total={"memory": 2 * IN_A_PROFILE * 4 * GIB})
            for number in range(profiles)
        ]
        self.rows = [self._row(number, names[number % profiles]) for number in range(1, count + 1)]

    def _row(self, number: int, profile: str) -> Row:
        name = f"{profile}.{number}@host"
        machine = Machine(
            runner=number, id=f"scaler-host-{number}", room=f"r{profile[1:]}", runner_name=name
        )
        runner = Runner(
            id=number,
            name=name,
            profile=profile,
            state=RunnerState.BUSY,
            source="queue",
            provisioner="vm",
            room=machine.room,
            resources=self.profiles[profile].resources,
            registration=Registration(name=name, ref=str(number), online=True, busy=True),
            machine=machine,
            job=f"j{number}",
        )
        return Row(runner=runner, born=AT, entered=AT, told=AT)

    def jobs(self) -> list[tuple[str, Job]]:
        """The runners' jobs."""
        return [
            (
                row.runner.profile,
                Job(id=row.runner.job, state="running", profile=row.runner.profile),
            )
            for row in self.rows
        ]

    def plugins(self) -> dict[str, object]:
        """A source and a provisioner that answer at once."""
        registrations = [row.runner.registration for row in self.rows]
        machines = [row.runner.machine for row in self.rows]
        rooms = self.rooms

        class Source:
            @hookimpl
            async def list_registrations(self) -> list[Registration]:
                return [each for each in registrations if each is not None]

        class Provisioner:
            @hookimpl
            async def list_machines(self) -> list[Machine]:
                return [each for each in machines if each is not None]

            @hookimpl
            async def capacity(self) -> list[Room]:
                return rooms

            @hookimpl
            async def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
                raise AssertionError("nothing is missing")

        return {"queue": Source(), "vm": Provisioner()}

    async def store(self, folder: Path) -> None:
        """Write the ledger that a start finds."""
        ledger, _ = await Ledger.open(folder)
        transaction = Transaction()
        for row in self.rows:
            transaction.row(row)
        for profile, job in self.jobs():
            transaction.job(profile, job.id, KnownJob(job=job, heard=AT))
        transaction.meta("next_id", len(self.rows) + 1)
        transaction.meta("clock", {"now": AT, "boot": "another", "at": 0.0})
        await ledger.write(transaction)
        await ledger.close()


async def best(run: Callable[[], Awaitable[Any]], times: int) -> float:
    """Milliseconds that it takes, the best of several."""
    seen = []
    for _ in range(times):
        began = time.perf_counter()
        await run()
        seen.append((time.perf_counter() - began) * 1e3)
    return round(min(seen), 4)


async def measure(folder: Path, count: int, times: int) -> dict[str, float]:
    """All figures of one size."""
    logging.getLogger("scaler").setLevel(logging.ERROR)
    world = World(count)
    gc.collect()
    before = resident(os.getpid())
    began = time.perf_counter()
    ledger, stored = await Ledger.open(folder)
    load = (time.perf_counter() - began) * 1e3
    clock = Shifted(stored.meta["clock"])
    async with trio.open_nursery() as nursery:
        hooks = Dispatcher(register(world.plugins()), nursery)
        state = State("host", world.profiles, stored, ledger, hooks, clock)
        engine = Engine(state, 30.0, nursery)
        found = await _times(engine, clock, nursery, times)
        nursery.cancel_scope.cancel()
    gc.collect()
    grown = resident(os.getpid()) - before
    assert len(state.rows) == count, "none was retired"
    await ledger.close()
    return {
        "runners": count,
        "load": round(load, 3),
        **found,
        "kb": round(grown / count * 1e3, 2),
        "mb": round(grown, 2),
    }


async def _times(
    engine: Engine, clock: Shifted, nursery: trio.Nursery, times: int
) -> dict[str, float]:
    state = engine.state

    async def look_at_all() -> None:
        clock.shift += 2.0
        await engine.reconciler.once(nursery)

    async def survey() -> None:
        clock.shift += 0.1
        assert await engine.survey.once()

    async def one_pass() -> None:
        _tell(engine, 1)
        await engine.reconciler.once(nursery)

    async def plan_alone() -> None:
        plan(_situation(engine))

    async def view() -> None:
        state.shown()
        engine.view()

    async def facts() -> None:
        _tell(engine, 500)

    await survey()
    for name, demand in state.demand.items():
        owed = len(state.jobs[name])
        now = clock.now()
        state.demand[name] = replace(demand, owed=owed, kept=owed, reported=True, at=now)
    await engine.reconciler.once(nursery)
    told = min(500, len(state.rows))
    return {
        "plan": await best(plan_alone, times),
        "pass": await best(one_pass, times),
        "look": await best(look_at_all, times),
        "fact": round(await best(facts, times) * 1e3 / told, 3),
        "survey": await best(survey, times),
        "view": await best(view, times),
    }


def _tell(engine: Engine, count: int) -> None:
    """Let so many machines have a new address."""
    now = time.monotonic_ns()
    for row in list(engine.state.rows.values())[:count]:
        machine = row.runner.machine
        assert machine is not None
        engine.state.apply(row.runner.id, Provisioned(replace(machine, addresses=(f"{now}",))))


def _situation(engine: Engine) -> Situation:
    state = engine.state
    return Situation(
        profiles=state.profiles,
        rows=state.rows.values(),
        demand=state.demand,
        committed={name: len(jobs) for name, jobs in state.jobs.items()},
        offered={},
        rooms=state.rooms,
        backoff={},
        now=state.clock.now(),
    )


def alone(count: int, times: int) -> dict[str, float]:
    """All figures of one size, from a process of its own."""
    with workplace() as folder:
        trio.run(World(count).store, folder)
        command = [sys.executable, __file__, "--one", str(count), str(folder), str(times)]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=120)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> int:
    if sys.argv[1:2] == ["--one"]:
        count, folder, times = sys.argv[2:]
        print(json.dumps(trio.run(measure, Path(folder), int(count), int(times))))
        return 0
    given = results.arguments(__doc__ or "").parse_args()
    rows = [alone(count, 3 if given.quick else 15) for count in SIZES]
    head = ["what", *(f"{count:,}" for count in SIZES)]
    print(
        results.table(
            head, [[text, *(f"{r[key]:,.4g}" for r in rows)] for key, text in WHAT.items()]
        )
    )
    if given.save:
        results.save("growth", {"what": WHAT, "rows": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())
