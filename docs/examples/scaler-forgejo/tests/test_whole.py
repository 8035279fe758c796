"""A job's whole way, through a scaler: it waits, a runner is made for it, works, and is gone."""

from __future__ import annotations

from scaler.testing import run_scaler
from scaler_forgejo import ForgejoSource
from scaler_forgejo.testing import TOKEN, Forge

SETTINGS = """
[plugins.forgejo]
url = "{url}"
scope = "orgs/acme"
token = {{ env = "FORGEJO_TOKEN" }}
interval = "1s"

[profiles.linux]
max_count = 2
[profiles.linux.forgejo]
"""


async def test_a_job_gets_a_runner_and_nothing_is_left_of_it(forge: Forge) -> None:
    settings = SETTINGS.format(url=forge.url)
    environ = {"FORGEJO_TOKEN": TOKEN}
    async with run_scaler(ForgejoSource, settings=settings, environ=environ) as scaler:
        job = forge.add_job("linux")
        made = await scaler.runner("booting")
        [runner] = forge.runners.values()
        assert runner["name"] == made.name

        runner["status"] = "idle"  # what is in the machine connects
        await scaler.runner("idle")
        runner["status"], job["status"] = "active", "running"
        await scaler.runner("busy")

        forge.jobs.clear()  # the job ends, and Forgejo removes its runner
        forge.runners.clear()
        await scaler.until(lambda view: not view.runners)
        assert scaler.provisioner is not None
        assert not scaler.provisioner.machines
        assert len(scaler.hooks.of("register_runner", "forgejo")) == 1
