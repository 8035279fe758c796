"""C46: a signal at any moment of a small run; what it leaves, the next start brings to its end.

The run is stepped: at the N-th step of the event loop the signal comes, for many N all over it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import trio

from scaler import Context, Message, hookimpl, load_settings
from scaler.app import Running, _serve
from scaler.signalled import Around

from .conftest import Place, Queue, Vm

if TYPE_CHECKING:
    from pathlib import Path

JOBS = 3
POINTS = 12  # moments of each run


class Outside:
    """What is there whether a scaler runs or not."""

    def __init__(self) -> None:
        self.registrations: dict[str, Any] = {}
        self.jobs: dict[str, Any] = {}
        self.machines: dict[int, Any] = {}
        self.starts = 0


def plugins(outside: Outside) -> dict[str, type[Any]]:
    """A source and a provisioner of that outside."""

    class Source(Queue):
        made = []  # noqa: RUF012

        def __init__(self, context: Context[Any, Any]) -> None:
            super().__init__(context)
            self.registrations, self.jobs = outside.registrations, outside.jobs

        @hookimpl
        async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
            outside.starts += 1
            jobs = tuple(each for each in self.jobs.values() if each.state != "done")
            message = Message(
                id=f"start {outside.starts}", profile="linux", jobs=jobs, demand=len(jobs)
            )
            task_status.started()
            await self.context.deliver(message)
            while not self.context.stopping.is_set():
                await self._assign()
                if len(self.jobs) < JOBS:
                    await self.job("linux")
                for job in [each for each in self.jobs.values() if each.state == "running"]:
                    await self.finish(job.id)
                with trio.move_on_after(0.5):
                    await self.context.stopping.wait()

    class Machines(Vm):
        made = []  # noqa: RUF012

        def __init__(self, context: Context[Any, Any]) -> None:
            super().__init__(context)
            self.machines = outside.machines

        @hookimpl
        async def destroy_runner(self, runner: Any) -> None:
            found = outside.registrations.get(runner.name)
            assert found is None or not found.busy, f"{runner.name} is busy"
            await super().destroy_runner(runner)

    return {"queue": Source, "vm": Machines}


class At(trio.abc.Instrument):
    """Does something after so many steps of the loop."""

    def __init__(self, step: int, what: Callable[[], None]) -> None:
        self.steps = 0
        self._step = step
        self._what = what

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        del task
        self.steps += 1
        if self.steps == self._step:
            trio.lowlevel.current_trio_token().run_sync_soon(self._what)


class Run:
    """One scaler in that outside, and the signals that it can be sent."""

    def __init__(self, place: Place, outside: Outside) -> None:
        self.place = place
        self.outside = outside
        self.stop = trio.Event()
        self.around = Around(self.stop)
        self.scope = trio.CancelScope()
        self.running: Running | None = None
        self.hung_up = 0

    def term(self) -> None:
        """The first one stops it, the second does at once."""
        if self.stop.is_set():
            self.scope.cancel()
        self.stop.set()

    def twice(self) -> None:
        """Two, one after the other."""
        self.term()
        self.term()

    def hup(self) -> None:
        """The file is another, and is to be read."""
        self.hung_up += 1
        text = self.place.text.replace("max_count = 4", f"max_count = {4 + self.hung_up}")
        self.place.file.write_text(text)
        self.around.reload()

    def has_reloaded(self) -> bool:
        """Whether the settings were read anew before it ended; then what was written counts."""
        last = self.running._reloader.last if self.running is not None else None
        if self.running is None or last is None:
            return False
        assert last.ok
        assert self.running.view().profiles["linux"].profile.max_count == 4 + self.hung_up
        return True

    def hup_and_term(self) -> None:
        """It stops while it reloads."""
        self.hup()
        self.term()

    async def go(self) -> None:
        """Run until all jobs are done and nothing is left, or until a signal ends it."""
        self.place.write(self.place.text)
        extra = {**plugins(self.outside), "deaf": self.place.extra["deaf"]}
        settings, loaded = load_settings(self.place.file, extra=extra)
        with self.scope:
            async with trio.open_nursery() as nursery:

                async def run(task_status: trio.TaskStatus[Running]) -> None:
                    await _serve(settings, loaded, self.around, task_status)
                    nursery.cancel_scope.cancel()

                self.running = await nursery.start(run)
                while not self._is_over():  # noqa: ASYNC110
                    await trio.sleep(0.25)
                self.stop.set()
                await trio.sleep_forever()

    def _is_over(self) -> bool:
        assert self.running is not None
        left = (self.outside.registrations, self.outside.machines, self.running.view().runners)
        done = [each.state == "done" for each in self.outside.jobs.values()]
        return len(done) >= JOBS and all(done) and not any(left)


@pytest.fixture(scope="module")
def steps() -> list[int]:
    """How many steps a run takes that nobody disturbs; counted once."""
    return []


async def counted(place: Place, steps: list[int]) -> int:
    if not steps:
        count = At(0, lambda: None)
        trio.lowlevel.add_instrument(count)
        await Run(place, Outside()).go()
        trio.lowlevel.remove_instrument(count)
        steps.append(count.steps)
        await trio.to_thread.run_sync(_remove, place.folder / "state")
    return steps[0]


def _remove(folder: Path) -> None:
    for file in sorted(folder.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    folder.rmdir()


@pytest.mark.parametrize("signal", ["term", "twice", "hup", "hup_and_term"])
@pytest.mark.parametrize("third", range(3))
async def test_c46_a_signal_at_many_moments_loses_no_job(
    place: Place, signal: str, third: int, steps: list[int], autojump_clock: object
) -> None:
    most = await counted(place, steps)
    assert most > 100
    text, reloaded = place.text, 0
    for point in range(POINTS // 3):
        outside = Outside()
        place.text = text
        first = Run(place, outside)
        step = most * (3 * point + third) // POINTS + 1
        instrument = At(step, getattr(first, signal))
        trio.lowlevel.add_instrument(instrument)
        await first.go()
        trio.lowlevel.remove_instrument(instrument)
        assert instrument.steps >= step, "it never came"
        if signal == "hup":
            assert all(each.state == "done" for each in outside.jobs.values())
            reloaded += first.has_reloaded()
        busy = {name for name, each in outside.registrations.items() if each.busy}
        await Run(place, outside).go()
        assert all(each.state == "done" for each in outside.jobs.values()), busy
        assert len(outside.jobs) == JOBS
        await trio.to_thread.run_sync(_remove, place.folder / "state")
    if signal == "hup":
        assert reloaded, "it was never read anew"
