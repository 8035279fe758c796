"""The policy override: more runners for a while, as many as fit, until they were used. Pure.

What was asked for is added to what the targets give beyond runners that work already. Where that is
more than the rooms hold, counts are lowered, those first that nobody asked for.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from scaler.errors import Refused
from scaler.model.cases import RETIRING_SOON
from scaler.model.evolve import evolve
from scaler.model.lifecycle import supplies
from scaler.model.plan import least_lost
from scaler.model.rooms import Free, Ranking, refusals
from scaler.records import RunnerState

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from scaler.model.row import Row
    from scaler.records import Profile, Room

Place: TypeAlias = tuple[str, str]  # a provisioner, and its name of a room
Size: TypeAlias = frozenset[tuple[str, int]]  # resources of one machine
Stand: TypeAlias = tuple[Place, Size]  # where a machine is, and what it takes

LONGEST = 86400.0  # seconds until it ends, whatever has come of it
MOST = 1_000  # runners that may be asked for, of all profiles together
SINGLY = 500  # machines that are placed one by one; of more, several at a time

_ONLINE = (RunnerState.IDLE, RunnerState.RESERVED, RunnerState.BUSY)


@dataclass(frozen=True, kw_only=True)
class Active:
    """An override, as the ledger keeps it.

    Attributes:
        counts: Runners added for each profile that was asked for.
        targets: Every profile's target while it is active.
        since: When it began, in Unix seconds.
        until: When it ends at the latest, in Unix seconds.
        ends: The same on the core's clock.
        by: Who asked for it.
        first: The id from which on runners were planned since.
        came: By profile, the ids of the first of those that came online, as many as were added.
    """

    counts: Mapping[str, int]
    targets: Mapping[str, int]
    since: float
    until: float
    ends: float
    first: int
    by: str = ""
    came: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """It is over, and why."""

    reason: str


# --- beginning


def begin(
    counts: Mapping[str, int],
    *,
    profiles: Mapping[str, Profile],
    rows: Iterable[Row],
    rooms: Mapping[str, Sequence[Room] | None],
    first: int,
    now: float,
    wall: float,
    by: str = "",
    paused: Collection[str] = (),
) -> Active:
    """What becomes of a wish for so many runners.

    Args:
        counts: What is wanted, by profile.
        profiles: Every profile.
        rows: Every row.
        rooms: The rooms of each provisioner; what has not answered yet is no limit.
        first: The id that the next runner gets.
        now: The core's clock.
        wall: Unix seconds.
        by: Who asks.
        paused: Profiles that take no new runners now, for whatever reason, and have none to spare.

    Raises:
        LookupError: There is no such profile.
        ValueError: There are no counts, or one is negative, or they are too large.
        Refused: `override-idle`: nothing is left to add.
    """
    _check(counts, profiles)
    stock = _Stock(profiles, rows, rooms, now)
    usual = {
        name: max(0 if name in paused else profile.target_count, stock.working[name])
        for name, profile in profiles.items()
    }
    extra = {
        name: max(0, count - (usual[name] - stock.working[name]))
        for name, count in counts.items()
        if name not in paused
    }
    if counts.keys() <= set(paused):
        raise Refused("override-idle", f"takes no new runners now: {', '.join(counts)}")
    if not any(extra.values()):
        raise Refused("override-idle", "the targets give as many already: nothing is left to add")
    scenario = {name: usual[name] + extra.get(name, 0) for name in profiles}
    for group in _neighbours(profiles.values()):
        scenario |= _fitted({name: scenario[name] for name in group}, counts, stock)
    added = {name: max(0, scenario[name] - usual[name]) for name in counts}
    if not any(added.values()):
        raise Refused("override-idle", "no room has a place left for what is asked for")
    return Active(
        counts=added,
        targets={
            # (who works beyond the target is no reason to keep as many afterwards)
            name: scenario[name]
            if name in extra
            else profile.target_count  # once it takes runners again
            if name in paused
            else min(scenario[name], profile.target_count)
            for name, profile in profiles.items()
        },
        since=wall,
        until=wall + LONGEST,
        ends=now + LONGEST,
        first=first,
        by=by,
    )


def _check(counts: Mapping[str, int], profiles: Mapping[str, Profile]) -> None:
    if not counts:
        raise ValueError("found no counts, wanted at least one profile with a count")
    for name, count in counts.items():
        if name not in profiles:
            known = ", ".join(profiles)
            raise LookupError(f"there is no profile {name!r}; there are: {known or 'none'}")
        if not 0 <= count <= MOST:
            raise ValueError(f"{name}: wanted a count from 0 to {MOST}")
    if sum(counts.values()) > MOST:
        raise ValueError(f"found {sum(counts.values())} in all, wanted {MOST} at most")


class _Stock:
    """What there is already, and which rooms it takes."""

    def __init__(
        self,
        profiles: Mapping[str, Profile],
        rows: Iterable[Row],
        rooms: Mapping[str, Sequence[Room] | None],
        now: float,
    ) -> None:
        self.profiles = profiles
        self.working: Counter[str] = Counter()
        spare: dict[str, list[Row]] = {}
        self._places = {
            (provisioner, room.name): Free(provisioner, room)
            for provisioner, answered in rooms.items()
            for room in answered or ()
        }
        self._known = {name for name, answered in rooms.items() if answered is not None}
        self._refused = {name: refusals(answered or ()) for name, answered in rooms.items()}
        for row in rows:
            state, name = row.runner.state, row.runner.profile
            if supplies(row) and name in profiles:
                if state not in (RunnerState.BUSY, RunnerState.RESERVED):
                    spare.setdefault(name, []).append(row)
                    continue
                self.working[name] += 1
            elif state is RunnerState.RETIRING and row.entered > now - RETIRING_SOON:
                continue
            if not row.destroyed:
                _charge(self._places, _stand(row), 1)
        self._spare = {
            name: [_stand(row) for row in least_lost(each)] for name, each in spare.items()
        }

    def fits(self, scenario: Mapping[str, int]) -> bool:
        """Whether every machine that the scenario lacks finds a place."""
        places = {key: _copy(free) for key, free in self._places.items()}
        missing: dict[str, int] = {}
        for name, count in scenario.items():
            spare = self._spare.get(name, [])
            kept = min(len(spare), count - self.working[name])
            for stand, machines in Counter(spare[len(spare) - kept :]).items():
                _charge(places, stand, machines)
            lacks = count - self.working[name] - kept
            if lacks and self._known.issuperset(self.profiles[name].provisioners):
                missing[name] = lacks
        return self._placed(missing, places)

    def _placed(self, missing: dict[str, int], places: Mapping[Place, Free]) -> bool:
        """Whether so many machines find a place, dealt round the profiles."""
        rankings = self._rankings(places, missing)
        sharers = Counter(each.provisioner for name in missing for each in rankings[name])
        at_once = math.ceil(sum(missing.values()) / SINGLY)  # (one by one would take long)
        while missing:
            for name, lacks in list(missing.items()):
                for ranking in rankings[name]:
                    if taken := ranking.take(min(lacks, at_once), sharers[ranking.provisioner]):
                        break
                else:
                    return False
                missing[name] -= taken[1]
                if not missing[name]:
                    del missing[name]
        return True

    def _rankings(
        self, places: Mapping[Place, Free], names: Iterable[str]
    ) -> dict[str, list[Ranking]]:
        """By profile; those of one size that no room treats differently share theirs."""
        rooms: dict[str, list[Free]] = {}
        for (provisioner, _), free in places.items():
            rooms.setdefault(provisioner, []).append(free)
        known: dict[tuple[str, Size, frozenset[str]], Ranking] = {}
        found: dict[str, list[Ranking]] = {}
        for name in names:
            profile = self.profiles[name]
            found[name] = []
            for each in profile.provisioners:
                refused = self._refused.get(each, {}).get(name, frozenset())
                key = (each, frozenset(profile.resources.items()), refused)
                if key not in known:
                    ranking = Ranking(each, rooms.get(each, []), profile.resources)
                    known[key] = ranking.without(refused, ()) if refused else ranking
                found[name].append(known[key])
        return found


def _stand(row: Row) -> Stand:
    runner = row.runner
    return (runner.provisioner, runner.room), frozenset(runner.resources.items())


def _charge(places: Mapping[Place, Free], stand: Stand, machines: int) -> None:
    place = places.get(stand[0])
    if place is not None:
        place.charge(dict(stand[1]), machines)


def _copy(free: Free) -> Free:
    copy = Free(free.provisioner, free.room)
    copy.left, copy.count = free.left.copy(), free.count
    return copy


def _neighbours(profiles: Iterable[Profile]) -> list[list[str]]:
    """The profiles in groups that share rooms: lowering one helps nobody outside of its group."""
    groups: list[tuple[list[str], set[str]]] = []
    for profile in profiles:
        names, provisioners = [profile.name], set(profile.provisioners)
        apart = []
        for group in groups:
            if group[1] & provisioners:
                names, provisioners = group[0] + names, group[1] | provisioners
            else:
                apart.append(group)
        groups = [*apart, (names, provisioners)]
    return [names for names, _ in groups]


def _fitted(
    scenario: Mapping[str, int], asked: Mapping[str, int], stock: _Stock
) -> Mapping[str, int]:
    """The scenario, lowered as far as it must be: those that nobody asked for first."""
    others = {name: count for name, count in scenario.items() if name not in asked}
    named = {name: count for name, count in scenario.items() if name in asked}
    first, then = (sum(each.values()) - _least(each, stock) for each in (others, named))

    def after(steps: int) -> dict[str, int]:
        lowered = {
            **lower(others, stock.working, min(steps, first)),
            **lower(named, stock.working, max(0, steps - first)),
        }
        return {name: lowered[name] for name in scenario}

    # (one by one would take long where very many are asked for)
    return after(bisect_left(range(first + then), True, key=lambda steps: stock.fits(after(steps))))


def _least(counts: Mapping[str, int], stock: _Stock) -> int:
    return sum(min(count, stock.working[name]) for name, count in counts.items())


def lower(counts: Mapping[str, int], floors: Mapping[str, int], steps: int) -> dict[str, int]:
    """Counts after so many steps, at each of which the first of the largest is lowered by one.

    Args:
        floors: What counts are not lowered beneath; 0 where nothing is told.
    """
    floor = {name: min(count, floors.get(name, 0)) for name, count in counts.items()}

    def down_to(level: int) -> dict[str, int]:
        return {name: min(count, max(level, floor[name])) for name, count in counts.items()}

    whole = sum(counts.values())
    levels = range(max(counts.values(), default=0) + 1)
    level = bisect_left(
        levels, True, key=lambda level: whole - sum(down_to(level).values()) <= steps
    )
    lowered = down_to(level)
    left = steps - (whole - sum(lowered.values()))  # fewer than one for each
    for name in [name for name, count in lowered.items() if count == level > floor[name]][:left]:
        lowered[name] -= 1
    return lowered


# --- going on


def step(active: Active, rows: Iterable[Row], now: float) -> Active | Ended:
    """The override after a look at the rows; the same one where nothing of it changed."""
    if now >= active.ends:
        return Ended(f"{LONGEST / 3600:g} hours are over")
    known = {runner_id for ids in active.came.values() for runner_id in ids}
    came = {name: list(active.came.get(name, ())) for name in active.counts}
    living = False
    for row in rows:
        runner = row.runner
        if runner.id not in known:
            ids = came.get(runner.profile)
            if ids is None or runner.id < active.first or not _has_come(row):
                continue
            if len(ids) >= active.counts[runner.profile]:
                continue
            ids.append(runner.id)
        living = living or supplies(row)
    if not living and all(len(came[name]) >= count for name, count in active.counts.items()):
        return Ended("all of its runners have come and gone")
    after = {name: tuple(ids) for name, ids in came.items() if ids}
    return active if after == dict(active.came) else evolve(active, came=after)


def _has_come(row: Row) -> bool:
    """Whether it is online, or was: it had a job."""
    return row.runner.state in _ONLINE or bool(row.runner.job) or row.served


def resumed(active: Active, profiles: Mapping[str, Profile], wall: float) -> Active | Ended:
    """The override that an earlier run left; its end counts also while nothing ran."""
    unknown = [name for name in active.targets if name not in profiles]
    if unknown:
        return Ended(f"{', '.join(unknown)} is not in the settings any more")
    if wall >= active.until:
        return Ended("its time was over before this start")
    return active
