"""A profile more in a fault world, whose runners are registered by REST: `rest`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.faults.world import World

    from scaler_github.testing import Job

LABEL = "rested"

_SETTINGS = """
[profiles.rest]
labels = ["{label}"]
target_count = {target}
max_count = {most}
resources = {{ memory = "4G", vcpus = 2 }}
{profile}
[profiles.rest.github]
"""


def settings(target: int = 1, most: int = 3, profile: str = "", github: str = "") -> dict[str, Any]:
    """What `faults(...)` takes for it; then call `count_in`."""
    text = _SETTINGS.format(label=LABEL, target=target, most=most, profile=profile)
    return {"more": text, "most": most, "github": github}


def count_in(world: World, target: int = 1) -> None:
    """Let the verdict count its runners: those of the queue's profile have a target of 0."""
    world.target = target


def queue(world: World, count: int = 1, run_time: float | None = 30) -> list[Job]:
    """Queue jobs for it."""
    return world.simulator.queue_jobs(labels=[LABEL], count=count, run_time=run_time)


def idle(world: World, count: int = 1) -> bool:
    """Whether so many of its runners wait for a job, as the core sees it."""
    runners = [each for each in world.view().runners if each.profile == "rest"]
    return [each.state for each in runners] == ["idle"] * count
