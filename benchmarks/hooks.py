"""What calling a hook costs, with 0, 1, 5 and 20 plugins that do nothing.

    python benchmarks/hooks.py

Microseconds for one dispatch, the median of several rounds, for every kind of delivery; a `tell` is
counted until it is delivered. Beside them: the plugins' functions simply awaited one after another,
and pluggy's own call of as many plain functions. A plain function runs in a worker thread here, so
that it may block; that is what it costs.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pluggy
import trio
from bench import results

from scaler.dispatch import Dispatcher
from scaler.hooks import SPEC, hookimpl
from scaler.loading import register
from scaler.records import (
    Decline,
    Job,
    Registration,
    Room,
    Runner,
    RunnerState,
    Selection,
    SelectionRequest,
)

COUNTS = (0, 1, 5, 20)
KINDS = ("tell", "vote", "ask", "gather", "route")
RUNNER = Runner(id=1, name="linux.1@host", profile="linux", state=RunnerState.PLANNED)
JOB = Job(id="j1", state="offered")
REQUEST = SelectionRequest(unique_id="u", qualified_repo="acme/x", run_id="1")
ANSWER = Registration(name="linux.1@host", ref="1")
ROUND = 0.05  # seconds of one round, about
HEAD = ["delivery", "plugins' functions", *(f"µs with {count}" for count in COUNTS)]


class Awaited:
    """A plugin whose hooks are coroutines, as most are."""

    @hookimpl
    async def on_runner_changed(self, runner: Runner, before: Runner | None) -> None:
        return None

    @hookimpl
    async def on_job_available(self, job: Job) -> Decline | None:
        return None

    @hookimpl
    async def select_runner(self, request: SelectionRequest) -> Selection | None:
        return None

    @hookimpl
    async def capacity(self) -> list[Room]:
        return []

    @hookimpl
    async def register_runner(self, runner: Runner) -> Registration:
        return ANSWER


class Plain:
    """A plugin whose hooks are plain functions."""

    @hookimpl
    def on_runner_changed(self, runner: Runner, before: Runner | None) -> None:
        return None

    @hookimpl
    def on_job_available(self, job: Job) -> Decline | None:
        return None

    @hookimpl
    def select_runner(self, request: SelectionRequest) -> Selection | None:
        return None

    @hookimpl
    def capacity(self) -> list[Room]:
        return []

    @hookimpl
    def register_runner(self, runner: Runner) -> Registration:
        return ANSWER


async def dispatch(hooks: Dispatcher, kind: str, times: int) -> None:
    """Call a hook of this kind so many times."""
    if kind == "tell":
        for _ in range(times):
            hooks.tell(SPEC.on_runner_changed, runner=RUNNER, before=None)
        await hooks.drain_mailboxes()
        return
    for _ in range(times):
        if kind == "vote":
            await hooks.vote(SPEC.on_job_available, job=JOB)
        elif kind == "ask":
            await hooks.ask(SPEC.select_runner, request=REQUEST)
        elif kind == "gather":
            await hooks.gather(SPEC.capacity)
        else:
            await hooks.route("p0", None, SPEC.register_runner, runner=RUNNER)


async def cost(run: Callable[[int], Awaitable[Any]], rounds: int, most: int = 100_000) -> float:
    """Microseconds that one of `run(times)`'s times takes."""
    times = 1
    while True:  # how many fill a round
        began = time.perf_counter()
        await run(times)
        took = time.perf_counter() - began
        if took > ROUND / 5 or times >= most:
            break
        times = min(most, times * 4)
    times = max(1, min(most, int(times * ROUND / max(took, 1e-9))))
    seen = []
    for _ in range(rounds):
        began = time.perf_counter()
        await run(times)
        seen.append((time.perf_counter() - began) / times)
    return round(statistics.median(seen) * 1e6, 2)


async def measure(rounds: int) -> list[dict[str, Any]]:
    """A row for each kind of delivery and of functions: the cost by the number of plugins."""
    rows: list[dict[str, Any]] = []
    for kind in KINDS:
        for functions, cls in (("async", Awaited), ("plain", Plain)):
            us: dict[int, float] = {}
            for count in COUNTS:
                if kind == "route" and count == 0:
                    continue  # there is always one, or nobody is called
                manager = register({f"p{number}": cls() for number in range(count)})
                us[count] = await _dispatched(manager, kind, rounds)
            rows.append({"kind": kind, "functions": functions, "us": us})
    rows.append({"kind": "await alone", "functions": "async", "us": await _alone(rounds)})
    rows.append({"kind": "pluggy's own call", "functions": "plain", "us": await _pluggy(rounds)})
    return rows


async def _dispatched(manager: pluggy.PluginManager, kind: str, rounds: int) -> float:
    async with trio.open_nursery() as nursery:
        hooks = Dispatcher(manager, nursery)
        nursery.start_soon(hooks.run_mailboxes)
        most = 500 if kind == "tell" else 100_000  # a mailbox holds a thousand
        found = await cost(lambda times: dispatch(hooks, kind, times), rounds, most)
        nursery.cancel_scope.cancel()
    return found


async def _alone(rounds: int) -> dict[int, float]:
    found = {}
    for count in COUNTS:
        plugins = [Awaited() for _ in range(count)]

        async def run(times: int, plugins: list[Awaited] = plugins) -> None:
            for _ in range(times):
                for plugin in plugins:
                    await plugin.on_job_available(job=JOB)

        found[count] = await cost(run, rounds)
    return found


async def _pluggy(rounds: int) -> dict[int, float]:
    found = {}
    for count in COUNTS:
        manager = register({f"p{number}": Plain() for number in range(count)})
        call = manager.hook.on_job_available

        async def run(times: int, call: Callable[..., Any] = call) -> None:
            for _ in range(times):
                call(job=JOB)

        found[count] = await cost(run, rounds)
    return found


def main() -> int:
    given = results.arguments(__doc__ or "").parse_args()
    rows = trio.run(measure, 3 if given.quick else 15)
    cells = [
        [row["kind"], row["functions"], *(f"{row['us'].get(n, '')}" for n in COUNTS)]
        for row in rows
    ]
    print(results.table(HEAD, cells))
    if given.save:
        results.save("hooks", {"counts": COUNTS, "rows": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())
