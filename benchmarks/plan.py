"""How long one plan takes, since the event loop waits for it after every change.

    python benchmarks/plan.py [--quick] [--save]

Prints a line for each situation: runners that exist, jobs that are owed, profiles, how many sizes
of machine they have, rooms, `max_count` of each profile, machines that the plan makes, and the
milliseconds that it takes (the best and the median of several). The aim is a median of 50 ms for
10,000 runners in 100 profiles, in the situations of `AIMED`. The figures are in
`benchmarks/plan.md`.
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import dataclass
from typing import Any

from bench import results

from scaler.model.demand import Demand
from scaler.model.plan import Situation, plan
from scaler.model.row import Row
from scaler.records import Profile, Registration, Room, Runner, RunnerState

GIB = 1 << 30
NOW = 100_000.0
TIMES = 15
HEAD = ["situation", "runners", "owed", "profiles", "sizes", "rooms", "max_count", "made"]
HEAD += ["best, ms", "median, ms"]
AIM = 50.0  # milliseconds, for 10,000 runners in 100 profiles
AIMED = ("all is well", "all is surplus", "rooms are full")
STATES = (RunnerState.BUSY, RunnerState.BUSY, RunnerState.IDLE, RunnerState.BOOTING)


@dataclass(frozen=True)
class Case:
    """A situation to be measured; `machines` is how many of 4 GiB all rooms hold, 0 without end."""

    text: str
    runners: int = 0
    owed: int = 0
    profiles: int = 100
    sizes: int = 5
    rooms: int = 100
    max_count: int = 1000
    machines: int = 20_000

    def situation(self) -> Situation:
        """Build it."""
        each = self.machines // self.rooms
        total = {"memory": each * 4 * GIB, "vcpus": each * 4} if self.machines else {}
        profiles = [
            Profile(
                name=f"p{number}",
                max_count=self.max_count,
                resources={
                    "memory": 2 * GIB + 4 * GIB * (number % self.sizes) // self.sizes,
                    "vcpus": 2,
                },
                source="queue",
                provisioners=("one",),
            )
            for number in range(self.profiles)
        ]
        rows = [
            self._row(number, profiles[number % self.profiles]) for number in range(self.runners)
        ]
        owed = self.owed // self.profiles
        return Situation(
            profiles={profile.name: profile for profile in profiles},
            rows=rows,
            demand={p.name: Demand(owed=owed, kept=owed, reported=True, at=NOW) for p in profiles},
            committed={},
            offered={},
            rooms={"one": [Room(name=f"r{number}", total=total) for number in range(self.rooms)]},
            backoff={},
            now=NOW,
        )

    def _row(self, number: int, profile: Profile) -> Row:
        name = f"{profile.name}.{number}@host"
        runner = Runner(
            id=number + 1,
            name=name,
            profile=profile.name,
            state=STATES[number // self.profiles % len(STATES)],
            source="queue",
            provisioner="one",
            room=f"r{number // self.profiles % self.rooms}",
            resources=dict(profile.resources),
            registration=Registration(name=name),
        )
        return Row(runner=runner, born=NOW - 600, entered=NOW - 60)


CASES = (
    Case("nothing runs", profiles=10, rooms=10),
    Case("nothing runs", profiles=20, rooms=50),
    Case("nothing runs", rooms=100, max_count=10_000),
    Case("nothing runs, sizes differ", sizes=100, max_count=10_000),
    Case("nothing runs, large rooms", max_count=10_000, machines=2_000_000),
    Case("nothing runs, one room", rooms=1, machines=2_000_000),
    Case("nothing runs, rooms without end", max_count=10_000, machines=0),
    Case("all is well", runners=10_000, owed=10_000),
    Case("all is well, sizes differ", runners=10_000, owed=10_000, sizes=100),
    Case("all is surplus", runners=10_000),
    Case("rooms are full", runners=10_000, owed=20_000, machines=10_000),
    Case("rooms are full, sizes differ", runners=10_000, owed=20_000, sizes=100, machines=10_000),
    Case("half is missing", runners=5_000, owed=10_000),
    Case("all is missing", owed=10_000),
    Case("all is missing, sizes differ", owed=10_000, sizes=100),
)


def measure(case: Case, times: int = TIMES) -> tuple[int, list[float]]:
    """How many machines are made, and what each of several plans took, in milliseconds."""
    situation = case.situation()
    made, took = 0, []
    for _ in range(times):
        began = time.perf_counter()
        made = len(plan(situation).make)
        took.append((time.perf_counter() - began) * 1000)
        if sum(took) > 5000:
            break
    return made, took


def row(case: Case, times: int = TIMES) -> dict[str, Any]:
    """A row of the results."""
    made, took = measure(case, times)
    return {
        "situation": case.text,
        "runners": case.runners,
        "owed": case.owed,
        "profiles": case.profiles,
        "sizes": min(case.sizes, case.profiles),
        "rooms": case.rooms,
        "max_count": case.max_count,
        "made": made,
        "best_ms": round(min(took), 2),
        "median_ms": round(statistics.median(took), 2),
    }


def cells(one: dict[str, Any]) -> list[str]:
    """A row of the table, in the order of HEAD."""
    text, *numbers, best, median = one.values()
    return [text, *(f"{each:,}" for each in numbers), f"{best:.1f}", f"{median:.1f}"]


def main() -> int:
    given = results.arguments(__doc__ or "").parse_args()
    rows = [row(case, 3 if given.quick else TIMES) for case in CASES]
    print(results.table(HEAD, [cells(one) for one in rows]))
    if given.save:
        results.save("plan", {"rows": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())
