"""How long starting and stopping take, and what waiting costs.

    python benchmarks/start.py

`scaler --help` from process to exit; `scaler run` from process to its first poll at GitHub (the
stand-in, without delay), and from SIGTERM to its exit; the share of a core that it uses and its
memory (RSS) while it waits, without runners and with 20 that are idle.
"""

from __future__ import annotations

import subprocess
import sys
import time

from bench import results
from bench.processes import (
    Failed,
    cpu_seconds,
    hub,
    installed,
    resident,
    scaler,
    settle,
    stopping_on_signals,
    until,
    workplace,
)

WARM = 20
IDLE = 60.0  # seconds: two looks at everything, and a poll that comes to its end
HEAD = ["what", "at most", "median", "min", "max"]
TEXTS = {
    "help": ("`scaler --help`, ms", "150"),
    "first_poll": ("`scaler run` to its first poll, ms", "1,000"),
    "stop": ("SIGTERM to the end, ms", ""),
    "idle_cpu": ("idle, % of a core", "1"),
    "idle_mb": ("idle, memory in MB", "120"),
    "warm_cpu": (f"{WARM} idle runners, % of a core", "1"),
    "warm_mb": (f"{WARM} idle runners, memory in MB", "120"),
}


def help_ms() -> float:
    """`scaler --help`, milliseconds."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "scaler", "--help"],
        stdout=subprocess.DEVNULL,
        check=True,
        timeout=30,
    )
    return (time.perf_counter() - began) * 1e3


def start_and_stop() -> tuple[float, float]:
    """From process to first poll, and from signal to end; milliseconds."""
    with workplace() as folder, hub(lifetime=60) as where:
        began = time.perf_counter()
        with scaler(where, folder, most=4, guests=False) as running:
            until(running, where, "polling")
            polled = time.perf_counter() - began
            return polled * 1e3, running.stop() * 1e3


def idle(seconds: float, runners: int) -> tuple[float, float]:
    """The percentage of a core, and MB, while nothing happens."""
    with (
        workplace() as folder,
        hub(lifetime=seconds + 120) as where,
        scaler(where, folder, most=max(4, runners), target=runners, guests=runners > 0) as running,
    ):
        until(running, where, "polling")
        end = time.monotonic() + 30
        while len(where.ask("idle")["names"]) < runners:
            if (ended := running.process.poll()) is not None:
                raise Failed(f"scaler ended with code {ended} before {runners} runners were idle")
            if time.monotonic() > end:
                raise Failed(f"not {runners} idle runners within 30 s; log:\n{running.tail()}")
            time.sleep(0.1)
        time.sleep(1)
        settle(running.pid)
        before, began = cpu_seconds(running.pid), time.monotonic()
        time.sleep(seconds)
        used = (cpu_seconds(running.pid) - before) / (time.monotonic() - began) * 100
        memory = resident(running.pid)
        running.stop()
    return used, memory


def measure(quick: bool) -> dict[str, dict[str, float]]:
    """All figures."""
    found: dict[str, list[float]] = {name: [] for name in TEXTS}
    help_ms()  # the first one reads from the disk
    found["help"] = [help_ms() for _ in range(5 if quick else 20)]
    for _ in range(2 if quick else 5):
        polled, stopped = start_and_stop()
        found["first_poll"].append(polled)
        found["stop"].append(stopped)
    for name, runners in (("idle", 0), ("warm", WARM)):
        used, memory = idle(5 if quick else IDLE, runners)
        found[f"{name}_cpu"].append(used)
        found[f"{name}_mb"].append(memory)
    return {name: results.spread(values, 2) for name, values in found.items()}


def cells(name: str, one: dict[str, float]) -> list[str]:
    """A row of the table, in the order of HEAD."""
    text, wanted = TEXTS[name]
    numbers = [f"{one[key]:,.3g}" if one[key] < 1000 else f"{one[key]:,.0f}" for key in one]
    return [text, wanted, *numbers]


def main() -> int:
    given = results.arguments(__doc__ or "").parse_args()
    with stopping_on_signals():
        try:
            installed()
            found = measure(given.quick)
        except Failed as error:
            print(f"failed: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130
    print(results.table(HEAD, [cells(name, one) for name, one in found.items()]))
    if given.save:
        results.save("start", {"rows": found})
    return 0


if __name__ == "__main__":
    sys.exit(main())
