"""A job's whole way, through a scaler: it waits, a runner is made for it, works, and is gone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import trio

from scaler import load_settings, serve
from scaler.testing import FakeProvisioner
from scaler_forgejo.testing import TOKEN, Forge

SETTINGS = """
[scaler]
name = "here"
state_dir = "state"
tick = "1s"

[plugins.forgejo]
url = "{url}"
scope = "orgs/acme"
token = {{ env = "FORGEJO_TOKEN" }}
interval = "1s"

[plugins.fake-provisioner]

[profiles.linux]
max_count = 2
[profiles.linux.forgejo]
"""


async def test_a_job_gets_a_runner_and_nothing_is_left_of_it(
    forge: Forge, nursery: trio.Nursery, tmp_path: Path
) -> None:
    machines: Any = type("FakeProvisioner", (FakeProvisioner,), {"made": []})
    file = tmp_path / "scaler.toml"
    file.write_text(SETTINGS.format(url=forge.url))
    extra = {"fake-provisioner": machines}
    settings, loaded = load_settings(file, extra=extra, environ={"FORGEJO_TOKEN": TOKEN})
    running = await nursery.start(partial(serve, settings, loaded))

    async def until(true: Callable[[], Any]) -> None:
        with trio.fail_after(20):
            view = running.view()
            while not true():
                view = await running.next_view(view)

    job = forge.add_job("linux")
    await until(lambda: machines.made and machines.made[0].machines)
    [machine] = machines.made[0].machines.values()
    [runner] = forge.runners.values()
    assert runner["name"] == machine.runner_name

    runner["status"] = "idle"
    await until(lambda: [each.state for each in running.view().runners] == ["idle"])
    runner["status"] = job["status"] = "active"
    job["status"] = "running"
    await until(lambda: [each.state for each in running.view().runners] == ["busy"])

    forge.jobs.clear()
    forge.runners.clear()
    await until(lambda: not running.view().runners)
    assert not machines.made[0].machines
    assert [path for method, path in forge.asked if method == "POST"] == [
        "/orgs/acme/actions/runners"
    ]
    running.stop()
    with trio.fail_after(20):
        await running.stopped.wait()
