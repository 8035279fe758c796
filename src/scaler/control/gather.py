"""What is told besides the view, taken off the engine in one moment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from scaler import __version__
from scaler.telling import Ended, Extras, Source, Story, Waits, runner_of
from scaler.telling.remains import REASON, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from scaler.engine import Engine
    from scaler.records import Kept, View
    from scaler.reload import Reloaded


def gather(engine: Engine, folder: Path, started: float, last: Reloaded | None) -> dict[str, Any]:
    """What `Extras` needs for a status.

    Args:
        engine: What runs.
        folder: `state_dir`.
        started: When it started.
        last: What became of the last reload.
    """
    state = engine.state
    wall, now = state.clock.wall(), state.clock.now()

    def at(moment: float) -> float:
        return wall + moment - now

    waits = {}
    for name, backoff in state.backoffs.profiles.items():
        halt = state.backoffs.halts.get(name)
        stopped = halt.why(now) if halt is not None and halt.stopped else ""
        until = max(backoff.until, halt.until if halt is not None else backoff.until)
        waits[name] = Waits(
            failures=backoff.failures, error=backoff.error, until=at(until), stopped=stopped
        )
    return {
        "now": wall,
        "version": __version__,
        "pid": os.getpid(),
        "started": started,
        "evidence": str(folder / "evidence"),
        "reload": None if last is None else _told(last),
        "heard": {
            (profile, job_id): at(known.heard)
            for profile, jobs in state.jobs.items()
            for job_id, known in jobs.items()
        },
        "sources": {
            name: Source(
                owed=demand.owed,
                waiting=demand.waiting,
                reported=demand.reported,
                at=at(demand.at) if demand.at else None,
            )
            for name, demand in state.demand.items()
        },
        "waits": waits,
        "retries": {number: at(when) for number, when in engine.steps.retry_at.items()},
        "errors": dict(engine.steps.troubles),
        "unwritten": tuple(f"{kind} {name}" for kind, name in engine.orders.unwritten),
        "builders": tuple((plugin, each) for (plugin, _), each in state.builders.items()),
    }


async def closely(engine: Engine, view: View, about: str, facts: Mapping[str, Any]) -> Extras:
    """What is known besides of the one thing that is asked about."""
    subjects: list[int | str] = [about] if about in view.profiles else []
    stories: dict[int, Story] = {}
    ended: dict[int, Ended] = {}
    number = runner_of(about, view)
    if number is not None:
        subjects.append(number)
        if number in engine.state.rows:
            story = engine.state.stories.of(number)
            stories[number] = Story(steps=tuple(story.steps), events=tuple(story.events))
        elif number in engine.state.gone or engine.kept(number):
            ended[number] = Ended(id=number, reason=await _reason(engine, number))
    kept: dict[int | str, tuple[Kept, ...]] = {each: engine.kept(each) for each in subjects}
    return Extras(**facts, stories=stories, ended=ended, kept=kept)


async def _reason(engine: Engine, number: int) -> str:
    """What was kept of why it ended."""
    if not any(each.name == REASON for each in engine.kept(number)):
        return ""
    data = await engine.read_kept(number, REASON)
    return text_of(data or b"")


def _told(last: Reloaded) -> dict[str, Any]:
    return {"time": last.time, "ok": last.ok, "problems": list(last.problems)}
