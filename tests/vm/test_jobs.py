"""Jobs that run in real guests, and what is left of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.vm.site import HELD, HOLD, MINIMAL, Profile, site

if TYPE_CHECKING:
    from pathlib import Path

    from tests.vm.lab import Hypervisor


async def test_ten_runners_do_ten_jobs_and_nothing_is_left(
    hypervisor: Hypervisor, tmp_path: Path
) -> None:
    async with site(hypervisor, tmp_path, Profile(name="linux", most=10)) as here:
        scaler = await here.start()
        jobs = here.queue("linux", 10)
        await here.completed(jobs)
        await here.clean()
        assert [job.result for job in jobs] == ["succeeded"] * 10
        assert set(here.starts.of_job.values()) == {1}
        assert len(here.machines) == len({job.runner_name for job in jobs}) == 10
        assert await scaler.stop() == 0


async def test_kill_9_in_the_middle_loses_no_machine_and_no_job(
    hypervisor: Hypervisor, tmp_path: Path
) -> None:
    async with site(hypervisor, tmp_path, Profile(name="linux", script=HELD + MINIMAL)) as here:
        here.mark(HOLD)
        scaler = await here.start()
        jobs = here.queue("linux", 1)
        await here.until(lambda: jobs[0].state == "running")
        jobs += here.queue("linux", 3)
        # one boots, and the others are being made
        await here.until(lambda: len(here.machines) == 2)
        await scaler.kill()
        there = {life.uuid for life in here.running()}
        scaler = await here.start()
        await here.until(lambda: there <= here.known())
        await here.until(lambda: all(job.state == "running" for job in jobs))
        here.unmark(HOLD)
        await here.completed(jobs)
        await here.clean()
        assert [job.result for job in jobs] == ["succeeded"] * 4
        assert set(here.starts.of_job.values()) == {1}
        # nothing was made twice, and nothing that was there was given up
        assert len(here.machines) == len({job.runner_name for job in jobs}) == 4
        assert await scaler.stop() == 0
