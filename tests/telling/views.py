"""Views to be told of."""

from __future__ import annotations

from typing import Any

from scaler.records import (
    Job,
    Machine,
    Order,
    Profile,
    ProfileView,
    Registration,
    Report,
    Room,
    RoomState,
    Runner,
    RunnerState,
    View,
)
from scaler.telling import Extras

NOW = 1_700_000_000.0  # 2023-11-14 22:13:20 UTC


def profile(name: str = "linux", **more: Any) -> ProfileView:
    counts = more.pop("counts", {})
    known = Profile(
        name=name,
        labels=("gpu",),
        target_count=more.pop("target_count", 0),
        max_count=more.pop("max_count", 4),
        source="queue",
        provisioners=("vm",),
    )
    values = {"demand": 0, "target": 0, "ceiling": 4, "counts": counts, **more}
    return ProfileView(profile=known, **values)


def runner(number: int, state: RunnerState = RunnerState.IDLE, **more: Any) -> Runner:
    values: dict[str, Any] = {
        "name": f"linux.{number}@host",
        "profile": "linux",
        "since": NOW - 60,
        "created": NOW - 120,
        "source": "queue",
        "provisioner": "vm",
        "room": "a",
        "resources": {"memory": 2},
        **more,
    }
    return Runner(id=number, state=state, **values)


def job(number: int, state: Any = "assigned", **more: Any) -> Job:
    return Job(id=f"j{number}", state=state, **{"profile": "linux", **more})


def paused(name: str = "linux", by: str = "root") -> Order:
    return Order(kind="pause", name=name, since=NOW - 600, by=by)


def drained(name: str = "vm/a", by: str = "root") -> Order:
    return Order(kind="drain", name=name, since=NOW - 600, by=by)


def view(*profiles: ProfileView, **more: Any) -> View:
    values: dict[str, Any] = {
        "version": 1,
        "time": NOW,
        "scaler": "host",
        "stopping": False,
        "profiles": {each.profile.name: each for each in profiles or (profile(),)},
        "jobs": (),
        "runners": (),
        "rooms": {"vm": (Room(name="a", total={"memory": 8}, state=RoomState.UP),)},
        "reports": (),
        "waiting": {},
        "events": (),
        **more,
    }
    return View(**values)


def waiting(
    *jobs: Job, why: str = "max_count is 4", cure: str = "raise max_count"
) -> dict[str, Any]:
    keys = [(each.profile, each.id) for each in jobs]
    return {"jobs": jobs, "waiting": dict.fromkeys(keys, why), "cures": dict.fromkeys(keys, cure)}


def report(text: str = "the token is refused", **more: Any) -> Report:
    values: dict[str, Any] = {"plugin": "queue", "profile": "", "ok": False, "time": NOW, **more}
    return Report(text=text, **values)


def extras(**more: Any) -> Extras:
    return Extras(**{"now": NOW, "version": "1", "pid": 7, "started": NOW - 3600, **more})


MACHINE = Machine(runner=7, id="vm-7", room="a", addresses=("192.0.2.7",), state="running")
REGISTRATION = Registration(name="linux.7@host", online=True, busy=False)
