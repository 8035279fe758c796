"""Rows C17 and C30 to C34 of the fault catalogue: each crash by its name, and what follows it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio
from tests.crash.guests import HELD
from tests.crash.scalers import ledger
from tests.crash.world import World, world

if TYPE_CHECKING:
    from tests.crash.scalers import Scaler

    from scaler_github.testing import Job


async def dead_at(here: World, point: str, **job: Any) -> Job:
    """Die at a point, with one job."""
    scaler = await here.start(at=point)
    (queued,) = here.queue(**job)
    await here.death(scaler)
    return queued


async def next_start(here: World) -> Scaler:
    scaler = await here.start()
    await here.listens(scaler)
    return scaler


def registered(here: World) -> list[str]:
    """The names that were registered, in order, again where it was again."""
    told = [line.split()[1] for line in here.oracles.story if " is registered, config" in line]
    return [name.partition("@")[0] for name in told]


def machines(here: World) -> list[str]:
    """The runners that had domains, in order."""
    return [life.identity.runner_name for life in here.machines_made() if life.identity]


# --- C17


@pytest.mark.parametrize("point", ["M1", "M2", "M3"])
async def test_c17_a_message_that_comes_again_changes_nothing(
    tmp_path: Path, point: str, flow: str
) -> None:
    async with world(tmp_path, seed=f"C17 {point}", flow=flow) as here:
        await dead_at(here, point)
        scaler = await next_start(here)
        await here.until(lambda: here.done() and here.idle())
        for message in [*here.simulator.scale_set("linux").acknowledged]:
            here.simulator.redeliver("linux", message.id)  # below the cursor, as GitHub may
        (job,) = here.queue()
        await here.until(lambda: job.state == "completed")
        await here.finish(scaler)
        assert len(registered(here)) <= 3


async def test_c17_deletion_is_refused_for_a_while(tmp_path: Path, flow: str) -> None:
    async with world(tmp_path, seed="C17 5xx", flow=flow) as here:
        fault = here.simulator.faults.add("delete-message", status=503, times=None)
        scaler = await here.start()
        (job,) = here.queue(run_time=HELD)
        await here.until(lambda: job.state == "running" and fault.struck)
        assert here.simulator.scale_set("linux").unacknowledged
        await here.death(scaler, kill=True)
        scaler = await next_start(here)  # what was not deleted is there, above no cursor of ours
        await here.listens(scaler)
        here.simulator.faults.clear()
        here.machines.let_go.set()
        await here.finish(scaler)
        assert registered(here) == ["linux.1"]


# --- C30: dead with an intent, or with a registration that has no machine


async def test_c30_an_intent_is_dropped(tmp_path: Path, flow: str) -> None:
    async with world(tmp_path, seed="C30 P1", flow=flow) as here:
        await dead_at(here, "P1")
        assert not here.simulator.agents
        scaler = await next_start(here)
        await here.finish(scaler)
        assert registered(here) == ["linux.2"]  # an id is never used twice
        assert machines(here) == ["linux.2@crash"]


@pytest.mark.parametrize("point", ["P3", "P4"])
async def test_c30_a_registration_without_a_machine_is_removed(
    tmp_path: Path, point: str, flow: str
) -> None:
    async with world(tmp_path, seed=f"C30 {point}", flow=flow) as here:
        await dead_at(here, point)
        assert [agent.name for agent in here.simulator.agents] == ["linux.1@crash"]
        scaler = await next_start(here)
        await here.finish(scaler)
        assert registered(here) == ["linux.1", "linux.2"]
        assert machines(here) == ["linux.2@crash"]


# --- C31: dead between the source's answer and the disk


async def test_c31_a_registration_that_is_not_on_disk_is_removed(tmp_path: Path) -> None:
    async with world(tmp_path, seed="C31") as here:
        here.settings("other", scale_set="mac")
        other = await here.start(name="other", settings=here.folder / "other-mac.toml")
        (long,) = here.queue(scale_set="mac", run_time=HELD)
        await here.until(lambda: long.state == "running")
        await dead_at(here, "P2")
        names = {agent.name for agent in here.simulator.agents}
        assert names == {"linux.1@crash", "linux.1@other"}
        scaler = await next_start(here)
        await here.until(lambda: "linux.1@crash" not in {a.name for a in here.simulator.agents})
        assert here.simulator.agent("linux.1@other").busy  # a stranger's is left alone
        here.machines.let_go.set()
        await here.finish(scaler, other)
        crash = [name for name in machines(here) if name.endswith("@crash")]
        assert crash == ["linux.2@crash"]


# --- C32: dead while the machine is made


@pytest.mark.parametrize("point", ["P4", "P5"])
async def test_c32_a_half_made_machine_never_starts_with_an_old_config(
    tmp_path: Path, point: str, flow: str
) -> None:
    async with world(tmp_path, seed=f"C32 {point}", flow=flow) as here:
        job = await dead_at(here, point, run_time=HELD)
        scaler = await next_start(here)
        await here.until(lambda: job.state == "running")
        here.machines.let_go.set()
        await here.finish(scaler)
        # adopted where libvirt made it; else another id and another config. The oracles have held
        # the digest of every domain against what was issued, and each config against one domain
        made = machines(here)
        assert len(made) == 1
        assert made[0].startswith("linux.1@" if registered(here) == ["linux.1"] else "linux.2@")


# --- C33: dead with a machine that is not on disk


async def test_c33_a_machine_that_is_not_on_disk_is_adopted(tmp_path: Path, flow: str) -> None:
    async with world(tmp_path, seed="C33", flow=flow) as here:
        job = await dead_at(here, "P6", run_time=HELD)
        (row,) = ledger(here.state_dir())["runners"]
        assert row["runner"]["machine"] is None
        await here.until(lambda: job.state == "running")
        (life,) = here.machines_made()
        identity = life.identity
        assert identity is not None
        assert (identity.scaler, identity.runner) == ("crash", 1)
        assert len(identity.config_sha256) == 64
        scaler = await next_start(here)
        await here.until(lambda: adopted(here) == life.uuid)
        assert job.state == "running"
        here.machines.let_go.set()
        await here.finish(scaler)
        assert machines(here) == ["linux.1@crash"]


def adopted(here: World) -> str | None:
    """The UUID of the first runner's machine, as the ledger has it."""
    rows = ledger(here.state_dir())["runners"]
    machine = rows[0]["runner"]["machine"] if rows else None
    return machine["id"] if machine else None


async def test_c33_a_machine_with_another_config_is_not_adopted(tmp_path: Path) -> None:
    async with world(tmp_path, seed="C33 digest") as here:
        scaler = await here.start(at="P6", bug="give-another-config")
        here.queue()
        await here.death(scaler)
        with trio.fail_after(5):
            while not machines(here):  # noqa: ASYNC110 - what is asked has no event
                await trio.sleep(0.01)
        here.oracles.wrong.clear()  # the domain was made wrongly on purpose
        scaler = await next_start(here)
        await here.finish(scaler)
        assert machines(here) == ["linux.1@crash", "linux.2@crash"]
        first, second = here.machines_made()
        assert first.why == "destroyed"
        assert second.uuid != first.uuid


# --- C34: dead while everything is taken down


@pytest.mark.parametrize("point", ["P7", "P8", "P9", "P10"])
async def test_c34_taking_down_is_resumed(tmp_path: Path, point: str, flow: str) -> None:
    async with world(tmp_path, seed=f"C34 {point}", flow=flow, poweroff=0.0) as here:
        await dead_at(here, point)
        deletions = here.simulator.count("delete-agent")
        scaler = await next_start(here)
        await here.finish(scaler)
        assert machines(here) == ["linux.1@crash"]
        asked_again = here.simulator.count("delete-agent") > deletions
        assert asked_again == (point == "P7")  # later, it is durable that it was unregistered
