"""Row C47: two scalers with one state folder, one scale set, or one hypervisor."""

from __future__ import annotations

from pathlib import Path

import trio
from tests.crash.guests import HELD
from tests.crash.world import World, world


async def test_c47_one_state_folder_has_one_scaler(tmp_path: Path) -> None:
    async with world(tmp_path, seed="C47 folder") as here:
        first = await here.start()
        await here.listens(first)
        second = await here.start()
        with trio.fail_after(20):
            assert await second.dies() == 1
        said = second.said()
        assert f"another scaler (process {first.number}) uses state_dir" in said
        assert "stop it, or give this one a state_dir of its own" in said
        assert "Traceback" not in said
        here.queue()
        await here.until(here.done)
        await here.death(first, kill=True)
        third = await here.start()  # the lock died with its holder
        await here.listens(third)
        here.queue()
        await here.finish(third)


async def test_c47_one_scale_set_has_one_listener_until_it_dies(tmp_path: Path, flow: str) -> None:
    async with world(tmp_path, seed="C47 set", flow=flow) as here:
        first = await here.start(name="one")
        await here.listens(first)
        here.queue(2)
        await here.until(here.idle)
        second = await here.start(name="two")
        await here.until(lambda: "another scaler listens to scale set linux" in second.said())
        here.queue(2)
        await here.until(here.idle)
        assert set(owners(here)) == {"one"}  # the second waits, and makes nothing
        assert not any(row["runner"]["name"].endswith("@two") for row in here.rows())
        await here.death(first, kill=True)
        here.queue(3)
        await here.until(here.done)
        assert {life.identity.scaler for life in here.machines_made()[-3:] if life.identity} == {
            "two"
        }
        await here.finish(second)


async def test_c47_one_hypervisor_serves_two_that_leave_each_other_alone(
    tmp_path: Path, flow: str
) -> None:
    async with world(tmp_path, seed="C47 host", flow=flow) as here:
        settings = {
            name: here.settings(name, scale_set=scale_set)
            for name, scale_set in (("left", "linux"), ("right", "mac"))
        }
        right = await here.start(name="right", settings=settings["right"])
        await here.listens(right)
        (long,) = here.queue(scale_set="mac", run_time=HELD)
        await here.until(lambda: long.state == "running")
        await here.death(right, kill=True)
        (life,) = here.machines_made()
        here.queue(3, scale_set="mac")  # nobody is there for these yet
        for _ in range(3):
            left = await here.start(name="left", settings=settings["left"])
            await here.listens(left)
            here.queue(2)
            await trio.sleep(here.chance.uniform(0.2, 1.0))
            await here.death(left, kill=True)
        assert here.watcher.alive(life.uuid)  # nobody adopted it, and nobody destroyed it
        assert long.state == "running"
        here.machines.let_go.set()
        left = await here.start(name="left", settings=settings["left"])
        await here.listens(left)
        for _ in range(2):
            right = await here.start(name="right", settings=settings["right"])
            await here.listens(right)
            await trio.sleep(here.chance.uniform(0.2, 1.0))
            await here.death(right, kill=True)
        right = await here.start(name="right", settings=settings["right"])
        await here.listens(right)
        await here.finish(left, right)
        for job in here.simulator.jobs:
            assert job.runner_name.endswith("@left" if job.target == "linux" else "@right")


def owners(here: World) -> list[str]:
    """Whose machines there were."""
    return [life.identity.scaler for life in here.machines_made() if life.identity]
