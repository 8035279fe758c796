"""Whole jobs: the simulator, scaler, and a process that plays the runner."""

from __future__ import annotations

import json
import secrets
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio
from tests.whole.test_process import scaler_process

from scaler import load_settings, serve
from scaler_github.testing import Simulator
from scaler_process.ending import end

pytestmark = pytest.mark.authors

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "docs/examples"

SETTINGS = """
[scaler]
name = "{name}"
state_dir = "{folder}/state"
plugin_dir = "{examples}"
tick = "2s"
shutdown_grace = "5s"

[plugins.github]
url = "{url}"
token = {{ env = "TEST_TOKEN" }}
[plugins.actions-queue]
[plugins.{plugin}]

[profiles.linux]
max_count = 3
[profiles.linux.{plugin}]
"""
OWN = {
    "process": 'runner_dir = "{folder}/unpacked"\ncommand = ["./job.sh", "{control}", "{go}"]\n',
    "processes": 'command = ["{folder}/unpacked/job.sh", "{control}", "{go}"]\n',
}


class Site:
    """A simulator, a runner that is unpacked, and settings."""

    def __init__(self, folder: Path, simulator: Simulator) -> None:
        self.folder = folder
        self.simulator = simulator
        self.go = folder / "go"
        self.name = f"example-{secrets.token_hex(4)}"  # others' tests run on this machine as well
        (folder / "unpacked").mkdir()
        program = folder / "unpacked/job.sh"
        program.write_text(f"#!{sys.executable}\n{(HERE / 'runner.py').read_text()}")
        program.chmod(0o755)

    def settings(self, plugin: str) -> Path:
        """Written down."""
        file = self.folder / "scaler.toml"
        text = (SETTINGS + OWN[plugin]).format(
            name=self.name,
            folder=self.folder,
            examples=EXAMPLES,
            url=self.simulator.url,
            control=f"{self.simulator.origin}/_control",
            go=self.go,
            plugin=plugin,
        )
        file.write_text(text)
        return file

    def runners(self) -> list[Path]:
        """The folders of scaler-process."""
        return sorted((self.folder / "state/plugins/process").glob("*@*"))

    def work(self) -> str:
        """What the only job has written into its folder."""
        (folder,) = self.runners()
        file = folder / "files/work"
        return file.read_text() if file.exists() else ""


@pytest.fixture
async def site(
    tmp_path: Path, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Site]:
    """A site; the runners that a scaler leaves to its next start end with the test."""
    monkeypatch.chdir(tmp_path)  # the plugin in one file has no folder of its own for a runner
    simulator = Simulator()
    await nursery.start(simulator.serve)
    made = Site(tmp_path, simulator)
    yield made
    for folder in made.runners():
        end(json.loads((folder / "machine.json").read_text())["tag"], patience=10)


@pytest.mark.parametrize("plugin", OWN)
async def test_a_job_goes_through(plugin: str, site: Site, nursery: trio.Nursery) -> None:
    simulator = site.simulator
    loaded = load_settings(site.settings(plugin), environ={"TEST_TOKEN": simulator.token})
    running: Any = await nursery.start(serve, *loaded)
    with trio.fail_after(40):
        await simulator.wait_for(lambda: simulator.scale_sets)
        simulator.queue_jobs("linux", 2)
        await simulator.wait_for(lambda: len(simulator.jobs_in("running")) == 2, timeout=20)
        site.go.touch()
        await simulator.wait_for(lambda: len(simulator.jobs_in("completed")) == 2, timeout=20)
        view = running.view()
        while view.runners:
            view = await running.next_view(view)
        assert site.runners() == []
        assert simulator.agents == []
        assert not any(report.ok is False for report in running.view().reports)
        running.stop()
        await running.stopped.wait()


async def test_a_job_outlives_a_scaler_that_is_killed(site: Site) -> None:
    """Killed in the middle of a job, and started again: the same process goes on in its folder."""
    simulator, settings = site.simulator, site.settings("process")
    async with scaler_process(settings, simulator.token) as first:
        await first.until(lambda: simulator.scale_sets)
        (job,) = simulator.queue_jobs("linux", 1)
        await first.until(lambda: job.state == "running" and site.work())
        first.process.send_signal(signal.SIGKILL)
        await first.ended.wait()
    (folder,) = site.runners()
    assert site.work() == f"{job.request_id}\n"
    async with scaler_process(settings, simulator.token) as second:
        await second.until(lambda: simulator.count("poll") > 1)
        await trio.sleep(0.5)
        assert site.runners() == [folder]
        assert job.state == "running"
        site.go.touch()
        await second.until(lambda: job.state == "completed")
        await second.until(lambda: folder not in site.runners())
        assert job.result == "succeeded"
        assert await second.stop(signal.SIGTERM) == 0
    assert "Traceback" not in first.log + second.log


async def test_a_stop_leaves_the_job_alone_and_the_next_start_adopts_it(site: Site) -> None:
    simulator, settings = site.simulator, site.settings("process")
    async with scaler_process(settings, simulator.token) as first:
        await first.until(lambda: simulator.scale_sets)
        (job,) = simulator.queue_jobs("linux", 1)
        await first.until(lambda: job.state == "running" and site.work())
        assert await first.stop(signal.SIGTERM) == 0
    assert job.state == "running"
    (folder,) = site.runners()
    site.go.touch()  # it ends while nobody looks
    await simulator.wait_for(lambda: job.state == "completed", timeout=20)
    async with scaler_process(settings, simulator.token) as second:
        await second.until(lambda: folder not in site.runners())
        assert await second.stop(signal.SIGTERM) == 0
    assert "Traceback" not in first.log + second.log
