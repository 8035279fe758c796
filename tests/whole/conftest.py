"""A whole scaler against the simulator of GitHub and libvirt's test driver."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import libvirt
import pytest
import trio

from scaler import Runner, Running, hookimpl, load_settings, serve
from scaler_github.testing import Simulator

SETTINGS = """
[scaler]
name = "{name}"
state_dir = "{folder}/state"
tick = "2s"
shutdown_grace = "5s"

[plugins.github]
url = "{url}"
token = {{ env = "TEST_TOKEN" }}

[plugins.actions-queue]

[plugins.libvirt]
hosts = [{{ name = "here", uri = "{uri}", memory = "64G", vcpus = 64 }}]
{plugins}

[profiles.linux]
labels = ["self-hosted-image:linux"]
target_count = {target}
max_count = {most}
resources = {{ memory = "1G", vcpus = 1 }}
[profiles.linux.actions-queue]
[profiles.linux.libvirt]
"""


def _description(domain: libvirt.virDomain) -> str:
    try:
        return str(domain.XMLDesc())
    except libvirt.libvirtError:  # it has just gone
        return ""


class Place:
    """One test's world: a simulator, a hypervisor of its own, a folder."""

    def __init__(self, folder: Path, simulator: Simulator) -> None:
        self.folder = folder
        self.simulator = simulator
        self.name = "whole"
        self.uri = "test:///default"

    def settings(self, *, target: int = 0, most: int = 4, plugins: str = "") -> Path:
        """Write the settings."""
        path = self.folder / "scaler.toml"
        path.write_text(
            SETTINGS.format(
                name=self.name,
                folder=self.folder,
                url=self.simulator.url,
                uri=self.uri,
                plugins=plugins,
                target=target,
                most=most,
            )
        )
        return path

    def domains(self) -> list[str]:
        """The names of this scaler's domains, asked of libvirt itself."""
        connection = libvirt.open(self.uri)
        try:
            return sorted(
                domain.name()
                for domain in connection.listAllDomains()
                if self.name in _description(domain)
            )
        finally:
            connection.close()

    @asynccontextmanager
    async def scaler(
        self, *, extra: dict[str, type[Any]] | None = None, guests: bool = False, **settings: Any
    ) -> AsyncIterator[Running]:
        """A scaler that runs for as long as the block lasts, then stops cleanly."""
        extra = dict(extra or {})
        if guests:
            extra["guest"] = type("Guest", (Guest,), {"simulator": self.simulator})
        plugins = "".join(f"[plugins.{name}]\n" for name in extra)
        loaded = load_settings(
            self.settings(plugins=plugins, **settings),
            extra=extra,
            environ={"TEST_TOKEN": self.simulator.token},
        )
        async with trio.open_nursery() as nursery:
            running = await nursery.start(serve, *loaded)
            yield running
            running.stop()
            with trio.fail_after(10):
                await running.stopped.wait()
            nursery.cancel_scope.cancel()

    async def until(self, what: Callable[[], Any], seconds: float = 10) -> None:
        """Wait until something is true; it is looked at often."""
        with trio.move_on_after(seconds) as scope:
            while not what():  # noqa: ASYNC110 - what is asked has no event
                await trio.sleep(0.01)
        assert not scope.cancelled_caught, "it did not come true in time"

    async def machine_of(self, running: Running, count: int = 1) -> list[Runner]:
        """Wait until so many runners have machines; those runners."""

        def made() -> list[Runner]:
            return [each for each in running.view().runners if each.machine is not None]

        await self.until(lambda: len(made()) >= count)
        return made()


class Recorder:
    """A plugin that remembers what it is told."""

    def __init__(self, context: Any) -> None:
        self.context = context
        type(self).seen = []

    seen: list[tuple[str, Any]]

    @hookimpl
    async def on_message(self, message: Any) -> None:
        self.seen.append(("message", message))

    @hookimpl
    async def on_job_changed(self, job: Any, before: Any) -> None:
        self.seen.append(("job", job))

    @hookimpl
    async def on_runner_changed(self, runner: Any, before: Any) -> None:
        self.seen.append(("runner", runner))


class Guest:
    """Plays what runs inside machines: nothing comes online before its domain exists."""

    simulator: Simulator

    def __init__(self, context: Any) -> None:
        del context

    @hookimpl
    async def on_runner_changed(self, runner: Runner, before: Runner | None) -> None:
        if runner.machine is not None and (before is None or before.machine is None):
            await trio.sleep(0.01)
            with suppress(LookupError):  # retired already
                self.simulator.bring_online(runner.name)


@pytest.fixture
def recorder() -> type[Recorder]:
    """A recorder of this test's own."""
    return type("Recorder", (Recorder,), {"seen": []})


@pytest.fixture(params=["assigned", "offered"])
def flow(request: pytest.FixtureRequest) -> str:
    """How jobs come: as from github.com, or as from an Enterprise Server."""
    return str(request.param)


@pytest.fixture
def place(
    tmp_path: Path,
) -> Callable[..., AbstractAsyncContextManager[Place]]:
    """Make a place: `async with place(flow="assigned") as here`."""

    @asynccontextmanager
    async def make(**options: Any) -> AsyncIterator[Place]:
        # test:///default lives as long as somebody is connected: a watcher keeps it for the test
        watcher = libvirt.open("test:///default")
        try:
            async with trio.open_nursery() as nursery:
                simulator = Simulator(**options)
                await nursery.start(simulator.serve)
                yield Place(tmp_path, simulator)
                nursery.cancel_scope.cancel()
        finally:
            for domain in watcher.listAllDomains():
                if "whole" in _description(domain):
                    domain.destroy()
            watcher.close()

    return make
