"""The plan: what to make and where, what to retire, every ceiling, and every reason. Pure."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from scaler.model.cases import Case, Rankings, aim, count, free_rooms
from scaler.model.reasons import reasons
from scaler.records import RunnerState

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from scaler.model.demand import Demand
    from scaler.model.halt import Halt
    from scaler.model.row import Row
    from scaler.records import Order, Profile, Room

TURN = 120.0  # seconds until the first turn at what is left goes to the next profile

# Least is lost by retiring the runner that has come the shortest way.
_SPARE = {
    RunnerState.PLANNED: 0,
    RunnerState.REGISTERED: 1,
    RunnerState.BOOTING: 2,
    RunnerState.IDLE: 3,
}


@dataclass(frozen=True)
class Backoff:
    """Nothing is made for a profile until `until`, after `failures` failures in a row.

    `at` is when the last of them was counted.
    """

    failures: int
    until: float
    error: str
    at: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Situation:
    """Everything that the plan depends on.

    Attributes:
        rows: Every row that is not gone.
        committed: Jobs known as assigned or running, by profile.
        offered: Jobs that may be acquired, by profile.
        rooms: The rooms of each provisioner; None where it has not answered since the start.
        halts: Machines that stopped without a job, by profile.
        avoid: Until when a room is avoided for a profile, after a machine could not be made there;
            keyed by (profile, provisioner, room).
        override: Targets that stand in for `target_count` for a while, by profile; they may exceed
            `max_count`. Empty where there is none.
        paused: Profiles that start no job, and who told so.
        leaving: Profiles that the settings have no more, and how many jobs each still owes.
        unserved: Profiles that are new in the settings: whom their source waits for before it
            serves them, or empty while their plugins are just being told.
        untold: Provisioners that do not know yet that a profile is theirs, too: by plugin and
            profile.
        drained: The rooms that a person told to be drained, by provisioner and name; among `rooms`
            they are draining already.
        unlisted: Whose list was not complete when it was last asked for, and why; by plugin and
            hook.
        ids_known: Whether new ids can be given out.
    """

    profiles: Mapping[str, Profile]
    rows: Iterable[Row]
    demand: Mapping[str, Demand]
    committed: Mapping[str, int]
    offered: Mapping[str, int]
    rooms: Mapping[str, Sequence[Room] | None]
    backoff: Mapping[str, Backoff]
    now: float
    halts: Mapping[str, Halt] = field(default_factory=dict)
    avoid: Mapping[tuple[str, str, str], float] = field(default_factory=dict)
    override: Mapping[str, int] = field(default_factory=dict)
    paused: Mapping[str, Order] = field(default_factory=dict)
    leaving: Mapping[str, int] = field(default_factory=dict)
    unserved: Mapping[str, str] = field(default_factory=dict)
    untold: Collection[tuple[str, str]] = frozenset()
    drained: Collection[tuple[str, str]] = frozenset()
    unlisted: Mapping[tuple[str, str], str] = field(default_factory=dict)
    ids_known: bool = True
    stopping: bool = False


class Make(NamedTuple):
    """Make one runner here."""

    profile: str
    provisioner: str
    room: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to do now, and why no more than that.

    Attributes:
        retire: Ids of runners that are surplus, or stand where they shall not.
        wake: When the plan may change by itself, or None.
        why: For each profile under its target, or that may have no runner, what holds it.
        cures: What ends that, where something can be done.
        calm: Those of them for which nobody need act; see `reasons.Why`.
        short: Whether more runners are wanted somewhere than can be made.
    """

    make: tuple[Make, ...] = ()
    retire: tuple[int, ...] = ()
    ceilings: Mapping[str, int] = field(default_factory=dict)
    demand: Mapping[str, int] = field(default_factory=dict)
    targets: Mapping[str, int] = field(default_factory=dict)
    why: Mapping[str, str] = field(default_factory=dict)
    cures: Mapping[str, str] = field(default_factory=dict)
    calm: frozenset[str] = frozenset()
    short: bool = False
    wake: float | None = None


def plan(situation: Situation) -> Plan:
    """Decide. The same situation gives the same plan; applying it leaves nothing to do."""
    cases = {name: Case(profile, situation) for name, profile in situation.profiles.items()}
    rooms = free_rooms(situation)
    count(situation, cases, rooms)
    rankings = Rankings(situation, rooms)
    for name, case in cases.items():
        aim(situation, name, case, rankings)

    active = [] if situation.stopping else list(cases.values())
    make: list[Make] = []
    make += _deal(active, lambda case: min(case.target, case.demand) - case.live)
    make += _deal(active, lambda case: case.target - case.live)
    promised = [case for case in active if not case.shut]
    _deal(promised, lambda case: case.demand + case.waiting - case.live, many=True)
    _deal(_rotated(promised, situation.now), lambda case: case.limit, many=True)
    why = reasons(situation, cases)

    return Plan(
        make=tuple(make) if situation.ids_known else (),
        retire=() if situation.stopping else tuple(_surplus(situation, cases)),
        ceilings={name: _ceiling(situation, case) for name, case in cases.items()},
        demand={name: case.demand for name, case in cases.items()},
        targets={name: case.target for name, case in cases.items()},
        why={name: each.text for name, each in why.items()},
        cures={name: each.cure for name, each in why.items() if each.cure},
        calm=frozenset(name for name, each in why.items() if each.calm),
        short=any(not cases[name].shut for name in why),
        wake=_wake(situation, cases),
    )


def _rotated(cases: list[Case], now: float) -> list[Case]:
    """Whoever gets nothing now has the first turn at what is left soon.

    A profile without any is told of no jobs at all, so it could not even ask.
    """
    start = int(now // TURN) % len(cases) if cases else 0
    return cases[start:] + cases[:start]


def _wake(situation: Situation, cases: Mapping[str, Case]) -> float | None:
    times = [
        backoff.until
        for name, backoff in situation.backoff.items()
        if name in cases and backoff.until > situation.now
    ]
    times += [
        halt.until
        for name, halt in situation.halts.items()
        if name in cases and halt.until > situation.now
    ]
    times += [until for until in situation.avoid.values() if until > situation.now]
    if any(
        case.promised + case.granted == 0 and case.rooms and not case.shut
        for case in cases.values()
    ):
        times.append((situation.now // TURN + 1) * TURN)
    return min(times, default=None)


def _ceiling(situation: Situation, case: Case) -> int:
    # what cannot be made is not promised either; who is shut still gets runners for what is owed
    if situation.stopping or not situation.ids_known or case.shut:
        return 0
    return min(case.promised + case.granted, max(case.limit, case.busy))


def _deal(cases: list[Case], goal: Callable[[Case], int], *, many: bool = False) -> list[Make]:
    """Grant machines round the profiles, until goals are met or nothing fits.

    It is always the turn of who has the fewest, so that of a full room each place that comes free
    does not go to the first who could use it. `many`: at one turn more than one is granted where
    there is plenty, since one at a time would take as long as all `max_count` together.
    """
    made: list[Make] = []
    had = [case.live + case.granted for case in cases]
    wish = [case.live + min(goal(case), case.most) for case in cases]
    turn = [(had[i], i) for i, case in enumerate(cases) if wish[i] > had[i] and case.rooms]
    heapq.heapify(turn)
    sharers = Counter(each.provisioner for _, index in turn for each in cases[index].rooms)
    while turn:
        has, index = turn[0]
        case = cases[index]
        most = wish[index] - has if many else 1
        for ranking in case.rooms:
            if taken := ranking.take(most, sharers[ranking.provisioner]):
                break
        else:
            heapq.heappop(turn)
            continue
        free, machines = taken
        case.granted += machines
        if not many and not case.held_back:
            made.append(Make(case.profile.name, free.provisioner, free.room.name))
        if has + machines < wish[index]:
            heapq.heapreplace(turn, (has + machines, index))
        else:
            heapq.heappop(turn)
    return made


def _surplus(situation: Situation, cases: Mapping[str, Case]) -> list[int]:
    retire: list[int] = []
    for name, case in cases.items():
        retire += case.cleared
        demand = situation.demand.get(name)
        answered = all(situation.rooms.get(each) is not None for each in case.profile.provisioners)
        # (who leaves owes what it owed when it went, whatever is not known now)
        if name not in situation.leaving and (
            demand is None or not demand.reported or not answered
        ):
            continue
        surplus = case.live - case.keep
        if surplus > 0:
            retire += [row.runner.id for row in least_lost(case.spare)[:surplus]]
    return retire


def least_lost(spare: Iterable[Row]) -> list[Row]:
    """Runners without work in the order in which they are given up."""
    return sorted(spare, key=lambda row: (_SPARE[row.runner.state], -row.runner.id))
