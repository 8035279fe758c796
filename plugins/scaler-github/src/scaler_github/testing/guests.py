"""Guests that boot, take a job and end by themselves, for demonstrations and load tests."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scaler_github.testing.records import Agent, Job
    from scaler_github.testing.state import World

Span = float | tuple[float, float]


@dataclass(slots=True)
class Guests:
    """How automatic guests behave; times in seconds, a pair is a range to choose from.

    Attributes:
        boot: from the JIT configuration to being online.
        work: from a job's start to its success, unless the job brings its own run time.
        lost: the share of guests (0 to 1) that never come online.
        seed: makes the choices repeatable.
    """

    boot: Span = 0.0
    work: Span = 0.0
    lost: float = 0.0
    seed: int = 1
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def attend(self, world: World) -> None:
        """Be the guest of every runner that is registered from now on."""

        def registered(agent: Agent) -> None:
            if self._random.random() >= self.lost:
                world.timers.after(max(1e-9, self._pick(self.boot)), lambda: start(agent))

        def start(agent: Agent) -> None:
            if world.agents.get(agent.id) is agent and not agent.used:
                world.bring_online(agent)

        def run_time(job: Job) -> float:
            return self._pick(self.work) if job.run_time is None else job.run_time

        world.on_agent = registered
        world.run_time = run_time

    def _pick(self, span: Span) -> float:
        return self._random.uniform(*span) if isinstance(span, tuple) else span
