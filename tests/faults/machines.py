"""A hypervisor in memory, and the guests in its machines."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import trio

from scaler import Context, Machine, Registration, Room, Runner, hookimpl
from scaler_github.testing import Guests, jit

if TYPE_CHECKING:
    from tests.faults.oracle import Oracle

    from scaler_github.testing import Agent, Job, Simulator
    from scaler_github.testing.state import World as Site

ROOM = "here"


@dataclass
class Times:
    """Seconds that things take in machines.

    Attributes:
        make: From asking for a machine to having it.
        boot: From having it to its runner's being online.
        work: A job's, unless it brings its own `run_time`.
        end: From the runner's end to the machine's.
        destroy: A machine's removal.
    """

    make: float = 2.0
    boot: float = 20.0
    work: float = 60.0
    end: float = 3.0
    destroy: float = 1.0


@dataclass(eq=False)
class Box:
    """A machine and what runs in it. `online` is its agent, once it came online."""

    machine: Machine
    config: str
    life: trio.CancelScope = field(default_factory=trio.CancelScope)
    online: Agent | None = None


class Machines(Guests):
    """All machines there are. They live on when the scaler does not.

    Attributes:
        boxes: By runner id.
        script: What the next calls of a hook do first, by its name: an exception is raised, a
            number of seconds is waited for.
    """

    def __init__(self, oracle: Oracle, nursery: trio.Nursery, times: Times, scaler: str) -> None:
        super().__init__()
        self.oracle = oracle
        self.times = times
        self.boxes: dict[int, Box] = {}
        self.script: dict[str, list[BaseException | float]] = {}
        self.room = Room(name=ROOM, total={"memory": 64 << 30, "vcpus": 64})
        self.context: Context[Any, Any] | None = None
        self.simulator: Simulator
        self._nursery = nursery
        self._scaler = scaler
        self._made = 0

    # -- the simulator's side

    def attend(self, world: Site) -> None:
        """Be told of every registration and of every job's start."""
        world.on_agent = self._registered
        world.run_time = self._started

    def _registered(self, agent: Agent) -> None:
        mine = [each for each in self.simulator.agents if each.name.endswith(f"@{self._scaler}")]
        self.oracle.registered(agent.name, len(mine))

    def _started(self, job: Job) -> float:
        self.oracle.job_started(job)
        box = next((b for b in self.boxes.values() if b.online and b.online.job is job), None)
        if box is None and job.runner_name.endswith(f"@{self._scaler}"):
            self.oracle.blame("I1", f"job {job.job_id} runs on {job.runner_name}, in no machine")
        return self.times.work if job.run_time is None else job.run_time

    # -- the guests' side

    async def _live(self, box: Box) -> None:
        """What happens in a machine until it stops or is destroyed."""
        with box.life:
            await trio.sleep(self.times.boot)
            with suppress(LookupError, ValueError):  # no registration, or it was used: it ends
                name = jit.decode(box.config)["AgentName"]
                if (agent := self.simulator.agent(name)).used:
                    raise ValueError(f"the config of {name} was used before")
                box.online = agent  # now, since a job may start within the next call
                self.simulator.bring_online(name)
                if not agent.refused:  # GitHub refuses one that is too old, and it exits
                    await self.simulator.wait_for(lambda: self._over(agent), timeout=float("inf"))
            box.online = None
            await trio.sleep(self.times.end)
            self.stop(box, "it powered off")

    def _over(self, agent: Agent) -> bool:
        gone = agent not in self.simulator.agents
        return agent.done or (gone and agent.job is None)

    def stop(self, box: Box, why: str) -> None:
        """A machine stops, whatever runs in it."""
        number = box.machine.runner
        assert number is not None
        if number in self.boxes:
            box.machine = replace(box.machine, state="stopped", why=why)
            if self.context is not None:
                self.context.machine_changed(box.machine)

    # -- the scaler's side

    def plugin(self) -> type[Any]:
        """The provisioner, for `extra=`."""
        machines = self

        class Provisioner:
            def __init__(self, context: Context[Any, Any]) -> None:
                machines.context = context

            @hookimpl
            async def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
                return await machines.make(runner, registration)

            @hookimpl
            async def destroy_runner(self, runner: Runner) -> None:
                await machines.destroy(runner)

            @hookimpl
            async def list_machines(self) -> list[Machine]:
                await machines.scripted("list_machines")
                return [box.machine for box in machines.boxes.values()]

            @hookimpl
            async def capacity(self) -> list[Room]:
                await machines.scripted("capacity")
                return [machines.room]

            @hookimpl
            async def on_runner_changed(self, runner: Runner, before: Runner | None) -> None:
                machines.oracle.said("runner", f"{runner!r} {before!r}")

            @hookimpl
            async def on_message(self, message: Any) -> None:
                machines.oracle.said("message", repr(message))

        return Provisioner

    async def scripted(self, hook: str) -> None:
        """Do what the script has for this call."""
        await trio.lowlevel.checkpoint()
        if self.script.get(hook):
            step = self.script[hook].pop(0)
            if isinstance(step, BaseException):
                raise step
            await trio.sleep(step)

    async def make(self, runner: Runner, registration: Registration) -> Machine:
        """A machine for this runner; the one that it has, if it has one."""
        await self.scripted("provision_runner")
        await trio.sleep(self.times.make)
        if runner.id in self.boxes:
            return self.boxes[runner.id].machine
        assert registration.config is not None
        config = registration.config.reveal()
        self._made += 1
        machine = Machine(
            runner=runner.id,
            id=f"vm-{self._made}",
            room=ROOM,
            runner_name=runner.name,
            profile=runner.profile,
            delivered=True,
            digest=hashlib.sha256(config.encode()).hexdigest(),
        )
        self.put(machine, config)
        return machine

    def put(self, machine: Machine, config: str) -> Box:
        """Have this machine from now on."""
        assert machine.runner is not None
        box = self.boxes[machine.runner] = Box(machine, config)
        alike = [b for b in self.boxes.values() if b.machine.profile == machine.profile]
        self.oracle.made(machine, config, len(alike))
        self._nursery.start_soon(self._live, box)
        return box

    async def destroy(self, runner: Runner) -> None:
        """Nothing is left of it."""
        await self.scripted("destroy_runner")
        await trio.sleep(self.times.destroy)
        box = self.boxes.get(runner.id)
        if box is None:
            return
        agent = box.online
        if box.machine.state == "running" and agent is not None and agent.job is not None:
            self.oracle.blame("I4", f"{runner.name} was destroyed at work: {runner.reason}")
            self.simulator.finish_job(agent.job, "failed")
        del self.boxes[runner.id]
        box.life.cancel()
        if agent is not None:
            agent.online = False
