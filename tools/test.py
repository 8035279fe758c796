"""Run the tiers of the tests one after another and say what ran, what passed, what did not run.

`make test` comes here. Each tier is an environment of tox.ini. TIERS in the environment
names other ones than the default; a tier that is named and cannot run is a failure, where
one of the default is listed as not run, with the reason.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pythons import VERSIONS, find

ROOT = Path(__file__).parent.parent
TOX = Path(sys.executable).with_name("tox")
DEFAULT = ("lint", "type", "docs", *(f"py{version.replace('.', '')}" for version in VERSIONS))
KNOWN = (*DEFAULT, "authors", "operating", "faults", "crash", "browser", "vm", "fresh", "bench")
# All tests run on the first Python that is here. On the others there are fewer examples of each
# law, and tests marked `once` are left out (pytest's last line counts them as deselected); between
# the first and the newest the core's own are enough.
FEWER = {"HYPOTHESIS_PROFILE": "few"}
NOT_ONCE = ["-m", "not once and not authors and not operating"]
CORE = [
    f"tests/{each}"
    for each in ("cli", "containment", "dispatch", "engine", "ledger", "loading", "settings")
]
NOT_ALL = "without the tests marked `once`"
CORE_ALONE = f"the core's own alone, {NOT_ALL}"
PATIENCE = 900  # seconds for a tier, its environment included; a hung test must not hang CI

# "3 failed, 120 passed, 2 skipped in 12.34s (0:00:12)", with or without a frame of "="
CLOSING = re.compile(r"^=*\s*((?:\d+ [a-z]+(?:, )?)+) in [\d.]+s(?: \([\d:]+\))?\s*=*$")


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of one tier."""

    tier: str
    outcome: str  # passed, FAILED, not run
    note: str = ""
    seconds: float = 0.0
    counts: Counter[str] | None = None


def main() -> int:
    """Run the tiers, print the table, return the exit code."""
    asked = os.environ.get("TIERS", "").split()
    if strangers := [tier for tier in asked if tier not in KNOWN]:
        print(f"TIERS: found {', '.join(strangers)}, wanted some of {', '.join(KNOWN)}")
        return 1
    started = time.monotonic()
    results: list[Result] = []
    for tier in asked or DEFAULT:
        fewer: list[str] = []
        if tier.startswith("py") and any(each.counts for each in results):
            fewer = NOT_ONCE if tier == DEFAULT[-1] else NOT_ONCE + CORE
        result = run_tier(tier, required=bool(asked), fewer=fewer)
        if result.outcome != "passed":
            say(f"{tier}: {result.outcome}: {result.note}")
        results.append(result)
    print_table(results, time.monotonic() - started)
    return exit_code(results)


def run_tier(tier: str, *, required: bool, fewer: Sequence[str] = ()) -> Result:
    """Run one environment of tox, its output passed on as it comes; `fewer`: what pytest runs."""
    command = [str(TOX), "run", "-e", tier]
    if is_python := re.fullmatch(r"py3(\d+)", tier):
        found = find(f"3.{is_python[1]}")
        if found.path is None:
            return Result(
                tier=tier, outcome="FAILED" if required else "not run", note=found.why_not
            )
        command += ["--discover", str(found.path)]
        # An absent Python was dealt with above: one that tox cannot use is a failure.
        command += ["--skip-missing-interpreters", "false"]
    if stale(tier):
        command.append("--recreate")
    if fewer:
        command += ["--", *fewer]
    say(f"{tier}: {' '.join(['tox', *command[1:]])}")
    started = time.monotonic()
    code, counts = run(command, (FEWER if fewer else {}) | os.environ)
    seconds = time.monotonic() - started
    if code == 0:
        mark_fresh(tier)
        left_out = (CORE_ALONE if CORE[0] in fewer else NOT_ALL) if fewer else ""
        return Result(tier=tier, outcome="passed", note=left_out, seconds=seconds, counts=counts)
    note = f"not done after {PATIENCE} s" if code is None else f"exit code {code}"
    return Result(tier=tier, outcome="FAILED", note=note, seconds=seconds, counts=counts)


def run(command: list[str], environ: Mapping[str, str]) -> tuple[int | None, Counter[str] | None]:
    """Run a command to its end or the end of patience; its exit code and pytest's counts."""
    counts = None
    overdue = threading.Event()
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        process_group=0,
    ) as process:

        def give_up() -> None:
            overdue.set()
            os.killpg(process.pid, signal.SIGKILL)

        timer = threading.Timer(PATIENCE, give_up)
        timer.start()
        try:
            assert process.stdout is not None
            for line in process.stdout:
                sys.stdout.write(line)
                sys.stdout.flush()
                counts = closing_counts(line) or counts
            code = process.wait()
        except BaseException:
            # Ctrl-C reaches this process alone, as the tier has a process group of its own.
            os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            timer.cancel()
    return (None if overdue.is_set() else code), counts


def closing_counts(line: str) -> Counter[str] | None:
    """The numbers of the line that pytest closes with; None for any other line."""
    match = CLOSING.match(re.sub(r"\x1b\[[\d;]*m", "", line).strip())
    if match is None:
        return None
    pairs = (part.split() for part in match[1].split(", "))
    return Counter({word: int(number) for number, word in pairs})


def stale(tier: str) -> bool:
    """Tell whether what a tier's environment was made from has changed since."""
    made = ROOT / ".tox" / tier / ".made-from"
    return made.parent.exists() and not (made.exists() and made.read_text() == inputs())


def mark_fresh(tier: str) -> None:
    """Note what a tier's environment was made from, for `stale`."""
    (ROOT / ".tox" / tier / ".made-from").write_text(inputs())


def inputs() -> str:
    """A digest of what environments are made from; tox itself compares less."""
    paths = ["constraints.txt", "pyproject.toml", "tox.ini"]
    files = [ROOT / path for path in paths]
    files += [
        *sorted(ROOT.glob("plugins/*/pyproject.toml")),
        *sorted(ROOT.glob("docs/examples/*/pyproject.toml")),
    ]
    return str(zlib.crc32(b"".join(file.read_bytes() for file in files)))


def print_table(results: list[Result], seconds: float) -> None:
    """What ran, what it came to, and what did not run, with the reason."""
    print("\n------ tier ---- outcome -- seconds -- tests")
    for result in results:
        counts = [summed([result.counts])] if result.counts else []
        note = ", ".join([*counts, *([result.note] if result.note else [])])
        print(f"{result.tier:>11}  {result.outcome:<10} {result.seconds:7.0f}  {note}")
    for result in results:
        if result.outcome == "not run":
            print(f"not run: {result.tier}: {result.note}")
        if result.outcome == "FAILED":
            print(f"FAILED: {result.tier}: {result.note}")
    print(f"make test: {verdict(results)} after {seconds:.0f} s")
    if total := summed([result.counts for result in results]):
        pythons = ", ".join(result.tier for result in results if result.counts)
        print(f"tests over {pythons}:")
        print(total)


def summed(counts: list[Counter[str] | None]) -> str:
    """Counts of several closing lines as one: "1 failed, 240 passed, 4 skipped"."""
    total = sum((each for each in counts if each), Counter[str]())
    order = ("failed", "passed", "skipped")
    words = [word for word in order if word in total] + sorted(total.keys() - {*order})
    return ", ".join(f"{total[word]} {word}" for word in words)


def verdict(results: list[Result]) -> str:
    """One word for all of it."""
    return "passed" if exit_code(results) == 0 else "FAILED"


def exit_code(results: list[Result]) -> int:
    """0 if everything that ran passed, and at least one thing did."""
    outcomes = {result.outcome for result in results}
    return 0 if "passed" in outcomes and "FAILED" not in outcomes else 1


def say(text: str) -> None:
    """A line between the output of the tiers."""
    print(f"\n====== {text}", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
