"""What the core itself keeps of a runner, before its machine is destroyed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import trio

from scaler.engine.evidence import SCREEN
from scaler.engine.story import LONGEST
from scaler.errors import Unavailable
from scaler.evidence.index import ITEM, STORY
from scaler.log import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from scaler.engine.evidence import Evidence
    from scaler.engine.pictures import Pictures
    from scaler.engine.state import State
    from scaler.model.row import Row
    from scaler.records import Event, Job, Machine

PATIENCE = 5.0  # seconds that a machine's end may be held up by all of this
EXPOSURE = 3.0  # of them for a picture
AT_ONCE = 4  # pictures of machines that are about to be destroyed; in a rush the last one will do


class Endings:
    """Keeps why it failed, what happened to it, and what was on its screen.

    Args:
        state: The world.
        evidence: Where it is kept.
        pictures: Who takes pictures.
        hide: Puts `***` in place of the settings' secrets.
    """

    def __init__(
        self, state: State, evidence: Evidence, pictures: Pictures, hide: Callable[[str], str]
    ) -> None:
        self._state = state
        self._evidence = evidence
        self._pictures = pictures
        self._hide = hide
        self._exposing = trio.CapacityLimiter(AT_ONCE)
        self._kept: set[int] = set()

    async def keep(self, row: Row) -> None:
        """Keep what there is, once for each runner, within 5 s; of one that went well, its story.

        Of one that was never registered there is nothing to keep: no machine was asked for.
        """
        runner = row.runner
        asked = runner.registration is not None
        if not (asked and self._evidence.keeps) or runner.id in self._kept:
            return
        if not runner.failed:
            self._evidence.story(runner.id, self._text(self._events(row)))
            return
        self._kept &= self._state.rows.keys()
        self._kept.add(runner.id)
        with trio.move_on_after(PATIENCE):
            for name, lines in (
                ("reason.txt", self._reason(row)),
                (STORY, self._events(row)),
            ):
                await self._evidence.keep(runner.id, name, self._text(lines)[:ITEM])
            png = await self._screen(runner.id, runner.machine)
            if png is not None and len(png) <= ITEM:
                await self._evidence.keep(runner.id, SCREEN, png)

    async def _screen(self, runner_id: int, machine: Machine | None) -> bytes | None:
        """Its screen as it is now, or else as it was seen last."""
        if machine is not None and machine.state == "running":
            try:
                self._exposing.acquire_on_behalf_of_nowait(runner_id)
            except trio.WouldBlock:
                pass
            else:
                try:
                    with trio.move_on_after(EXPOSURE):
                        return (await self._pictures.take(machine)).png
                except (LookupError, Unavailable):
                    pass
                finally:
                    self._exposing.release_on_behalf_of(runner_id)
        last = self._pictures.cached(runner_id)
        return last.png if last is not None else None

    # -- in words

    def _text(self, lines: Iterable[str]) -> bytes:
        text = "".join(f"{self._hide(printable(line))}\n" for line in lines)
        return text.encode("utf-8", "replace")

    def _reason(self, row: Row) -> Iterator[str]:
        runner, machine = row.runner, row.runner.machine
        yield f"{runner.name} failed: {runner.reason}"
        yield ""
        for name, value in (
            ("job", self._job(runner.job)),
            ("result", runner.result),
            ("created", _time(runner.created)),
            ("source", runner.source),
            ("provisioner", runner.provisioner),
            ("room", runner.room),
        ):
            if value:
                yield f"{name}: {value}"
        if machine is not None:
            why = f" ({machine.why})" if machine.why else ""
            yield f"machine: {machine.id}, {machine.state}{why}"
            if machine.addresses:
                yield f"addresses: {', '.join(machine.addresses)}"
            for key, fact in machine.facts.items():
                yield f"{key}: {fact}"
        yield ""
        yield f"its last {LONGEST} states since scaler was started:"
        for step in self._state.stories.of(runner.id).steps[-LONGEST:]:
            yield f"{_time(step.since)}  {step.state}{f': {step.reason}' if step.reason else ''}"

    def _job(self, job_id: str) -> str:
        known: Any = next((job for job in self._jobs() if job.id == job_id), None)
        if not job_id or known is None:
            return job_id
        said = (known.name, known.workflow, known.repository, known.run_id, known.url)
        return f"{job_id} ({', '.join(each for each in said if each)})"

    def _jobs(self) -> Iterator[Job]:
        yield from self._state.finished
        for jobs in self._state.jobs.values():
            yield from (known.job for known in jobs.values())

    def _events(self, row: Row) -> Iterator[str]:
        events = self._state.stories.of(row.runner.id).events[-LONGEST:]
        of_job = [
            each
            for each in self._state.events
            if each.job and each.job == row.runner.job and each.runner is None
        ]
        for event in sorted([*events, *of_job], key=_when):
            yield f"{_time(event.time)}  {event.text}"


def _when(event: Event) -> float:
    return event.time


def _time(unix: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(unix)) if unix else ""
