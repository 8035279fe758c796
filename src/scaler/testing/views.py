"""Views to render: an empty one, a large one, and one whose every text is hostile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from scaler.records import (
    Event,
    Job,
    Machine,
    Override,
    Profile,
    ProfileView,
    Registration,
    Report,
    Reservation,
    Room,
    Runner,
    RunnerState,
    View,
)

if TYPE_CHECKING:
    from scaler.testing.fakecore import FakeCore

ELEMENT = "hostile"  # of this name there is none in HTML
ATTRIBUTE = "onhostile"
HOSTILE = f'x\' {ATTRIBUTE}=1 "{ATTRIBUTE}="1"><{ELEMENT} {ATTRIBUTE}=1>&lt;\0\u202e\n'
LARGE = 1000  # runners of the large view


def empty(core: FakeCore) -> View:
    """Nothing has happened yet."""
    return _view(core)


def large(core: FakeCore, profiles: Mapping[str, Profile], scaler: str) -> View:
    """A thousand runners, each with its job, on a busy day."""
    return _busy(core, profiles, scaler, LARGE, "")


def hostile(core: FakeCore, profiles: Mapping[str, Profile], scaler: str) -> View:
    """A few runners, and hostile text wherever text can come from outside."""
    return _busy(core, profiles, scaler, 9, HOSTILE)


def _view(core: FakeCore, **more: Any) -> View:
    fields = {name: getattr(core.view(), name) for name in View.__dataclass_fields__}
    return View(**{**fields, "runners": (), "reports": (), **more})


def _busy(
    core: FakeCore, profiles: Mapping[str, Profile], scaler: str, count: int, text: str
) -> View:
    names = [*profiles]
    states = [*RunnerState]
    runners = tuple(
        _runner(number, names[number % len(names)], states[number % len(states)], scaler, text)
        for number in range(1, count + 1)
    )
    jobs = tuple(
        Job(
            id=runner.job,
            state="running",
            profile=runner.profile,
            labels=(f"label{text}",),
            repository=f"acme/web{text}",
            run_id=f"1{text}",
            name=f"build{text}",
            workflow=f"ci{text}",
            event=f"push{text}",
            queued=runner.created,
            runner_name=runner.name,
            declined=text,
            url=f"https://example.com/{text}",
        )
        for runner in runners
    )
    counts = {str(state): 1 for state in states}
    return _view(
        core,
        version=7,
        runners=runners,
        jobs=jobs,
        profiles={
            name: ProfileView(
                profile=profile, demand=1, target=1, ceiling=1, counts=counts, why=f"why{text}"
            )
            for name, profile in profiles.items()
        },
        rooms={"provisioner": (Room(name=f"room{text}", total={"memory": 1 << 30}),)},
        reports=(
            Report(
                plugin="source",
                profile="",
                ok=False,
                text=f"report{text}",
                time=1.0,
                facts={"said": text},
            ),
        ),
        waiting={(job.profile, job.id): f"no room{text}" for job in jobs},
        events=(Event(time=1.0, text=f"event{text}"),),
        override=Override(counts={}, targets={}, since=0.0, until=60.0, by=text),
        builders=(_machine(None, names[0], text),),
    )


def _runner(number: int, profile: str, state: RunnerState, scaler: str, text: str) -> Runner:
    name = f"{profile}.{number}@{scaler}"
    reserved = Reservation(
        unique_id=f"id{text}", qualified_repo=f"acme/web{text}", run_id=f"1{text}", since=1.0
    )
    return Runner(
        id=number,
        name=name,
        profile=profile,
        state=state,
        reason=f"reason{text}",
        created=1.0,
        since=2.0,
        source="source",
        provisioner="provisioner",
        room=f"room{text}",
        registration=Registration(name=name, ref=f"1{text}", online=True),
        machine=_machine(number, profile, text),
        reservation=reserved if state is RunnerState.RESERVED else None,
        job=f"job-{number}{text}",
        failed=state is RunnerState.HELD,
        result=f"failed{text}",
        until=60.0 if state is RunnerState.HELD else None,
    )


def _machine(runner: int | None, profile: str, text: str) -> Machine:
    return Machine(
        runner=runner,
        id=f"machine-{runner}{text}",
        why=f"why{text}",
        room=f"room{text}",
        profile=profile,
        addresses=(f"192.0.2.1{text}",),
        facts={"said": text},
    )
