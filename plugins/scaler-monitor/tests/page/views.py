"""Views that differ in little."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from scaler import Job, Profile, ProfileView, Report, View
from scaler_monitor.page.dashboard import around, listed

NOW = 100_000.0
WELL = View(
    version=1,
    time=NOW,
    scaler="here",
    stopping=False,
    profiles={},
    jobs=(),
    runners=(),
    rooms={},
    reports=(Report(plugin="queue", profile="", ok=True, text="polled", time=NOW),),
    waiting={},
    events=(),
)


def profile(name: str = "linux", why: str = "", target: int = 3, **counts: int) -> ProfileView:
    made = Profile(name=name, source="queue")
    return ProfileView(
        profile=made, demand=0, target=target, ceiling=3, counts=counts or {"idle": 3}, why=why
    )


def job(number: int, age: float | None, name: str = "linux") -> Job:
    queued = None if age is None else NOW - age
    return Job(id=f"j{number}", state="assigned", profile=name, queued=queued)


def view(*profiles: ProfileView, jobs: tuple[Job, ...] = (), **more: Any) -> View:
    named = {each.profile.name: each for each in profiles or (profile(),)}
    reasons = {
        (each.profile, each.id): named[each.profile].why or "linux.1@here is booting"
        for each in jobs
    }
    return replace(WELL, profiles=named, jobs=jobs, **{"waiting": reasons, **more})


def dashboard(view: View, *, base: str = "/") -> dict[str, Any]:
    """What `/dashboard.json` has."""
    return around(view, [listed(view, each, base) for each in view.runners], base=base)
