"""A whole scaler with what was filled in around a plugin, and what saw its hooks called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest
import trio

from scaler import Job, hookimpl
from scaler.testing import FakeProvisioner, FakeSource, HookRecorder, run_scaler

if TYPE_CHECKING:
    from pathlib import Path


class Counts:
    """An observer."""

    def __init__(self, context: Any) -> None:
        self.context = context

    @hookimpl
    async def on_job_changed(self, job: Job) -> None:
        self.context.report(f"{job.id} is {job.state}")


async def test_a_job_goes_through_a_scaler_of_fakes() -> None:
    async with run_scaler(Counts) as scaler:
        assert isinstance(scaler.source, FakeSource)
        assert isinstance(scaler.provisioner, FakeProvisioner)
        job = await scaler.source.job("linux")
        runner = await scaler.runner("busy")
        assert runner.job == job.id
        assert set(scaler.provisioner.machines) == {runner.id}

        await scaler.source.finish(job.id)
        scaler.provisioner.stop(runner.id)
        await scaler.until(lambda view: not view.runners)
        assert scaler.provisioner.machines == {}
        told = [call.arguments["job"] for call in scaler.hooks.of("on_job_changed", "counts")]
        assert [job.state for job in told if isinstance(job, Job)][-1] == "done"
        made = await scaler.hooks.wait_for("provision_runner")
        assert (made.plugin, made.outcome, made.answer) == (
            *("fake-provisioner", "answered", runner.machine),
        )


async def test_what_the_settings_have_is_not_filled_in(tmp_path: Path) -> None:
    class Mine(FakeProvisioner):
        made: ClassVar[list[Any]] = []

    settings = "[plugins.mine]\n[profiles.linux]\ntarget_count = 2\n[profiles.linux.mine]\n"
    async with run_scaler(Mine, settings=settings, folder=tmp_path) as scaler:
        assert scaler.provisioner is None
        await scaler.until(lambda view: len([r for r in view.runners if r.state == "idle"]) == 2)
    assert (tmp_path / "state").is_dir()
    assert len(Mine.made) == 1


async def test_waiting_for_a_hook_that_is_not_called_ends(
    autojump_clock: trio.testing.MockClock,
) -> None:
    with pytest.raises(trio.TooSlowError):
        await HookRecorder().wait_for("provision_runner")
