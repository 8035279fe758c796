"""A scaler in this process, beside GitHub's simulator and machines that are only remembered.

What is real is the core with its ledger, the plugins of scaler-github and their HTTP client.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import trio

from bench.processes import Failed, workplace
from scaler import Machine, Registration, Room, Runner, Running, hookimpl, load_settings, serve
from scaler_github.testing import Agent, Simulator

PROFILE = "linux"
LABEL = "self-hosted-image:linux"
REST, QUEUE = "github", "actions-queue"
ACQUIRABLE = "acquirable-jobs"
BOOT = 0.05  # seconds until a guest is online
# From a runner's end to its machine's: longer than news of its job take, as when a real one ends
OFF = 0.5
PATIENCE = 30.0  # seconds for anything to come true
QUIET = 0.5  # seconds without a request: what was begun is over
SETTINGS = """
[scaler]
name = "bench"
state_dir = "{folder}/state"
shutdown_grace = "5s"

[plugins.github]
url = "{url}"
token = {{ env = "BENCH_TOKEN" }}
{plugins}
[plugins.vm]

[profiles.linux]
labels = ["self-hosted-image:linux"]
target_count = {target}
max_count = {most}
[profiles.linux.{source}]
"""


class Machines:
    """Machines and their guests: each comes online, runs its job, and powers off."""

    def __init__(self, simulator: Simulator, nursery: trio.Nursery) -> None:
        self.boxes: dict[int, Machine] = {}
        self.simulator = simulator
        self.context: Any = None
        self._nursery = nursery

    def make(self, runner: Runner) -> Machine:
        """The machine of a runner, from now on."""
        if runner.id not in self.boxes:
            self.boxes[runner.id] = Machine(
                runner=runner.id,
                id=f"vm-{runner.id}",
                room="here",
                runner_name=runner.name,
                profile=runner.profile,
                delivered=True,
            )
            self._nursery.start_soon(self._live, runner)
        return self.boxes[runner.id]

    async def _live(self, runner: Runner) -> None:
        await trio.sleep(BOOT)
        with suppress(LookupError, ValueError):  # retired already
            agent = self.simulator.bring_online(runner.name)
            await self.simulator.wait_for(lambda: self._over(agent), timeout=float("inf"))
            await trio.sleep(OFF)
        if runner.id in self.boxes:
            self.boxes[runner.id] = replace(self.boxes[runner.id], state="stopped")
            self.context.machine_changed(self.boxes[runner.id])

    def _over(self, agent: Agent) -> bool:
        return agent.done or (agent.job is None and agent not in self.simulator.agents)

    def plugin(self) -> type[Any]:
        """The provisioner, for `extra=`."""
        machines = self

        class Provisioner:
            def __init__(self, context: Any) -> None:
                machines.context = context

            @hookimpl
            async def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
                return machines.make(runner)

            @hookimpl
            async def destroy_runner(self, runner: Runner) -> None:
                machines.boxes.pop(runner.id, None)

            @hookimpl
            async def list_machines(self) -> list[Machine]:
                return list(machines.boxes.values())

            @hookimpl
            async def capacity(self) -> list[Room]:
                return [Room(name="here")]

        return Provisioner


@dataclass(frozen=True)
class Place:
    """A scaler that runs, and what is around it."""

    simulator: Simulator
    machines: Machines
    running: Running

    @property
    def last(self) -> int:
        """The number of the last request."""
        exchanges = self.simulator.history.exchanges
        return exchanges[-1].number if exchanges else 0

    async def until(self, what: Callable[[], Any], text: str) -> None:
        """Wait until something is true. Raises Failed where it does not come true in time."""
        with trio.move_on_after(PATIENCE) as scope:
            while not what():  # noqa: ASYNC110 - what is asked has no event
                await trio.sleep(0.005)
        if scope.cancelled_caught:
            raise Failed(f"not within {PATIENCE:g} s: {text}")

    async def quiet(self) -> None:
        """Wait until nothing has been asked for a while."""
        seen = -1
        with trio.move_on_after(PATIENCE) as scope:
            while seen != self.last:
                seen = self.last
                await trio.sleep(QUIET)
        if scope.cancelled_caught:
            raise Failed(f"requests did not cease within {PATIENCE:g} s")

    def is_clean(self) -> bool:
        """Whether no job is open, and nothing is left of any runner and any message."""
        here = self.simulator
        open_ones = here.agents or self.machines.boxes or self.running.view().runners
        messages = any(one.news or one.unacknowledged for one in here.scale_sets)
        return not (open_ones or messages or len(here.jobs_in("completed")) < len(here.jobs))

    def ready(self) -> list[Runner]:
        """The runners that are online, without a job."""
        online = {one.name for one in self.simulator.agents if one.online and one.job is None}
        return [
            each
            for each in self.running.view().runners
            if each.name in online and each.registration is not None
        ]

    async def polling(self) -> None:
        """Wait until the queue is listened to, and the start is over."""
        await self.until(lambda: self.simulator.count("poll"), "the first poll")
        await self.quiet()


@asynccontextmanager
async def place(
    *, source: str = QUEUE, target: int = 0, most: int = 1, acquirable: bool = False, **options: Any
) -> AsyncIterator[Place]:
    """A scaler with one profile, for as long as the block lasts; `options` are the simulator's."""
    with workplace() as folder:
        async with trio.open_nursery() as nursery:
            simulator = Simulator(**options)
            await nursery.start(simulator.serve)
            machines = Machines(simulator, nursery)
            plugins = [QUEUE] * (source == QUEUE) + [ACQUIRABLE] * acquirable
            path = folder / "scaler.toml"
            path.write_text(
                SETTINGS.format(
                    folder=folder,
                    url=simulator.url,
                    plugins="\n".join(f"[plugins.{name}]" for name in plugins),
                    source=source,
                    target=target,
                    most=most,
                )
            )
            loaded = load_settings(
                path,
                extra={"vm": machines.plugin()},
                environ={"BENCH_TOKEN": simulator.token},
            )
            running = await nursery.start(partial(serve, *loaded))
            yield Place(simulator, machines, running)
            running.stop()
            with trio.move_on_after(PATIENCE):
                await running.stopped.wait()
            nursery.cancel_scope.cancel()
