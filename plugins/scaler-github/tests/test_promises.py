"""The plugins keep what their hooks promise, before the simulator: `scaler.testing` checks it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import trio

from scaler import SelectionRequest
from scaler.testing import check_selector, check_source
from scaler.testing.trial import check_what_all_have, open_trial
from scaler_github.acquirable import AcquirableJobs
from scaler_github.connection import GitHub
from scaler_github.queue import ActionsQueue
from scaler_github.queue.waits import Pace
from scaler_github.selecting import ArtifactSelect
from scaler_github.testing import Simulator

QUICK = Pace(
    first=0.005,
    largest=0.05,
    idle=0.0,
    garbage=(0.005, 0.01),
    raised=0.05,
    lowered=0.0,
    unheard=0.1,
    farewell=1.0,
    leftover=0.02,
    person=0.02,
    ended=(0.0, 0.02, 0.02),
    request=0.7,
)
ACCOUNT = """
[plugins.github]
url = "{url}"
token = {{ env = "TOKEN" }}
"""
QUEUE = """
[plugins.actions-queue]
[profiles.linux]
max_count = 4
[profiles.linux.actions-queue]
scale_set = "linux"
"""
REST = """
[profiles.bench]
labels = ["bench"]
max_count = 4
[profiles.bench.github]
"""
SELECT = """
[plugins.artifact-select]
allowed_repos = ["acme/*"]
[profiles.linux]
labels = ["linux"]
max_count = 4
"""
REPO, UNIQUE, PREFIX = "acme/widgets", "8d4f2e0a-9f62-4a1b-8c33-2d1d7a9f0b11", "servo-ci-runners_"


async def simulator(nursery: trio.Nursery, **options: Any) -> Simulator:
    sim = Simulator(**options)
    await nursery.start(sim.serve)
    return sim


async def test_runners_that_are_registered_by_rest(nursery: trio.Nursery) -> None:
    sim = await simulator(nursery)
    await check_source(
        GitHub, settings=ACCOUNT.format(url=sim.url) + REST, environ={"TOKEN": sim.token}
    )
    assert sim.agents == []


@pytest.mark.parametrize("flow", ["assigned", "offered"])
async def test_runners_and_jobs_of_the_queue(nursery: trio.Nursery, flow: str) -> None:
    sim = await simulator(nursery, flow=flow)

    async def send(profile: str) -> None:
        sim.queue_jobs(profile, 1)

    await check_source(
        lambda context: ActionsQueue(context, QUICK),
        plugin=ActionsQueue,
        settings=ACCOUNT.format(url=sim.url) + QUEUE,
        environ={"TOKEN": sim.token},
        send=send,
    )
    assert sim.agents == []


async def test_who_shows_an_artifact_is_let_in_and_nobody_else(nursery: trio.Nursery) -> None:
    sim = await simulator(nursery)
    run = sim.add_run(REPO)

    def asks(unique_id: str, repo: str = REPO) -> SelectionRequest:
        return SelectionRequest(unique_id=unique_id, qualified_repo=repo, run_id=str(run.id))

    def proof(request: SelectionRequest, image: str = "linux", **more: Any) -> SelectionRequest:
        fields = {
            "unique_id": request.unique_id,
            "qualified_repo": request.qualified_repo,
            "run_id": request.run_id,
            "self_hosted_image_name": image,
        }
        text = "".join(f"{key}={value}\n" for key, value in fields.items())
        sim.add_artifact(run.id, f"{PREFIX}{request.unique_id}", text, **more)
        return request

    allowed = proof(asks(UNIQUE))
    another = sim.add_run(REPO)
    refused = (
        asks(UNIQUE[:-1] + "2"),
        asks(UNIQUE, "evil/widgets"),
        asks(UNIQUE, "acme/../evil/widgets"),
        asks(UNIQUE + "\n"),
        asks(f"{UNIQUE}/../{UNIQUE}"),
        replace(allowed, run_id=str(another.id)),
        replace(allowed, run_id=f"{run.id}/"),
        proof(asks(UNIQUE[:-1] + "3"), age=301.0),
        proof(asks(UNIQUE[:-1] + "4"), "windows"),
    )
    await check_selector(
        ArtifactSelect,
        settings=ACCOUNT.format(url=sim.url) + SELECT,
        environ={"TOKEN": sim.token},
        allowed=allowed,
        refused=refused,
    )


async def test_the_fallback_starts_tells_and_ends_as_every_plugin(nursery: trio.Nursery) -> None:
    """`acquirable-jobs` registers nobody: of a source's promises it has those of every plugin."""
    sim = await simulator(nursery, flow="offered")
    settings = ACCOUNT.format(url=sim.url) + QUEUE + "[plugins.acquirable-jobs]\n"
    environ = {"TOKEN": sim.token}
    async with open_trial(AcquirableJobs, settings=settings, environ=environ) as trial:
        async with trial.stage() as stage:
            await sim.wait_for(lambda: sim.scale_sets)
            sim.queue_jobs("linux", 1)
            await stage.core.until(lambda: any(each.jobs for each in stage.core.messages), 60)
            [job, *_] = [job for each in stage.core.messages for job in each.jobs]
            assert job.state == "offered"
            await check_what_all_have(stage)
        async with trial.stage() as stage:
            stage.crash()
