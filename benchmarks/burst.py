"""How long many jobs at once wait for their runners, beside GitHub's own listener.

    python benchmarks/burst.py              all rows, both flows, five runs each
    python benchmarks/burst.py --quick      one run of each row, flow `assigned`
    python benchmarks/burst.py --jobs 500 --delay 20 --flow offered --runs 3
    python benchmarks/burst.py --jobs 500 --delay 20 --profile burst.pstats

Each run starts a stand-in for GitHub (`hub.py`) and `scaler run`, two processes, both fresh: the
real client, hooks and reconciler, the ledger on the disk, machines in libvirt's test driver. Once
it polls and is idle, all jobs are queued at once. A guest boots 50 ms after its machine exists,
then takes a job of 50 to 100 ms; the run ends when every job is done and nothing is left. Whether
the stand-in is quick enough is measured first, and its share of a processor stands in every row.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import load, peers, results
from bench.processes import (
    Failed,
    cpu_seconds,
    hub,
    installed,
    scaler,
    settle,
    stopping_on_signals,
    until,
    workplace,
)

BOOT = 0.05
LONGEST = 60.0  # seconds that one burst may take
KINDS = ("JIT config", "acquire", "poll", "delete message", "remove runner")
HEAD = [
    "flow", "jobs", "delay, ms", "all started, s", "min, s", "max, s", "median job, s", "floor, s",
    "listener, s", "listener ÷ scaler", "CPU s: scaler", "CPU s: stand-in", "all done, s",
]  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A burst: how many jobs, seconds added to every request, how jobs come and guests boot."""

    jobs: int
    delay: float
    flow: str = "assigned"
    boot_from: str = "machine"

    @property
    def floor(self) -> float:
        """One poll, one acquire where jobs are offered, one JIT configuration, the boot."""
        return self.delay * (3 if self.flow == "offered" else 2) + BOOT


@dataclass(frozen=True)
class Run:
    """One burst: seconds from queueing to starts and ends, CPU seconds and requests meanwhile.

    What was used counts until all have started; `requests_done` and `settled` (CPU seconds) count
    until nothing is left. `dropped`: warnings that a plugin did not keep up with what it was told.
    """

    started: list[float]
    done: float
    clean: float
    cpu: float
    hub_cpu: float
    requests: dict[str, int]
    requests_done: dict[str, int]
    settled: float
    dropped: int

    @property
    def all_started(self) -> float:
        """Seconds from queueing to the last job's start."""
        return max(self.started)


def run(case: Case, profile: Path | None = None) -> Run:
    """One burst with fresh processes. Raises Failed where it does not come to its end."""
    options = {
        "flow": case.flow, "delay": case.delay * 1000, "boot": BOOT, "boot_from": case.boot_from,
        "lifetime": LONGEST * 3,
    }  # fmt: skip
    with (
        workplace() as folder,
        hub(**options) as where,
        scaler(where, folder, most=case.jobs, profile=profile) as running,
    ):
        until(running, where, "polling")
        settle(running.pid)
        before = cpu_seconds(running.pid)
        where.ask("queue", set="linux", count=case.jobs)
        until(running, where, "started", LONGEST)
        cpu = cpu_seconds(running.pid) - before
        until(running, where, "done", LONGEST)
        until(running, where, "clean", LONGEST)
        seen = where.ask("result")
        settled = cpu_seconds(running.pid) - before
        running.stop()
        dropped = running.dropped
    marks = seen["marks"]
    return Run(
        started=sorted(seen["started"]),
        done=marks["done"]["seconds"],
        clean=marks["clean"]["seconds"],
        cpu=cpu,
        hub_cpu=marks["started"]["cpu"],
        requests=marks["started"]["requests"],
        requests_done=marks["clean"]["requests"],
        settled=settled,
        dropped=dropped,
    )


def summary(case: Case, runs: list[Run]) -> dict[str, Any]:
    """A row of the results."""
    peer = peers.listener(case.jobs, case.delay)
    typical = sorted(runs, key=lambda one: one.all_started)[len(runs) // 2]
    return {
        "flow": case.flow,
        "boot_from": case.boot_from,
        "jobs": case.jobs,
        "delay": case.delay,
        "floor": round(case.floor, 4),
        "runs": len(runs),
        "all_started": results.spread([one.all_started for one in runs]),
        "median_job": results.spread([statistics.median(one.started) for one in runs]),
        "all_done": results.spread([one.done for one in runs]),
        "nothing_left": results.spread([one.clean for one in runs]),
        "scaler_cpu": results.spread([one.cpu for one in runs]),
        "scaler_cpu_whole": results.spread([one.settled for one in runs]),
        "hub_cpu": results.spread([one.hub_cpu for one in runs]),
        "requests": typical.requests,
        "requests_done": typical.requests_done,
        "warned_of_drops": sum(one.dropped > 0 for one in runs),
        "listener": None if peer is None else peer.all_started,
        "listener_median": None if peer is None else peer.median,
        "wanted": None if peer is None else peer.wanted,
        "sought": None if peer is None else peer.sought,
    }


def cells(row: dict[str, Any]) -> list[str]:
    """A row as it is printed, in the order of HEAD."""
    started, peer = row["all_started"], row["listener"]
    return [
        row["flow"],
        str(row["jobs"]),
        f"{row['delay'] * 1000:g}",
        *(f"{started[key]:.2f}" for key in ("median", "min", "max")),
        f"{row['median_job']['median']:.2f}",
        f"{row['floor']:.2f}",
        "" if peer is None else f"{peer:g}",
        "" if peer is None else f"{peer / started['median']:.1f}",
        f"{row['scaler_cpu']['median']:.2f}",
        f"{row['hub_cpu']['median']:.3f}",
        f"{row['all_done']['median']:.2f}",
    ]


def counted(requests: dict[str, int]) -> str:
    """Requests by kind, the usual ones first."""
    rest = sorted(set(requests) - set(KINDS))
    return ", ".join(f"{requests[kind]} {kind}" for kind in (*KINDS, *rest) if requests.get(kind))


def cases(given: argparse.Namespace) -> list[Case]:
    """What was asked for; none where the listener has no row with such a delay."""
    delay = None if given.delay is None else given.delay / 1000
    flows = [given.flow] if given.flow else ["assigned"] if given.quick else ["assigned", "offered"]
    if given.jobs:
        delay = 0.02 if delay is None else delay
        return [Case(given.jobs, delay, flow, given.boot_from) for flow in flows]
    return [
        Case(one.jobs, one.delay, flow, given.boot_from)
        for one in peers.LISTENER
        for flow in flows
        if delay is None or math.isclose(delay, one.delay)
    ]


def main() -> int:
    parser = results.arguments(__doc__ or "")
    add = parser.add_argument
    add(
        "--jobs", type=results.positive, help="so many at once, instead of the rows of the listener"
    )
    add("--delay", type=results.milliseconds, help="milliseconds added to every request")
    add("--flow", choices=("assigned", "offered"), help="how jobs come (both)")
    add("--boot-from", choices=("machine", "config"), default="machine", help="what boots a guest")
    add("--runs", type=results.positive, help="of each row (5; 1 if --quick)")
    add(
        "--profile", type=results.new_file, metavar="FILE",
        help="cProfile of scaler's main thread, last run",
    )  # fmt: skip
    given = parser.parse_args()
    if not cases(given):
        delays = ", ".join(f"{one.delay * 1000:g}" for one in peers.LISTENER)
        parser.error(
            f"no row has a delay of {given.delay:g} ms (they have {delays}); "
            "for another one say --jobs as well"
        )
    count = given.runs or (1 if given.quick or given.profile else 5)
    with stopping_on_signals():
        try:
            installed()
            return measure(given, count)
        except Failed as error:
            print(f"failed: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130


def measure(given: argparse.Namespace, count: int) -> int:
    """Run what was asked for and print it; 0."""
    capacity = load.measure(4000 if given.quick else load.REQUESTS)
    print(
        f"the stand-in alone: {capacity.rate:,.0f} requests a second, "
        f"{capacity.cost:.0f} µs of CPU each\n"
    )
    rows = []
    for case in cases(given):
        runs = [run(case, given.profile) for _ in range(count)]
        rows.append(summary(case, runs))
        print(results.table(HEAD, [cells(rows[-1])]) if len(rows) == 1 else _line(rows[-1]))
        sys.stdout.flush()
    print("\nrequests until all have started, and until nothing is left:")
    for row in rows:
        print(f"  {row['flow']}, {row['jobs']} jobs, {row['delay'] * 1000:g} ms:")
        print(f"    {counted(row['requests'])}\n    {counted(row['requests_done'])}")
        if row["warned_of_drops"]:
            print(
                f"    on_runner_changed dropped in {row['warned_of_drops']} of {row['runs']} runs"
            )
    if given.save:
        alone = {"rate": round(capacity.rate), "cost_us": round(capacity.cost, 1)}
        results.save("burst", {"stand_in": alone, "rows": rows})
    return 0


def _line(row: dict[str, Any]) -> str:
    return f"| {' | '.join(cells(row))} |"


if __name__ == "__main__":
    sys.exit(main())
