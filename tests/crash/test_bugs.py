"""A scaler with a planted fault is caught, by the oracle that is there for it."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from tests.crash.bugs import BUGS
from tests.crash.world import World, world

SOON = 8.0  # seconds in which a good scaler has long done all of this


async def lost_message(here: World) -> None:
    """Dead between the deletion and the delivery: an offer that nobody knows of any more."""
    scaler = await here.start(at="M1", bug="delete-before-deliver")
    here.queue()
    await here.death(scaler)
    await here.finish(await here.start(), seconds=SOON)


async def early_end(here: World) -> None:
    """A message says too early that a job is done, and its machine is destroyed unasked."""
    scaler = await here.start(bug="destroy-without-unregister")
    (job,) = here.queue(run_time=SOON)
    await here.until(lambda: job.state == "running")
    here.simulator.inject_message(
        "linux",
        [
            {
                "messageType": "JobCompleted",
                "runnerRequestId": job.request_id,
                "jobId": job.job_id,
                "runnerName": job.runner_name,
                "result": "succeeded",
            }
        ],
        statistics={"totalAssignedJobs": 0},
    )
    await here.finish(scaler, seconds=SOON)


async def forgotten_machine(here: World) -> None:
    """The row is gone, and the machine it stood for is not."""
    scaler = await here.start(bug="forget-row-before-destroy")
    here.queue()
    await here.finish(scaler, seconds=SOON)


async def forgotten_registration(here: World) -> None:
    """Dead with a registration that is not durable, and the next start does not remove it."""
    scaler = await here.start(at="P2")
    here.queue()
    await here.death(scaler)
    await here.finish(await here.start(bug="destroy-without-unregister"), seconds=SOON)


async def one_job(here: World, bug: str) -> None:
    scaler = await here.start(bug=bug)
    here.queue()
    await here.finish(scaler, seconds=SOON)


async def twins(here: World) -> None:
    await one_job(here, "remake-same-id")


async def strangers(here: World) -> None:
    await one_job(here, "give-another-config")


async def replaced(here: World) -> None:
    """Dead while a job runs, and the next start does not adopt its machine."""
    scaler = await here.start()
    (job,) = here.queue(run_time=SOON)
    await here.until(lambda: job.state == "running")
    await here.death(scaler, kill=True)
    await here.finish(await here.start(bug="replace-on-adoption"), seconds=SOON)


SCENARIOS = {
    lost_message: ("delete-before-deliver", "is offered, result None, started 0 times"),
    early_end: ("destroy-without-unregister", "ended under job"),
    forgotten_registration: ("destroy-without-unregister", "registrations are left: linux.1@crash"),
    forgotten_machine: ("forget-row-before-destroy", "domains are left"),
    twins: ("remake-same-id", "has two live domains"),
    strangers: ("give-another-config", "a config that was not issued to linux.1@crash"),
    replaced: ("replace-on-adoption", "ended under job"),
}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
async def test_a_planted_fault_is_caught(tmp_path: Path, scenario: object) -> None:
    _, words = SCENARIOS[scenario]  # type: ignore[index]
    flow = "offered" if scenario is lost_message else "assigned"
    with pytest.raises((AssertionError, trio.TooSlowError)) as caught:
        async with world(tmp_path, seed="bugs", flow=flow, poweroff=0.0) as here:
            await scenario(here)  # type: ignore[operator]
    assert words in str(caught.value), caught.value


def test_every_fault_is_planted_somewhere() -> None:
    assert {bug for bug, _ in SCENARIOS.values()} == set(BUGS)
