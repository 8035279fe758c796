"""One profile while a plan is being made: what it has, what it should have, what holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaler.model.lifecycle import supplies
from scaler.model.rooms import Free, Ranking, refusals
from scaler.records import RoomState, RunnerState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler.model.plan import Situation
    from scaler.model.row import Row
    from scaler.records import Profile

RETIRING_SOON = 30.0  # seconds: a runner retiring for longer is stuck, its place nobody's promise
LOST_CAUSE = 3  # failures in a row after which nothing is promised while backing off

_WORKING = frozenset({RunnerState.BUSY, RunnerState.RESERVED})


class Case:
    """One profile while the plan is being made.

    Attributes:
        shut: It is promised nothing: it is paused, the settings have it no more, or not yet.
        cleared: Spare runners that go whatever the target is: of a paused profile, or in a room
            that is being drained.
    """

    __slots__ = (
        *("backing", "busy", "cleared", "demand", "granted", "held_back", "keep", "limit", "live"),
        *("most", "paused", "profile", "promised", "rooms", "shut", "spare", "target", "total"),
        *("trying", "unknown", "waiting"),
    )

    def __init__(self, profile: Profile, situation: Situation) -> None:
        name = profile.name
        self.profile = profile
        self.live = self.busy = self.total = self.promised = self.granted = 0
        self.spare: list[Row] = []
        self.cleared: list[int] = []
        self.rooms: list[Ranking] = []
        self.held_back = self.trying = ""
        self.backing = self.unknown = False
        self.limit = profile.max_count
        self.most = 0  # that can be added
        self.demand = self.target = self.keep = self.waiting = 0
        self.paused = name in situation.paused
        self.shut = self.paused or name in situation.leaving or name in situation.unserved


def free_rooms(situation: Situation) -> dict[str, list[Free]]:
    """What is there to be given, before anything is charged."""
    return {
        provisioner: [Free(provisioner, room) for room in answered]
        for provisioner, answered in situation.rooms.items()
        if answered is not None
    }


def count(situation: Situation, cases: Mapping[str, Case], rooms: Mapping[str, list[Free]]) -> None:
    """Charge every row to its room and count it to its profile."""
    by_name = {
        (free.provisioner, free.room.name): free for frees in rooms.values() for free in frees
    }
    gone, retiring, working = RunnerState.GONE, RunnerState.RETIRING, _WORKING
    draining = _draining(situation, by_name)
    # a plugin's own word counts once the source has reported, a person's at once
    sure = {name for name, demand in situation.demand.items() if demand.reported}
    soon = situation.now - RETIRING_SOON
    for row in situation.rows:
        runner = row.runner
        state = runner.state
        if state is gone:
            continue
        place = (runner.provisioner, runner.room)
        free = by_name.get(place)
        if free is not None and not row.destroyed:
            free.charge(runner.resources)
        case = cases.get(runner.profile)
        if case is None:
            continue
        case.total += 1
        if supplies(row):
            if state in working:
                case.busy += 1
            elif case.paused or (
                place in draining and (place in situation.drained or runner.profile in sure)
            ):
                # (it counts as what it is in a moment: retiring)
                case.cleared.append(runner.id)
                case.promised += place not in draining
                continue
            else:
                case.spare.append(row)
            case.live += 1
            case.promised += 1
        elif state is retiring and row.entered > soon and not row.destroyed:
            # what is destroyed has given its place back: it is dealt anew
            case.promised += place not in draining


def _draining(
    situation: Situation, places: Mapping[tuple[str, str], Free]
) -> frozenset[tuple[str, str]]:
    own = {place for place, free in places.items() if free.room.state is RoomState.DRAINING}
    return frozenset(own | set(situation.drained))


def aim(situation: Situation, name: str, case: Case, rankings: Rankings) -> None:
    """How many there should be, how many are kept, and what holds the profile back as a whole."""
    profile = case.profile
    demand = situation.demand.get(name)
    known = max(situation.committed.get(name, 0), case.busy)
    case.demand = max(known, demand.owed if demand else 0)
    kept = max(case.demand, demand.kept if demand else 0)
    wanted = situation.override.get(name)
    case.waiting = max(situation.offered.get(name, 0), demand.waiting if demand else 0)
    if case.shut:
        _narrow(situation, name, case, kept)
    else:
        case.limit = max(profile.max_count, wanted or 0)
        case.target = _target(profile, wanted, case.demand)
        case.keep = _target(profile, wanted, kept)
    if case.paused or name in situation.unserved:
        return  # nothing is made: no room is looked for
    case.rooms = rankings.of(profile)
    backoff = situation.backoff.get(name)
    if not case.rooms:
        case.held_back = f"the rooms of {', '.join(profile.provisioners)} are not known yet"
        case.unknown = True
    elif backoff is not None and backoff.until > situation.now:
        case.held_back = (
            f"backing off for {backoff.until - situation.now:.0f} s after: {backoff.error}"
        )
        case.backing = True
        if backoff.failures >= LOST_CAUSE:
            case.rooms = []  # promise nothing; the ceiling comes back when the wait is over
    case.most = case.limit - case.total
    halt = situation.halts.get(name)
    if halt is not None and halt.stopped:
        case.promised = case.live  # what a machine leaves that stopped is for none like it
        if halt.until > situation.now:
            case.held_back, case.rooms = halt.why(situation.now), []
            case.backing = False
        else:
            case.trying = halt.why(situation.now)
            case.most = min(case.most, 1 - len(case.spare))


def _narrow(situation: Situation, name: str, case: Case, kept: int) -> None:
    """Of a profile that is promised nothing: what it still works for."""
    if case.paused:
        return
    if (owed := situation.leaving.get(name)) is not None:
        # what was assigned before it went is done; what comes now is not for it
        case.demand = max(case.busy, min(case.demand, owed))
        case.target = case.keep = min(case.limit, case.demand)
    else:
        case.target = _target(case.profile, None, case.demand)
        case.keep = _target(case.profile, None, kept)


def _target(profile: Profile, override: int | None, demand: int) -> int:
    usual = min(profile.max_count, profile.target_count + demand)
    if override is None:
        return usual
    return max(override, usual) if demand else override


class Rankings:
    """Every provisioner's rooms in the order for each size; profiles of one size share it."""

    def __init__(self, situation: Situation, rooms: Mapping[str, list[Free]]) -> None:
        self._rooms = rooms
        self._untold = situation.untold
        self._known: dict[object, Ranking] = {}
        self._refused = {
            name: refusals(answered or ()) for name, answered in situation.rooms.items()
        }
        self._avoided: dict[tuple[str, str], set[str]] = {}
        for (profile, provisioner, room), until in situation.avoid.items():
            if until > situation.now:
                self._avoided.setdefault((profile, provisioner), set()).add(room)

    def of(self, profile: Profile) -> list[Ranking]:
        """The rooms of its provisioners that can be asked, those first that it names first."""
        return [
            self._in(each, profile)
            for each in profile.provisioners
            if each in self._rooms and (each, profile.name) not in self._untold
        ]

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
