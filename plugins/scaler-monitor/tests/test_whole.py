"""The plugin in a real scaler, beside a source and a provisioner that live in memory."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from scaler import (
    Job,
    Machine,
    Message,
    Registration,
    Runner,
    Running,
    Secret,
    SettingsError,
    hookimpl,
    load_settings,
    serve,
)

SETTINGS = """
[scaler]
name = "here"
state_dir = "{folder}/state"

[plugins.toy]
[plugins.monitor]
{monitor}

[profiles.linux]
max_count = 1
[profiles.linux.toy]
"""


class Toy:
    """Source and provisioner: one job waits, another has no place."""

    @dataclass(frozen=True)
    class ProfileConfig:
        """Nothing to set."""

    def __init__(self, context: Any) -> None:
        self.context = context
        self.runners: dict[str, Runner] = {}

    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        jobs = (Job(id="a", state="assigned"), Job(id="b", state="assigned"))
        await self.context.deliver(Message(id="1", profile="linux", jobs=jobs, demand=2))
        self.context.report("polled", profile="linux")
        await self.context.stopping.wait()

    @hookimpl
    async def register_runner(self, runner: Runner) -> Registration:
        self.runners[runner.name] = runner
        config = Secret("the canary of the registration")
        return Registration(name=runner.name, ref=str(runner.id), config=config)

    @hookimpl
    async def unregister_runner(self, runner: Runner) -> None:
        self.runners.pop(runner.name, None)

    @hookimpl
    async def list_registrations(self) -> list[Registration]:
        return [Registration(name=name, online=True) for name in self.runners]

    @hookimpl
    async def provision_runner(self, runner: Runner) -> Machine:
        return Machine(runner=runner.id, id=f"toy-{runner.id}", addresses=("10.0.0.9",))

    @hookimpl
    async def destroy_runner(self, runner: Runner) -> None:
        del runner

    @hookimpl
    async def list_machines(self) -> list[Machine]:
        return [
            Machine(runner=runner.id, id=f"toy-{runner.id}") for runner in self.runners.values()
        ]


@asynccontextmanager
async def scaler(folder: Path, monitor: str) -> AsyncIterator[Running]:
    path = folder / "scaler.toml"
    path.write_text(SETTINGS.format(folder=folder, monitor=monitor))
    settings, loaded = load_settings(path, extra={"toy": Toy})
    async with trio.open_nursery() as nursery:
        running: Running = await nursery.start(serve, settings, loaded)
        try:
            yield running
        finally:
            running.stop()


async def until(running: Running, what: Any) -> None:
    with trio.fail_after(8):
        while not what():
            await running.next_view(running.view())


def lines(running: Running) -> list[tuple[bool, str]]:
    return [(each.ok, each.text) for each in running.view().reports if each.plugin == "monitor"]


async def test_it_shows_what_a_scaler_does(tmp_path: Path) -> None:
    async with scaler(tmp_path, 'listen = ["127.0.0.1:0"]') as running:
        await until(running, lambda: lines(running) and running.view().runners)
        await until(running, lambda: running.view().runners[0].machine)
        [(ok, text)] = lines(running)
        assert ok
        async with httpx.AsyncClient(base_url=text.removeprefix("serves ")) as client:
            assert (await client.get("/readyz")).status_code == 200
            response = await client.get("/dashboard.json")
        shown = response.json()
        assert shown["profile_runner_counts"]["linux"]["target"] == 1
        [entry] = shown["runners"]
        assert entry["runner"]["name"] == "linux.1@here"
        assert entry["runner"]["guest_name"] == "toy-1"
        assert entry["runner"]["ipv4_address"] == "10.0.0.9"
        assert {job["id"] for job in shown["jobs"]} == {"a", "b"}
        assert all(job["waiting"] for job in shown["jobs"])
        assert shown["events"]
        assert "canary" not in response.text


async def test_a_port_in_use_is_told_and_tried_again(tmp_path: Path, caplog: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        async with scaler(tmp_path, f'listen = ["127.0.0.1:{port}"]') as running:
            told = f"cannot listen on 127.0.0.1:{port}: Address already in use"
            assert any(text.endswith(told) for ok, text in lines(running) if not ok)
            assert len([each for each in caplog.records if each.levelname == "ERROR"]) == 1
            other.close()
            await until(running, lambda: all(ok for ok, _ in lines(running)))
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
                assert (await client.get("/readyz")).status_code == 200


def test_mistakes_are_shown_at_their_line(tmp_path: Path) -> None:
    path = tmp_path / "scaler.toml"
    for monitor, told in (
        ('listen = ["localhost"]', "plugins.monitor.listen: 'localhost': wanted"),
        ('token = "x"', "plugins.monitor.token"),
    ):
        path.write_text(SETTINGS.format(folder=tmp_path, monitor=monitor))
        with pytest.raises(SettingsError) as caught:
            load_settings(path, extra={"toy": Toy})
        assert told in str(caught.value)
        assert f"{path}:8" in str(caught.value)
