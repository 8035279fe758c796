"""What happens in the demo: jobs come in waves, and guests do what real ones would."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, ClassVar

import trio

from scaler import hookimpl

if TYPE_CHECKING:
    from scaler import Context, Job, Runner
    from scaler_github.demo.record import Record
    from scaler_github.testing import Simulator

BOOT = (0.6, 1.8)  # seconds from the machine's start until the runner is online
WORK = (1.5, 5.0)  # seconds that a job takes
WAVE = (3.0, 7.0)  # seconds between two waves


class Guests:
    """A plugin like any other: it sees machines come, and plays what runs inside them.

    Nothing else connects the machines to the simulator: a runner comes online only after its
    domain exists, as on a real hypervisor.
    """

    simulator: ClassVar[Simulator]
    record: ClassVar[Record]

    def __init__(self, context: Context[None, None]) -> None:
        self._context = context
        self._machines, self._booted = trio.open_memory_channel[str](1000)
        self._random = random.Random(7)

    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        """Be every guest at once."""
        async with trio.open_nursery() as nursery:
            task_status.started()
            nursery.start_soon(self._serve, nursery, name="guests")
            await self._context.stopping.wait()
            nursery.cancel_scope.cancel()

    async def _serve(self, nursery: trio.Nursery) -> None:
        async for name in self._booted:
            nursery.start_soon(self._guest, name, name=f"guest {name}")

    async def _guest(self, name: str) -> None:
        await trio.sleep(self._random.uniform(*BOOT))
        try:
            self.simulator.bring_online(name)
        except LookupError:
            return  # retired while it booted: its registration is gone
        self._context.log.info("%s is online", name)

    @hookimpl
    async def on_runner_changed(self, runner: Runner, before: Runner | None) -> None:
        """A machine that exists begins to boot."""
        self.record.runner(runner, before)
        if runner.machine is not None and (before is None or before.machine is None):
            await self._machines.send(runner.name)

    @hookimpl
    async def on_job_changed(self, job: Job, before: Job | None) -> None:
        """Remember it for the table."""
        self.record.job(job, before)


def guests(simulator: Simulator, record: Record) -> type[Any]:
    """The plugin's class for one demo."""
    return type("DemoGuests", (Guests,), {"simulator": simulator, "record": record})


async def waves(simulator: Simulator, seed: int = 3) -> None:
    """Queue jobs in waves, for ever."""
    choose = random.Random(seed)
    await simulator.wait_for(lambda: len(simulator.scale_sets) == 2, timeout=30)
    while True:
        for _ in range(choose.randint(1, 4)):
            job = f"test-{choose.choice(('unit', 'browser', 'wpt', 'lint', 'docs'))}"
            simulator.queue_jobs("linux", 1, display_name=job, run_time=choose.uniform(*WORK))
        if choose.random() < 0.5:
            simulator.queue_jobs("large", 1, display_name="build", run_time=choose.uniform(*WORK))
        await trio.sleep(choose.uniform(*WAVE))
