"""The plan: what to make and where, what to retire, every ceiling, and every reason. Pure."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from scaler.model.lifecycle import supplies
from scaler.model.rooms import Free, Ranking, no_room, refusals
from scaler.records import Room, RunnerState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from scaler.model.demand import Demand
    from scaler.model.halt import Halt
    from scaler.model.row import Row
    from scaler.records import Profile

RETIRING_SOON = 30.0  # a runner retiring for longer is stuck: its place is not promised to anyone
LOST_CAUSE = 3  # failures in a row after which nothing is promised while backing off
TURN = 120.0  # seconds until the first turn at what is left goes to the next profile

_WORKING = frozenset({RunnerState.BUSY, RunnerState.RESERVED})

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
        retire: Ids of runners that are surplus.
        wake: When the plan may change by itself, or None.
        why: For each profile under its target, or that may have no runner, what holds it.
    """

    make: tuple[Make, ...] = ()
    retire: tuple[int, ...] = ()
    ceilings: Mapping[str, int] = field(default_factory=dict)
    demand: Mapping[str, int] = field(default_factory=dict)
    targets: Mapping[str, int] = field(default_factory=dict)
    why: Mapping[str, str] = field(default_factory=dict)
    wake: float | None = None


class _Case:
    """One profile while the plan is being made."""

    __slots__ = (
        "busy",
        "demand",
        "granted",
        "held_back",
        "keep",
        "limit",
        "live",
        "most",
        "profile",
        "promised",
        "rooms",
        "spare",
        "target",
        "total",
        "trying",
        "waiting",
    )

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.live = self.busy = self.total = self.promised = self.granted = 0
        self.spare: list[Row] = []
        self.rooms: list[Ranking] = []
        self.held_back = self.trying = ""
        self.limit = profile.max_count
        self.most = 0  # that can be added
        self.demand = self.target = self.keep = self.waiting = 0


def plan(situation: Situation) -> Plan:
    """Decide. The same situation gives the same plan; applying it leaves nothing to do."""
    cases = {name: _Case(profile) for name, profile in situation.profiles.items()}
    rooms = _free_rooms(situation)
    _count(situation, cases, rooms)
    rankings = _Rankings(situation, rooms)
    for name, case in cases.items():
        _aim(situation, name, case, rankings)

    active = [] if situation.stopping else list(cases.values())
    make: list[Make] = []
    make += _deal(active, lambda case: min(case.target, case.demand) - case.live)
    make += _deal(active, lambda case: case.target - case.live)
    _deal(active, lambda case: case.demand + case.waiting - case.live, many=True)
    _deal(_rotated(active, situation.now), lambda case: case.limit, many=True)

    return Plan(
        make=tuple(make) if situation.ids_known else (),
        retire=() if situation.stopping else tuple(_surplus(situation, cases)),
        ceilings={
            # what cannot be made is not promised either
            name: 0
            if situation.stopping or not situation.ids_known
            else min(case.promised + case.granted, _most(case))
            for name, case in cases.items()
        },
        demand={name: case.demand for name, case in cases.items()},
        targets={name: case.target for name, case in cases.items()},
        why=_reasons(situation, cases),
        wake=_wake(situation, cases),
    )


def _rotated(cases: list[_Case], now: float) -> list[_Case]:
    """Whoever gets nothing now has the first turn at what is left soon.

    A profile without any is told of no jobs at all, so it could not even ask.
    """
    start = int(now // TURN) % len(cases) if cases else 0
    return cases[start:] + cases[:start]


def _wake(situation: Situation, cases: Mapping[str, _Case]) -> float | None:
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
    if any(case.promised + case.granted == 0 and case.rooms for case in cases.values()):
        times.append((situation.now // TURN + 1) * TURN)
    return min(times, default=None)


def _most(case: _Case) -> int:
    return max(case.limit, case.busy)


def _free_rooms(situation: Situation) -> dict[str, list[Free]]:
    return {
        provisioner: [Free(provisioner, room) for room in answered]
        for provisioner, answered in situation.rooms.items()
        if answered is not None
    }


def _count(
    situation: Situation, cases: Mapping[str, _Case], rooms: Mapping[str, list[Free]]
) -> None:
    """Charge every row to its room and count it to its profile."""
    by_name = {
        (free.provisioner, free.room.name): free for frees in rooms.values() for free in frees
    }
    gone, retiring, working = RunnerState.GONE, RunnerState.RETIRING, _WORKING
    soon = situation.now - RETIRING_SOON
    for row in situation.rows:
        runner = row.runner
        state = runner.state
        if state is gone:
            continue
        free = by_name.get((runner.provisioner, runner.room))
        if free is not None and not row.destroyed:
            free.charge(runner.resources)
        case = cases.get(runner.profile)
        if case is None:
            continue
        case.total += 1
        if supplies(row):
            case.live += 1
            case.promised += 1
            if state in working:
                case.busy += 1
            else:
                case.spare.append(row)
        elif state is retiring and row.entered > soon and not row.destroyed:
            case.promised += 1  # what is destroyed has given its place back: it is dealt anew


def _aim(situation: Situation, name: str, case: _Case, rankings: _Rankings) -> None:
    """How many there should be, how many are kept, and what holds the profile back as a whole."""
    profile = case.profile
    demand = situation.demand.get(name)
    known = max(situation.committed.get(name, 0), case.busy)
    case.demand = max(known, demand.owed if demand else 0)
    kept = max(case.demand, demand.kept if demand else 0)
    wanted = situation.override.get(name)
    case.limit = max(profile.max_count, wanted or 0)
    case.target = _target(profile, wanted, case.demand)
    case.keep = _target(profile, wanted, kept)
    case.waiting = max(situation.offered.get(name, 0), demand.waiting if demand else 0)
    case.rooms = rankings.of(profile)
    backoff = situation.backoff.get(name)
    if not case.rooms:
        case.held_back = f"the rooms of {', '.join(profile.provisioners)} are not known yet"
    elif backoff is not None and backoff.until > situation.now:
        case.held_back = (
            f"backing off for {backoff.until - situation.now:.0f} s after: {backoff.error}"
        )
        if backoff.failures >= LOST_CAUSE:
            case.rooms = []  # promise nothing; the ceiling comes back when the wait is over
    case.most = case.limit - case.total
    halt = situation.halts.get(name)
    if halt is not None and halt.stopped:
        case.promised = case.live  # what a machine leaves that stopped is for none like it
        if halt.until > situation.now:
            case.held_back, case.rooms = halt.why(situation.now), []
        else:
            case.trying = halt.why(situation.now)
            case.most = min(case.most, 1 - len(case.spare))


def _target(profile: Profile, override: int | None, demand: int) -> int:
    usual = min(profile.max_count, profile.target_count + demand)
    if override is None:
        return usual
    return max(override, usual) if demand else override


class _Rankings:
    """Every provisioner's rooms in the order for each size; profiles of one size share it."""

    def __init__(self, situation: Situation, rooms: Mapping[str, list[Free]]) -> None:
        self._rooms = rooms
        self._known: dict[object, Ranking] = {}
        self._refused = {
            name: refusals(answered or ()) for name, answered in situation.rooms.items()
        }
        self._avoided: dict[tuple[str, str], set[str]] = {}
        for (profile, provisioner, room), until in situation.avoid.items():
            if until > situation.now:
                self._avoided.setdefault((profile, provisioner), set()).add(room)

    def of(self, profile: Profile) -> list[Ranking]:
        return [self._in(each, profile) for each in profile.provisioners if each in self._rooms]

    def _in(self, provisioner: str, profile: Profile) -> Ranking:
        """Rooms that did not fail this profile lately; where every one did, all that take it."""
        avoided = frozenset(self._avoided.get((profile.name, provisioner), ()))
        refused = self._refused[provisioner].get(profile.name, frozenset())
        size = frozenset(profile.resources.items())
        key, plain = (provisioner, size, avoided, refused), (provisioner, size)
        if plain not in self._known:
            rooms = self._rooms[provisioner]
            self._known[plain] = Ranking(provisioner, rooms, profile.resources)
        if not avoided and not refused:
            return self._known[plain]
        if key not in self._known:
            self._known[key] = self._known[plain].without(refused, avoided)
        return self._known[key]


def _deal(cases: list[_Case], goal: Callable[[_Case], int], *, many: bool = False) -> list[Make]:
    """Grant machines round the profiles, until goals are met or nothing fits.

    It is always the turn of who got the fewest. `many`: at one turn more than one is granted where
    there is plenty, since one at a time would take as long as all `max_count` together.
    """
    made: list[Make] = []
    wish = [min(goal(case), case.most) - case.granted for case in cases]
    turn = [(0, index) for index, case in enumerate(cases) if wish[index] > 0 and case.rooms]
    sharers = Counter(each.provisioner for _, index in turn for each in cases[index].rooms)
    while turn:
        given, index = turn[0]
        case = cases[index]
        most = wish[index] - given if many else 1
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
        if given + machines < wish[index]:
            heapq.heapreplace(turn, (given + machines, index))
        else:
            heapq.heappop(turn)
    return made


def _surplus(situation: Situation, cases: Mapping[str, _Case]) -> list[int]:
    retire: list[int] = []
    for name, case in cases.items():
        demand = situation.demand.get(name)
        answered = all(situation.rooms.get(each) is not None for each in case.profile.provisioners)
        if demand is None or not demand.reported or not answered:
            continue
        surplus = case.live - case.keep
        if surplus > 0:
            retire += [row.runner.id for row in least_lost(case.spare)[:surplus]]
    return retire


def least_lost(spare: Iterable[Row]) -> list[Row]:
    """Runners without work in the order in which they are given up."""
    return sorted(spare, key=lambda row: (_SPARE[row.runner.state], -row.runner.id))


def _reasons(situation: Situation, cases: Mapping[str, _Case]) -> dict[str, str]:
    why: dict[str, str] = {}
    for name, case in cases.items():
        if situation.stopping:
            why[name] = "stopping"
        elif case.live < case.target:
            why[name] = _held_by(situation, case)
        elif case.demand > case.live:
            why[name] = f"{_limit(case)}, and {case.demand} jobs need a runner"
        elif case.limit and (case.promised + case.granted == 0 or not situation.ids_known):
            why[name] = _held_by(situation, case)  # it may have none, so no jobs come at all
    return {name: text for name, text in why.items() if text}


def _held_by(situation: Situation, case: _Case) -> str:
    if not situation.ids_known:
        return "with a new ledger, nothing is made until every list was complete once"
    if case.held_back:
        return case.held_back
    missing = max(1, case.target - case.live)
    if case.granted >= missing:
        return ""
    if case.trying:
        return case.trying
    if case.total >= case.limit:
        return f"{_limit(case)}, and {case.total - case.live} runners are not gone yet"
    return no_room(case.profile, case.rooms)


def _limit(case: _Case) -> str:
    if case.limit > case.profile.max_count:
        return f"the override allows {case.limit}"
    return f"max_count is {case.limit}"
