"""What runs inside machines: comes online with the config it was given, works, and powers off."""

from __future__ import annotations

import hashlib
import math
import random
from typing import TYPE_CHECKING

import trio

from scaler_github.testing import Guests, jit

if TYPE_CHECKING:
    from tests.crash.oracles import Oracles

    from scaler_github.testing import Agent, Job, Simulator
    from scaler_github.testing.state import World
    from scaler_libvirt.testing_watcher import Life, Watcher

BOOT = (0.02, 0.15)  # seconds from a domain's start to its runner's being online
# Seconds that a job takes, unless it brings its own run time: half are over before the next start
# has come, and half go on beyond it
WORK = ((0.05, 0.3), (1.0, 2.5))
HELD = math.inf  # the run time of a job that goes on until `let_go`
WORK_FOLDER = "_work"  # as it stands in every config


class Machines(Guests):
    """Plays the guest of every domain that a watcher sees; nothing is online without a domain.

    Args:
        poweroff: The share of machines that power off by themselves after their job, as real ones
            do; the others wait to be destroyed.

    Attributes:
        let_go: Set to have held jobs end.
    """

    def __init__(self, oracles: Oracles, nursery: trio.Nursery, seed: str, poweroff: float) -> None:
        super().__init__()
        self._oracles = oracles
        self._nursery = nursery
        self._chance = random.Random(seed)
        self._poweroff = poweroff
        self.let_go = trio.Event()
        self.simulator: Simulator
        self.watcher: Watcher

    def attend(self, world: World) -> None:
        """Be told of every registration and of every job's start."""
        world.on_agent = self._registered
        world.run_time = self._started

    # --- the source's side

    def _digest(self, agent: Agent) -> str:
        config = jit.encode(agent, self.simulator.service_url, WORK_FOLDER)
        return hashlib.sha256(config.encode()).hexdigest()

    def _registered(self, agent: Agent) -> None:
        self._oracles.issued(agent.name, self._digest(agent))

    def _started(self, job: Job) -> None:
        uuid = self._oracles.job_started(job.job_id, job.runner_name)
        self._nursery.start_soon(self._work, job, uuid)

    async def _work(self, job: Job, uuid: str | None) -> None:
        work = self._chance.uniform(*self._chance.choice(WORK))
        if job.run_time == HELD:
            await self.let_go.wait()
        await trio.sleep(work if job.run_time is None or job.run_time == HELD else job.run_time)
        self._oracles.job_ended(job.job_id, uuid)
        self.simulator.finish_job(job)
        if uuid is not None and self._chance.random() < self._poweroff:
            await trio.sleep(self._chance.uniform(0, 0.1))
            await self.watcher.power_off(uuid)

    # --- the hypervisor's side

    def started(self, life: Life) -> None:
        """A domain started."""
        if life.identity is not None:
            self._oracles.domain_started(life.uuid, life.identity)
            self._nursery.start_soon(self._boot, life)

    def stopped(self, life: Life) -> None:
        """A domain ended."""
        self._oracles.domain_stopped(life.uuid, life.why)

    async def _boot(self, life: Life) -> None:
        await trio.sleep(self._chance.uniform(*BOOT))
        assert life.identity is not None
        name = life.identity.runner_name
        if not self.watcher.alive(life.uuid):
            return
        try:
            agent = self.simulator.agent(name)
        except LookupError:
            return  # its registration was removed meanwhile
        if self._digest(agent) != life.identity.config_sha256:
            return  # GitHub would not let it in; the oracles have blamed it, unless it was replaced
        try:
            self.simulator.bring_online(name)
        except ValueError as error:
            self._oracles.blame(str(error))
