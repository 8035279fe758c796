"""What the Monitor's answers cost, at its client.

    python benchmarks/monitor.py
    python benchmarks/monitor.py --only takes --profile takes.pstats

A scaler in a process of its own, with the Monitor, and with idle runners that are in its ledger and
on every list from the start on. `takes`: one runner reserved by POST on a kept-alive connection,
beside requests that do nothing, with GitHub's simulator (a process of its own, no delay) and with
a source that answers at once. `data`: /dashboard.json on one core. `browsers`: 200 open pages.
`held`: how long the event loop was held with 10,000 runners.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from bench import caller, results
from bench.crowded import KINDS, PROFILE, TOKEN, Program, scaler
from bench.processes import Failed, cpu_seconds, installed, settle, stopping_on_signals

SIZES = (1, 100, 10_000)
EMPTY = caller.request("GET", "/healthz")
REFUSED = caller.request("POST", f"/profile/{PROFILE}/take")  # without its token
DATA = caller.request("GET", "/dashboard.json")
MOST_ABOVE, MOST_OWN, MOST_APART = 4.0, 0.5, 20.0  # ms, ms, %
AIMED = ("nothing changes", "ten changes a second")
LEAST_RATE, MOST_SHARE = 500.0, 20.0  # a second on one core, % of a core
GUEST_MS = 94.0  # Servo's monitor, for each guest, before every answer
QUIET = 0.12  # seconds after a reservation was taken back until the next is asked for
MOMENT = 0.003  # seconds after an answer in which what it cost is complete
WARM = 3  # rounds that do not count
LOOKED = ("github", 100)  # whose profile is taken
CONNECTIONS = 8
BROWSERS = 200
TAKES_HEAD = ["runners", "what is there", "empty GET, ms", "refused POST, ms", "take, ms",
              "**above an empty GET, ms**", "the quickest quarter, ms", "CPU ms above",
              "Servo's monitor, s", "Servo's ÷ ours"]  # fmt: skip
DATA_HEAD = ["/dashboard.json, 100 runners", "answers a second", "CPU µs an answer",
             "**answers a CPU second**", "kB an answer"]  # fmt: skip


@dataclass(frozen=True)
class Sizes:
    """How much is done; `seconds` are of one load, `watched` and `held` of one look."""

    takes: int = 120
    loads: int = 5
    seconds: float = 4.0
    watched: float = 20.0
    held: float = 45.0


QUICK = Sizes(takes=10, loads=1, seconds=1.0, watched=4.0, held=6.0)


# Takes


def takes(sizes: Sizes, profile: str = "") -> list[dict[str, Any]]:
    """All sizes and kinds, one after another in each round, so that noise falls on all alike."""
    with ExitStack() as stack:
        places = []
        for kind in KINDS:
            for count in SIZES:
                with_profile = {"profile": profile} if profile and (kind, count) == LOOKED else {}
                here = stack.enter_context(scaler(kind, count, **with_profile))
                open_one = stack.enter_context(caller.connection(here.port))
                places.append((kind, count, here, open_one))
        seen: dict[tuple[str, int], list[tuple[float, ...]]] = {}
        for number in range(sizes.takes + WARM):
            for kind, count, here, open_one in places:
                found = _round(here, open_one)
                if number >= WARM:
                    seen.setdefault((kind, count), []).append(found)
    return [_taken(kind, count, found) for (kind, count), found in seen.items()]


def _round(here: Program, open_one: caller.Connection) -> tuple[float, ...]:
    """Milliseconds of an empty request, of one that is refused, and of a take; then of CPU."""
    open_one.fresh()
    asked = ((EMPTY, 200), (REFUSED, 401), (caller.take(PROFILE, TOKEN), 200))
    times, used = [], []
    answer = caller.Answer()
    for request, status in asked:
        before = cpu_seconds(here.pid)
        took, answer = open_one.ask(request, status)
        time.sleep(MOMENT)
        times.append(took * 1e3)
        used.append((cpu_seconds(here.pid) - before) * 1e3)
    if not answer.body.startswith(b'{"id"'):
        raise Failed(f"no runner was reserved: {answer.body[:200]!r}")
    here.tell("release")
    time.sleep(QUIET)
    return (*times, *used)


def _taken(kind: str, count: int, found: Sequence[tuple[float, ...]]) -> dict[str, Any]:
    above = sorted(one[2] - one[0] for one in found)
    middle = [round(statistics.median(each), 3) for each in zip(*found, strict=True)]
    empty, refused, took, cpu_empty, _, cpu_took = middle
    return {
        "kind": kind,
        "runners": count,
        "takes": len(found),
        "empty": empty,
        "refused": refused,
        "take": took,
        "above": round(statistics.median(above), 3),
        "quarter": round(above[len(above) // 4], 3),
        "cpu": round(cpu_took - cpu_empty, 3),
    }


# Requests a second


def data(sizes: Sizes, profile: str = "") -> list[dict[str, Any]]:
    """/dashboard.json with 100 runners; while nothing changes and while what is shown does."""
    options = {"profile": profile} if profile else {}
    with scaler("instant", 100, **options) as here, on_cores(here):
        time.sleep(2.0)  # what plugins say of their start has come
        with caller.connection(here.port) as one:
            _, answer = one.ask(DATA, 200)
            _, nothing = one.ask(EMPTY, 200)
        cases = [
            ("nothing changes", DATA, 200, 0, answer),
            ("for comparison: /healthz", EMPTY, 200, 0, nothing),
            ("ten changes a second", DATA, 200, 10, answer),
        ]
        found: dict[str, list[tuple[float, float]]] = {}
        for _ in range(sizes.loads):
            for text, asked, status, changes, _ in cases:
                here.tell(f"churn {changes}")
                before, began = cpu_seconds(here.pid), time.perf_counter()
                rate = caller.load(
                    here.port, asked, status, connections=CONNECTIONS, seconds=sizes.seconds
                )
                answers = rate * (time.perf_counter() - began)
                cost = (cpu_seconds(here.pid) - before) / answers
                found.setdefault(text, []).append((rate, cost))
                here.tell("churn 0")
        lengths = {text: answer.length / 1e3 for text, *_, answer in cases}
    return [
        {
            "what": text,
            "rate": results.spread([rate for rate, _ in each], 1),
            "cost_us": round(statistics.median(cost for _, cost in each) * 1e6),
            "per_cpu_second": results.spread([1 / cost for _, cost in each], 1),
            "kb": round(lengths[text], 1),
        }
        for text, each in found.items()
    ]


@contextmanager
def on_cores(here: Program) -> Iterator[None]:
    """The program on one core, and ourselves on the others, where there are any."""
    ours = sorted(os.sched_getaffinity(0))
    here.keep_to(ours[0])
    os.sched_setaffinity(0, set(ours[1:]) or set(ours))
    try:
        yield
    finally:
        os.sched_setaffinity(0, set(ours))


# Open pages


def watched(sizes: Sizes, profile: str = "") -> dict[str, Any]:
    """The share of a core that open pages cost, beside what the same costs without them."""
    options = {"profile": profile} if profile else {}
    with scaler("instant", 100, **options) as here, on_cores(here):
        settle(here.pid)
        here.tell("churn 1")
        alone = _share(here, sizes.watched / 2, lambda seconds: time.sleep(seconds))
        with caller.browsers(here.port, BROWSERS) as open_pages:
            open_pages.read(3.0)  # each has its first picture of everything
            share = _share(here, sizes.watched, open_pages.read)
            events = open_pages.events / BROWSERS / sizes.watched
            size = open_pages.bytes / max(1, open_pages.events)
    return {
        "browsers": BROWSERS,
        "share": round(share, 2),
        "without": round(alone, 2),
        "events": round(events, 2),
        "bytes": round(size),
    }


def _share(here: Program, seconds: float, meanwhile: Any) -> float:
    before, began = cpu_seconds(here.pid), time.perf_counter()
    meanwhile(seconds)
    return (cpu_seconds(here.pid) - before) / (time.perf_counter() - began) * 100


# The loop


def held(sizes: Sizes, profile: str = "") -> dict[str, Any]:
    """How long the loop was held with 10,000 runners, a browser, takes, and all that is usual."""
    options = {"profile": profile} if profile else {}
    with (
        scaler("instant", 10_000, tick="15s", **options) as here,
        caller.connection(here.port) as one,
        caller.browsers(here.port, 1) as page,
    ):
        page.read(2.0)
        here.tell("churn 2")
        here.tell("steps")
        asked, taken = [], []
        end = time.monotonic() + sizes.held
        while time.monotonic() < end:
            took, _ = one.ask(caller.take(PROFILE, TOKEN), 200)
            taken.append(took * 1e3)
            for _ in range(20):
                took, _ = one.ask(EMPTY, 200)
                asked.append(took * 1e3)
                page.read(0.02)
        steps = here.tell("held")
    asked.sort()
    return {
        "steps": steps,
        "empty": round(statistics.median(asked), 2),
        "empty_99": round(asked[-1 - len(asked) // 100], 2),
        "empty_worst": round(asked[-1], 1),
        "take": round(statistics.median(taken), 2),
        "take_worst": round(max(taken), 1),
        "seconds": sizes.held,
    }


# Showing


def take_cells(row: dict[str, Any]) -> list[str]:
    """A row of takes, in the order of TAKES_HEAD."""
    numbers = [row[key] for key in ("empty", "refused", "take", "above", "quarter", "cpu")]
    shown = [f"{number:.2f}" for number in numbers]
    shown[3] = f"**{shown[3]}**"
    servo = GUEST_MS * row["runners"]
    beside = [f"{servo / 1e3:,.3g}", f"{servo / row['take']:,.0f}"]
    whole = row["kind"] == "github"
    return [f"{row['runners']:,}", KINDS[row["kind"]], *shown, *(beside if whole else ["", ""])]


def data_cells(row: dict[str, Any]) -> list[str]:
    """A row of requests, in the order of DATA_HEAD."""
    rate, by_cpu = row["rate"]["median"], row["per_cpu_second"]["median"]
    return [
        row["what"],
        f"{rate:,.0f}",
        f"{row['cost_us']:,}",
        f"**{by_cpu:,.0f}**",
        f"{row['kb']:g}",
    ]


def aims(found: dict[str, Any]) -> list[tuple[str, float, float, str]]:
    """What is aimed at: text, figure, the most, unit. A rate is told by its time an answer."""
    by = {(row["kind"], row["runners"]): row["above"] for row in found["takes"]}
    wanted: list[tuple[str, float, float, str]] = []
    for count in SIZES:
        if ("github", count) in by:
            text = f"take above an empty request, {count:,} runners"
            wanted.append((text, by["github", count], MOST_ABOVE, "ms"))
            text = f"of it our own code, {count:,} runners"
            wanted.append((text, by["bare", count], MOST_OWN, "ms"))
    if by:
        whole = [by["github", count] for count in SIZES]
        apart = (max(whole) / min(whole) - 1) * 100
        wanted.append(("the dearest above the cheapest size", round(apart, 1), MOST_APART, "%"))
    for row in found["data"]:
        if row["what"] not in AIMED:
            continue
        text = f"an answer of /dashboard.json, {row['what']}"
        wanted.append((text, row["cost_us"] / 1e3, 1e3 / LEAST_RATE, "ms of a core"))
    if found["watched"]:
        text = f"{BROWSERS} browsers at one event a second"
        wanted.append((text, found["watched"]["share"], MOST_SHARE, "% of a core"))
    return wanted


def rest(found: dict[str, Any]) -> str:
    """What is in no table, as sentences."""
    lines = []
    if pages := found["watched"]:
        lines.append(
            f"{pages['browsers']} browsers take {pages['share']:g} % of a core, at "
            f"{pages['events']:g} events a second of {pages['bytes']:,} bytes each; without them "
            f"it is {pages['without']:g} %."
        )
    if loop := found["held"]:
        longest = ", ".join(f"{name} {ms:g} ms" for name, ms in list(loop["steps"].items())[:5])
        lines.append(
            f"With 10,000 runners, a browser and takes, an empty request took {loop['empty']:g} ms "
            f"(median), {loop['empty_99']:g} ms (99 of 100) and {loop['empty_worst']:g} ms at "
            f"worst, a take {loop['take']:g} ms and {loop['take_worst']:g} ms at worst. What held "
            f"the loop longest: {longest or 'nothing for 2 ms'}."
        )
    return "\n\n".join(lines)


def measure(sizes: Sizes, only: Sequence[str], profile: str) -> dict[str, Any]:
    """All that was asked for."""
    found: dict[str, Any] = {"takes": [], "data": [], "watched": {}, "held": {}}
    for name, look in (("takes", takes), ("data", data), ("watched", watched), ("held", held)):
        if name in only:
            found[name] = look(sizes, profile)
            _show({**dict.fromkeys(found, ()), name: found[name]})
    return found


def _show(found: dict[str, Any]) -> None:
    if found["takes"]:
        print(results.table(TAKES_HEAD, [take_cells(row) for row in found["takes"]]), end="\n\n")
    if found["data"]:
        print(results.table(DATA_HEAD, [data_cells(row) for row in found["data"]]), end="\n\n")
    if text := rest(found):
        print(text, end="\n\n")
    sys.stdout.flush()


def main() -> int:
    parser = results.arguments(__doc__ or "")
    names = ("takes", "data", "watched", "held")
    parser.add_argument("--only", choices=names, nargs="+", default=names, help="some of it (all)")
    parser.add_argument("--profile", type=results.new_file, help="cProfile of one scaler in it")
    given = parser.parse_args()
    profile = str(given.profile.resolve()) if given.profile else ""
    with stopping_on_signals():
        try:
            installed()
            found = measure(QUICK if given.quick else Sizes(), given.only, profile)
        except Failed as error:
            print(f"failed: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130
    for text, figure, most, unit in aims(found):
        word = "reached" if figure <= most else "NOT reached"
        print(f"{word}: {text}: {figure:,.4g} of {most:g} {unit}")
    if given.save:
        results.save("monitor", found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
