"""What is asked of GitHub for a job, and while there is none.

    python benchmarks/requests.py

Requests by where they go (the REST API, the Actions service, the message queue) and by what they
are for: for jobs that come one at a time, for many at once, for runners that are registered by REST
and for those that are reserved; and an hour's, while nothing happens. A scaler, its plugins and the
simulator of GitHub are in this process, machines are only remembered. Lists, which are asked for
from time to time and not for a job, are counted apart.
"""

from __future__ import annotations

import logging
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import trio
from bench import results
from bench.inside import LABEL, PROFILE, QUEUE, REST, Place, place
from bench.processes import Failed, installed

from scaler import Reservation, Runner, Selection
from scaler_github.testing import Exchange, Simulator

WORK = 0.05  # seconds of a job
LINGER = 3.0  # seconds that GitHub keeps a registration after its job, in one row
MOST_REST, MOST_ON_PATH, POLLS_AN_HOUR = 5, 3, 72
# What select-runner will ask about the artifact that proves whose job it is: not there yet
TO_COME = 2
BASES = ("REST API", "Actions service", "message queue")
#: What a route is for. Those that are not here are shown by their own names.
WORDS = {
    "rest-jitconfig": "register",
    "rest-add-labels": "label",
    "rest-runner": "look",
    "rest-runners by name": "look up",
    "rest-delete-runner": "remove",
    "jitconfig": "register",
    "get-agent": "look",
    "list-agents by name": "look up",
    "delete-agent": "remove",
    "delete-message": "delete message",
    "acquirable": "acquirable jobs",
    "get-scale-set": "look at the scale set",
}
LISTS = ("rest-runners", "list-agents")
ORDER = ("acquire", "register", "label", "look", "look up", "remove", "poll", "delete message")
HEAD = ["jobs", "how many", *BASES, "**requests a job**", "while someone waits", "lists beside"]
IDLE_HEAD = ["without jobs", "polls an hour", "lists an hour", "others an hour"]


@dataclass(frozen=True)
class Sizes:
    """How much is done; times in seconds.

    Attributes:
        single: Jobs that come one at a time.
        burst: Jobs that come at once.
        idle: How long nothing happens.
        hold: How long GitHub holds a poll without news.
    """

    single: int = 20
    burst: int = 100
    idle: float = 120.0
    hold: float = 50.0


QUICK = Sizes(single=3, burst=10, idle=7.0, hold=2.0)


@dataclass
class Row:
    """What was asked for some jobs.

    Attributes:
        asked: How often, by base and by route.
        path: How many of those someone waited for.
        lists: How many lists were asked for meanwhile; they are not in `asked`.
    """

    what: str
    jobs: int
    asked: dict[str, dict[str, int]] = field(default_factory=dict)
    path: int = 0
    lists: int = 0
    reserved: bool = False


@dataclass
class Idle:
    """What was asked in a while, as requests an hour.

    Attributes:
        hold: Seconds that a poll was held.
        asked: By base and by route.
    """

    what: str
    hold: float
    asked: dict[str, dict[str, float]]


# Counting


def counted(simulator: Simulator, since: int) -> dict[str, dict[str, list[float]]]:
    """When each route was asked after a request's number, by base."""
    found: dict[str, dict[str, list[float]]] = {base: {} for base in BASES}
    for one in simulator.history.exchanges:
        if one.number > since:
            found[_base(simulator, one)].setdefault(_route(one), []).append(one.at)
    return found


def _base(simulator: Simulator, one: Exchange) -> str:
    for base, url in zip(BASES, (simulator.rest_url, simulator.service_url), strict=False):
        if one.path.startswith(f"{urlsplit(url).path.rstrip('/')}/"):
            return base
    return BASES[-1]


def _route(one: Exchange) -> str:
    named = {"name", "agentName"} & one.query.keys()
    return f"{one.route} by name" if one.route in LISTS and named else one.route


def row(here: Place, since: int, what: str, jobs: int, **more: Any) -> Row:
    """What was asked since then."""
    found = Row(what, jobs, **more)
    for base, routes in counted(here.simulator, since).items():
        asked = {name: len(times) for name, times in routes.items()}
        found.lists += sum(asked.pop(name, 0) for name in LISTS)
        found.asked[base] = asked
    return found


def hourly(times: Sequence[float], seconds: float) -> float:
    """How often an hour: by the time between them, so that where it began does not count."""
    if len(times) < 2:
        return len(times) * 3600 / seconds
    return (len(times) - 1) * 3600 / (times[-1] - times[0])


# Jobs


async def single(jobs: int, flow: str, *, acquirable: bool = False) -> Row:
    """One job after another, from the queue."""
    async with place(flow=flow, acquirable=acquirable) as here:
        await here.polling()
        since = here.last
        for _ in range(jobs):
            here.simulator.queue_jobs(PROFILE, 1, run_time=WORK)
            await here.until(here.is_clean, "nothing is left of a job")
        await here.quiet()
        what = f"one at a time, {flow}{', with acquirable-jobs' if acquirable else ''}"
        return row(here, since, what, jobs)


async def burst(jobs: int, flow: str) -> Row:
    """All jobs at once, from the queue."""
    async with place(flow=flow, most=jobs) as here:
        await here.polling()
        since = here.last
        here.simulator.queue_jobs(PROFILE, jobs, run_time=WORK)
        await here.until(here.is_clean, "nothing is left of the jobs")
        await here.quiet()
        return row(here, since, f"{jobs} at once, {flow}", jobs)


async def by_rest(jobs: int, *, reserved: bool, linger: float = 0.0) -> Row:
    """One job after another, on runners that were registered by REST."""
    what = "by REST, reserved, one at a time" if reserved else "by REST, one at a time"
    if linger:
        what += f", registered for {linger:g} s more"
    async with place(source=REST, target=1, vanish_delay=linger) as here:
        await here.until(here.ready, "a runner is online")
        await here.quiet()
        since, path = here.last, 0
        for number in range(jobs):
            runner = here.ready()[0]
            label, mark = LABEL, here.last
            if reserved:
                label = await reserve(here, runner, f"{number}")
                asked = row(here, mark, "", 1).asked
                path += sum(sum(routes.values()) for routes in asked.values())
            here.simulator.queue_jobs(labels=[label], run_time=WORK)
            await here.until(partial(_replaced, here, runner), "another runner is online")
        await here.quiet()
        return row(here, since, what, jobs, path=path, reserved=reserved)


def _replaced(here: Place, runner: Runner) -> bool:
    known = {each.name for each in here.running.view().runners}
    return runner.name not in known and bool(here.ready())


async def reserve(here: Place, runner: Runner, unique: str) -> str:
    """Reserve a runner; the label by which a job asks for it."""
    repository = "acme/widgets"
    reservation = Reservation(
        unique_id=unique, qualified_repo=repository, run_id="1", since=time.time()
    )
    taken = await here.running._engine.take(Selection(profile=runner.profile), reservation, 60.0)
    assert [each.name for each in taken] == [runner.name]
    return f"reserved-for:{unique}"


async def idle(sizes: Sizes, what: str, *, source: str = QUEUE, acquirable: bool = False) -> Idle:
    """Nothing happens."""
    warm = int(source == REST)
    async with place(
        source=source, target=warm, acquirable=acquirable, poll_seconds=sizes.hold
    ) as here:
        if warm:
            await here.until(here.ready, "a runner is online")
            await here.quiet()
            since = here.last
        else:
            await here.until(lambda: here.simulator.count("poll"), "the first poll")
            since = here.simulator.history.of("poll")[0].number - 1
        await trio.sleep(sizes.idle)
        asked = {
            base: {name: hourly(times, sizes.idle) for name, times in routes.items()}
            for base, routes in counted(here.simulator, since).items()
        }
        return Idle(what, sizes.hold, asked)


async def measure(sizes: Sizes) -> dict[str, Any]:
    """All figures; at once, since nothing is timed."""
    some = sizes.single
    rows: list[Callable[[], Awaitable[Row]]] = [
        partial(single, some, "assigned"),
        partial(single, some, "offered"),
        partial(single, some, "offered", acquirable=True),
        partial(burst, sizes.burst, "assigned"),
        partial(burst, sizes.burst, "offered"),
        partial(by_rest, some, reserved=False),
        partial(by_rest, some, reserved=True),
    ]
    if few := some // 5:
        rows.append(partial(by_rest, few, reserved=True, linger=LINGER))
    idles: list[Callable[[], Awaitable[Idle]]] = [
        partial(idle, sizes, "one profile from the queue"),
        partial(idle, sizes, "the same with acquirable-jobs", acquirable=True),
        partial(idle, sizes, "one runner registered by REST", source=REST),
    ]
    found: dict[int, Any] = {}

    async def find(number: int, one: Callable[[], Awaitable[Any]]) -> None:
        found[number] = asdict(await one())

    async with trio.open_nursery() as nursery:
        for number, one in enumerate((*rows, *idles)):
            nursery.start_soon(find, number, one)
    ordered = [found[number] for number in sorted(found)]
    return {"rows": ordered[: len(rows)], "idle": ordered[len(rows) :]}


# Showing


def cells(one: dict[str, Any]) -> list[str]:
    """A row of the table, in the order of HEAD."""
    jobs, asked = one["jobs"], one["asked"]
    whole = sum(sum(routes.values()) for routes in asked.values())
    path = _number(one["path"] / jobs) if one["reserved"] else ""
    shown = [_listed((name, n / jobs) for name, n in asked[base].items()) for base in BASES]
    return [one["what"], str(jobs), *shown, f"**{_number(whole / jobs)}**", path, str(one["lists"])]


def idle_cells(one: dict[str, Any]) -> list[str]:
    """A row of the table of what is asked without jobs, in the order of IDLE_HEAD."""
    every = {name: n for routes in one["asked"].values() for name, n in routes.items()}
    lists = sum(every.pop(name, 0.0) for name in LISTS)
    polls = every.pop("poll", 0.0)
    shown = f"{polls:.1f}" if polls else "no queue"
    return [one["what"], shown, f"{lists:.1f}", _listed(every.items(), 1) or "none"]


def aims(found: dict[str, Any]) -> list[tuple[str, float, float, str]]:
    """What is aimed at: text, figure, the most, unit. Of jobs."""
    wanted: list[tuple[str, float, float, str]] = []
    for one in found["rows"]:
        if one["reserved"]:
            calls = sum(one["asked"][BASES[0]].values()) / one["jobs"] + TO_COME
            text = f"{one['what']}, REST and the {TO_COME} to come"
            wanted.append((text, calls, MOST_REST, "a job"))
            path = one["path"] / one["jobs"] + TO_COME
            text = f"{one['what']}, while someone waits and the {TO_COME} to come"
            wanted.append((text, path, MOST_ON_PATH, "a job"))
    return wanted


def idle_aims(found: dict[str, Any]) -> list[tuple[str, float, float, str]]:
    """What is aimed at: text, figure, the most, unit. Of the time without jobs."""
    return [
        (f"polls, {one['what']}", round(one["asked"][BASES[2]]["poll"], 1),
         POLLS_AN_HOUR * Sizes.hold / one["hold"], "an hour")
        for one in found["idle"]
        if "poll" in one["asked"][BASES[2]]
    ]  # fmt: skip


def _listed(asked: Iterable[tuple[str, float]], digits: int = 2) -> str:
    words = dict.fromkeys(ORDER, 0.0)
    for name, count in asked:
        word = WORDS.get(name, name)
        words[word] = words.get(word, 0.0) + count
    return ", ".join(f"{word} {_number(n, digits)}" for word, n in words.items() if n)


def _number(value: float, digits: int = 2) -> str:
    return f"{round(value, digits):g}"


async def _until_told(sizes: Sizes) -> dict[str, Any] | None:
    """The figures, or None after a signal: nothing is left of what was started."""
    found: dict[str, Any] | None = None
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:

            async def leave() -> None:
                async for _ in signals:
                    nursery.cancel_scope.cancel()

            nursery.start_soon(leave)
            found = await measure(sizes)
            nursery.cancel_scope.cancel()
    return found


def main() -> int:
    given = results.arguments(__doc__ or "").parse_args()
    logging.disable(logging.WARNING)  # the simulator's token may do more than it needs, and so on
    code, found = 130, None
    try:
        installed()
        found = trio.run(_until_told, QUICK if given.quick else Sizes())
    except* Failed as group:
        code = 1
        print(f"failed: {_first(group)}", file=sys.stderr)
    if found is None:
        return code
    print(results.table(HEAD, [cells(one) for one in found["rows"]]), end="\n\n")
    print(results.table(IDLE_HEAD, [idle_cells(one) for one in found["idle"]]))
    if given.save:
        results.save("requests", found)
    return 0


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


if __name__ == "__main__":
    sys.exit(main())
