"""Why a profile has fewer runners than it should, and what ends that. Pure."""

from __future__ import annotations

from collections import Counter
from functools import cache, partial
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from scaler.model.orders import told
from scaler.model.rooms import no_room
from scaler.records import RoomState, RunnerState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scaler.model.cases import Case
    from scaler.model.plan import Situation
    from scaler.model.rooms import Free

Idle: TypeAlias = dict[tuple[str, str], Counter[str]]
NOTHING: Counter[str] = Counter()
TOLD = 4  # lists that are named where some are missing


class Why(NamedTuple):
    """What holds a profile, and what ends that; `cure` is empty where only time does.

    `calm`: nobody need act. A person ordered it so; or it has what its jobs need, and gets the
    rest as soon as what works in its rooms has ended.
    """

    text: str
    cure: str = ""
    calm: bool = False


def reasons(situation: Situation, cases: Mapping[str, Case]) -> dict[str, Why]:
    """For each profile under its target, or that may have no runner, what holds it."""
    why: dict[str, Why] = {}
    idle = cache(partial(_idle, situation))
    for name, case in cases.items():
        if situation.stopping:
            why[name] = Why("stopping")
        elif case.shut:
            why[name] = _shut(situation, case, idle)
        elif case.live < case.target:
            why[name] = _held_by(situation, case, idle)
        elif case.demand > case.live:
            limit, cure = _limit(case)
            why[name] = Why(f"{limit}, and {case.demand} jobs need a runner", cure)
        elif case.limit and (case.promised + case.granted == 0 or not situation.ids_known):
            why[name] = _held_by(situation, case, idle)  # it may have none, so no jobs come at all
    return {name: each for name, each in why.items() if each.text}


def _shut(situation: Situation, case: Case, idle: Callable[[], Idle]) -> Why:
    name = case.profile.name
    if (order := situation.paused.get(name)) is not None:
        also = ", and the override adds nothing to it" if name in situation.override else ""
        return Why(f"paused {told(order)}{also}", f"scaler resume {name}")
    if waits := situation.unserved.get(name):
        return Why(f"its source {case.profile.source} does not serve it yet: {waits}")
    if name in situation.unserved:
        return Why("it is new in the settings, and its plugins are just being told of it")
    if case.live < case.target and (held := _held_by(situation, case, idle)).text:
        return held
    text = "the settings do not have it any more"
    if not case.demand:
        return Why(f"{text}: it goes when its runners are gone")
    return Why(
        f"{text}: only the {case.demand} jobs that it owes already are run",
        "do not restart scaler before they are done; to keep it, put"
        f" [profiles.{name}] back and run scaler reload",
    )


def _held_by(situation: Situation, case: Case, idle: Callable[[], Idle]) -> Why:
    name = case.profile.name
    if not situation.ids_known:
        return _unlisted(situation)
    if case.held_back:
        return Why(case.held_back, _cure_of_held(case))
    missing = max(1, case.target - case.live)
    if case.granted >= missing:
        return Why("")
    if case.trying:
        return Why(case.trying, f"{_LOOK} {name}")
    if case.total >= case.limit:
        limit, cure = _limit(case)
        gone = f"{case.total - case.live} runners are not gone yet"
        return Why(f"{limit}, and {gone}", f"wait until they are gone, or {cure}")
    calm = _drained(situation, case) or _only_work_in_the_way(case, idle)
    return Why(no_room(case.profile, case.rooms), _cure_of_rooms(situation, case), calm)


_LOOK = "see what its last runners left, and mend the image or the boot script: scaler why"


def _cure_of_held(case: Case) -> str:
    if case.unknown:
        return (
            f"see that {' and '.join(case.profile.provisioners)} can be asked:"
            " scaler check says what keeps them"
        )
    if case.backing:
        return "mend what this error names; it is tried again by itself"
    return f"{_LOOK} {case.profile.name}"


def _unlisted(situation: Situation) -> Why:
    text = "with a new ledger, nothing is made until every list was complete once"
    if not situation.unlisted:
        return Why(text, "wait for the first lists; scaler check says what keeps them")
    missing = [
        f"{plugin}.{hook} is not complete: {error}"
        for (plugin, hook), error in situation.unlisted.items()
    ]
    plugins = dict.fromkeys(plugin for plugin, _ in situation.unlisted)
    more = [f"and {len(missing) - TOLD} more"] if len(missing) > TOLD else []
    return Why(
        f"{text}; {'; '.join(missing[:TOLD] + more)}",
        f"mend what keeps {' and '.join(plugins)} from listing all there is: scaler check",
    )


def _limit(case: Case) -> tuple[str, str]:
    """What the limit is, and what would raise it."""
    if case.limit > case.profile.max_count:
        return f"the override allows {case.limit}", "end the override and begin a larger one"
    name = case.profile.name
    return f"max_count is {case.limit}", f"raise max_count of [profiles.{name}]"


def _cure_of_rooms(situation: Situation, case: Case) -> str:
    """What would make room: the nearest to hand first."""
    profile = case.profile
    frees = _frees(case)
    drained = [free for free in frees if free.room.state is RoomState.DRAINING]
    for free in drained:
        if (free.provisioner, free.room.name) in situation.drained:
            return f"scaler undrain {_host(situation, free)}"
    if down := [free for free in frees if free.room.state is RoomState.DOWN]:
        return f"see why {_named(down[0])} cannot be reached: scaler check"
    if drained:
        first = drained[0]
        return (
            f"{first.provisioner} says that {_named(first)} is draining:"
            f" scaler why {_host(situation, first)}"
        )
    if any(ranking.refusing for ranking in case.rooms):
        return "wait until what is named here is over: scaler check tells more of it"
    if not frees:
        return f"give {' or '.join(profile.provisioners)} a room in its settings"
    if not any(_large_enough(free, case) for free in frees):
        return f"lower resources of [profiles.{profile.name}], or add a room as large as that"
    return (
        "wait until other runners are gone, add a room, or lower resources of"
        f" [profiles.{profile.name}]"
    )


def _frees(case: Case) -> list[Free]:
    return [free for ranking in case.rooms for free in ranking.rooms]


def _drained(situation: Situation, case: Case) -> bool:
    """Whether nothing but orders to drain rooms keeps it from its runners."""
    frees = _frees(case)
    if any(ranking.refusing for ranking in case.rooms):
        return False
    if any(free.room.state is RoomState.DOWN for free in frees):
        return False
    return any(
        (free.provisioner, free.room.name) in situation.drained and _large_enough(free, case)
        for free in frees
    )


def _only_work_in_the_way(case: Case, idle: Callable[[], Idle]) -> bool:
    """Whether its jobs have their runners, and spares get theirs once others have done their work.

    Where spares of others stand in the way, the targets are more than the rooms hold: that stays.
    """
    if case.demand + case.waiting > case.live:
        return False
    spare, wanted = idle(), case.profile.resources
    for free in _frees(case):
        if free.room.state is RoomState.UP:
            taken = spare.get((free.provisioner, free.room.name), NOTHING)
            total = free.room.total
            if all(
                size - taken.get(kind, 0) >= wanted.get(kind, 0) for kind, size in total.items()
            ):
                return True
    return False


def _idle(situation: Situation) -> Idle:
    """What runners that wait for a job take, by room."""
    found: Idle = {}
    for row in situation.rows:
        runner = row.runner
        if runner.state is RunnerState.IDLE:
            found.setdefault((runner.provisioner, runner.room), Counter()).update(runner.resources)
    return found


def _large_enough(free: Free, case: Case) -> bool:
    total = free.room.total
    return all(wanted <= total.get(kind, wanted) for kind, wanted in case.profile.resources.items())


def _named(free: Free) -> str:
    return free.room.name or free.provisioner


def _host(situation: Situation, free: Free) -> str:
    """What the room is called on the command line: its name, where no other has it."""
    name = free.room.name
    others = [
        plugin
        for plugin, answered in situation.rooms.items()
        if any(room.name == name for room in answered or ())
    ]
    if not name:
        return free.provisioner
    return name if len(others) == 1 else f"{free.provisioner}/{name}"
