"""Programs of `monitor.py`: a scaler that has many idle runners, and the GitHub that knows them.

    python benchmarks/bench/crowd.py github --count 100
    python benchmarks/bench/crowd.py scaler --count 100 --folder FOLDER

Each prints where it serves as a line of JSON, then obeys lines on its standard input, each answered
by a line, and ends when that ends. Nobody waits for 10,000 machines to boot: GitHub's simulator has
the registrations and the ledger the rows from the first moment on, as after a restart.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import trio

from scaler import (
    Machine,
    Message,
    Registration,
    Reservation,
    Room,
    Runner,
    Running,
    hookimpl,
    load_settings,
    log,
    serve,
)
from scaler.cli import process
from scaler.ledger import Ledger
from scaler.ledger.ledger import Transaction
from scaler.ledger.writer import Writer
from scaler.model.row import Provisioned, Row
from scaler.records import RunnerState
from scaler_github.testing import Simulator

PROFILE = "bench"
AT = 9000.0  # when all runners came to be, on the ledger's clock
WORTH = 0.002  # seconds of a step that are worth a note
ONLINE_REST = 60.0  # seconds that a row was idle for when the scaler starts
SETTINGS = """
[scaler]
name = "bench"
state_dir = "{folder}/state"
tick = "{tick}"
shutdown_grace = "1s"

[plugins.monitor]
listen = ["127.0.0.1:0"]
token = [{{ env = "MONITOR_TOKEN" }}]
{github}
[plugins.vm]
{instant}
[profiles.bench]
labels = ["bench"]
target_count = {count}
max_count = {count}
reserve_timeout = "1h"
[profiles.bench.{source}]
"""
GITHUB = """
[plugins.github]
url = "{url}"
token = {{ env = "BENCH_TOKEN" }}
"""


class Vm:
    """A provisioner whose machines are all there, and that makes no others."""

    def __init__(self, machines: dict[int, Machine]) -> None:
        self.machines = machines

    def plugin(self) -> type[Any]:
        """For `extra=`."""
        machines = self.machines

        class Provisioner:
            def __init__(self, context: Any) -> None:
                pass

            @hookimpl
            async def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
                raise AssertionError("nothing is missing")

            @hookimpl
            async def destroy_runner(self, runner: Runner) -> None:
                raise AssertionError("nothing is too much")

            @hookimpl
            async def list_machines(self) -> list[Machine]:
                return list(machines.values())

            @hookimpl
            async def capacity(self) -> list[Room]:
                return [Room(name="here")]

        return Provisioner


def instant(names: list[str]) -> type[Any]:
    """A source that answers at once, for `extra=`."""

    class Source:
        def __init__(self, context: Any) -> None:
            self._context = context

        @hookimpl
        async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
            task_status.started()
            self._context.report("answers at once")
            await self._context.deliver(Message(id="", profile=PROFILE, demand=0, waiting=0))
            await self._context.stopping.wait()

        @hookimpl
        async def register_runner(self, runner: Runner) -> Registration:
            raise AssertionError("nothing is missing")

        @hookimpl
        async def unregister_runner(self, runner: Runner) -> None:
            raise AssertionError("nothing is too much")

        @hookimpl
        async def list_registrations(self) -> list[Registration]:
            return [Registration(name=name, online=True, busy=False) for name in names]

        @hookimpl
        async def reserve_runner(self, runner: Runner, reservation: Reservation | None) -> None:
            return

    return Source


def name_of(number: int) -> str:
    """A runner's name."""
    return f"{PROFILE}.{number}@bench"


def rows(count: int, source: str, refs: list[str]) -> list[Row]:
    """Idle runners, each with its registration and its machine."""
    made = []
    for number in range(1, count + 1):
        name = name_of(number)
        machine = Machine(
            runner=number,
            id=f"scaler-bench-{number}",
            room="here",
            runner_name=name,
            profile=PROFILE,
            delivered=True,
            addresses=(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}",),
        )
        ref = refs[number - 1] if refs else str(number)
        runner = Runner(
            id=number,
            name=name,
            profile=PROFILE,
            state=RunnerState.IDLE,
            created=time.time() - 600,
            since=time.time() - 600,
            source=source,
            provisioner="vm",
            room="here",
            registration=Registration(name=name, ref=ref, online=True, busy=False),
            machine=machine,
        )
        made.append(Row(runner=runner, born=AT, entered=AT, told=AT))
    return made


async def store(folder: Path, seeded: list[Row]) -> None:
    """Write the ledger that a start finds."""
    ledger, _ = await Ledger.open(folder / "state")
    transaction = Transaction()
    for row in seeded:
        transaction.row(row)
    transaction.meta("next_id", len(seeded) + 1)
    transaction.meta("clock", {"now": AT + ONLINE_REST, "boot": "another", "at": 0.0})
    await ledger.write(transaction)
    await ledger.close()


class Steps(trio.abc.Instrument):
    """How long the loop was held, step by step: the longest of each task."""

    def __init__(self) -> None:
        self._began = math.inf  # the step that begins it is not seen from its start
        self.longest: dict[str, float] = {}

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._began = time.perf_counter()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        took = time.perf_counter() - self._began
        name = task.name.rpartition(".")[2]
        if took > WORTH and took > self.longest.get(name, 0.0):
            self.longest[name] = took


class Orders:
    """What the benchmark may have done to the scaler."""

    def __init__(self, running: Running, nursery: trio.Nursery) -> None:
        self._engine = running._engine
        self._nursery = nursery
        self._churning = trio.CancelScope()
        self._steps = Steps()

    async def obey(self, line: str) -> Any:
        """Do one thing; what is to be said of it."""
        word, *words = line.split()
        return await getattr(self, f"do_{word}")(*words)

    async def do_release(self) -> int:
        """Take every reservation back, as when its time is over."""
        state, reserving = self._engine.state, self._engine.reserving
        found = list(state.index.reserved)
        for runner_id in found:
            reserving.releasing.begin(runner_id, "the benchmark takes it back")
        while state.index.reserved:
            await state.news.wait()
        return len(found)

    async def do_churn(self, rate: str) -> None:
        """Change something that is shown, so many times a second; 0 ends it."""
        self._churning.cancel()
        self._churning = trio.CancelScope()
        if float(rate):
            self._nursery.start_soon(self._churn, 1 / float(rate), self._churning)

    async def _churn(self, pause: float, scope: trio.CancelScope) -> None:
        state, number = self._engine.state, 0
        with scope:
            while True:
                await trio.sleep(pause)
                number += 1
                row = state.rows[1 + number % len(state.rows)]
                assert row.runner.machine is not None
                machine = replace(row.runner.machine, addresses=(f"10.9.{number >> 8 & 255}.7",))
                state.apply(row.runner.id, Provisioned(machine))

    async def do_steps(self) -> None:
        """Begin to note how long the loop is held."""
        self._steps = Steps()
        trio.lowlevel.add_instrument(self._steps)

    async def do_held(self) -> dict[str, float]:
        """The longest step of each task since then, in milliseconds, the longest first."""
        trio.lowlevel.remove_instrument(self._steps)
        found = sorted(self._steps.longest.items(), key=lambda one: -one[1])
        return {name: round(took * 1e3, 1) for name, took in found[:12]}


async def _orders(obey: Callable[[str], Any]) -> None:
    while line := await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
        say(await obey(line))


def say(found: Any) -> None:
    """A line of JSON."""
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


async def github(given: argparse.Namespace) -> None:
    """GitHub's simulator with idle runners that are registered by REST."""
    simulator = Simulator(poll_seconds=50.0)
    labels = [{"id": n, "name": name, "type": "custom"} for n, name in enumerate((PROFILE,), 1)]
    async with trio.open_nursery() as nursery:
        url = await nursery.start(simulator.serve)
        world = simulator._world
        for number in range(1, given.count + 1):
            agent = world.create_agent("acme", name_of(number), None, [dict(x) for x in labels])
            world.bring_online(agent)
        place = url.removeprefix("http://").partition("/")[0]
        refs = [f"{place}/orgs/acme/{agent.id}" for agent in simulator.agents]
        process.tune()
        say({"url": url, "token": simulator.token, "refs": refs})

        async def count(_line: str) -> int:
            return len(simulator.history.exchanges)

        await _orders(count)
        nursery.cancel_scope.cancel()


async def scaler(given: argparse.Namespace) -> None:
    """The scaler, with the Monitor."""
    known = json.loads(given.github.read_text()) if given.github else None
    source = "github" if known else "instant"
    seeded = rows(given.count, source, known["refs"] if known else [])
    await store(given.folder, seeded)
    machines = {row.runner.id: row.runner.machine for row in seeded if row.runner.machine}
    path = given.folder / "scaler.toml"
    path.write_text(
        SETTINGS.format(
            folder=given.folder,
            tick=given.tick,
            count=given.count,
            source=source,
            github=GITHUB.format(url=known["url"]) if known else "",
            instant="" if known else "[plugins.instant]",
        )
    )
    extra = {"vm": Vm(machines).plugin()}
    if not known:
        extra["instant"] = instant([row.runner.name for row in seeded])
    del seeded
    settings, loaded = load_settings(
        path,
        extra=extra,
        environ={**os.environ, "BENCH_TOKEN": known["token"] if known else ""},
    )
    log.setup(settings.log, hide=settings.secrets)
    if given.without_disk:
        Writer.write = _nowhere  # type: ignore[assignment,method-assign]
    process.tune()
    soon = partial(trio.lowlevel.current_trio_token().run_sync_soon, idempotent=True)
    with log.gathered(soon):
        async with trio.open_nursery() as nursery:
            running = await nursery.start(partial(serve, settings, loaded))
            report = running._engine.state.reports["monitor", ""]
            (address,) = report.facts["addresses"]
            say({"port": int(address.rpartition(":")[2])})
            await _orders(Orders(running, nursery).obey)
            running.stop()
            await running.stopped.wait()
            nursery.cancel_scope.cancel()


async def _nowhere(_writer: Writer, _changes: Any) -> None:
    await trio.lowlevel.checkpoint()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("what", choices=("github", "scaler"))
    add("--count", type=int, default=100, help="idle runners (%(default)s)")
    add("--folder", type=Path, help="of the scaler")
    add(
        "--github", type=Path, help="what the other program said; without, its part answers at once"
    )
    add("--tick", default="10m", help="between two looks at everything (%(default)s)")
    add("--without-disk", action="store_true", help="write no ledger")
    add("--profile", type=Path, help="where to write what cProfile saw")
    given = parser.parse_args()
    gc.collect()
    program = partial(trio.run, github if given.what == "github" else scaler, given)
    if given.profile is None:
        program()
        return 0
    import cProfile

    profile = cProfile.Profile()
    profile.runcall(program)
    profile.dump_stats(given.profile)
    return 0


if __name__ == "__main__":
    sys.exit(main())
