"""One machine's folder for a test's runners, and plugins on it that come and go."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from scaler import Machine, Registration, Runner, RunnerState, Secret
from scaler.testing import FakeContext, Memory
from scaler_process.ending import end
from scaler_process.folders import Folders
from scaler_process.plugin import Process
from scaler_process.proc import Process as Running
from scaler_process.proc import read, runners
from scaler_process.settings import Config, ProfileConfig

SECRET = "eyJzZWNyZXQiOiJhIHJ1bm5lcidzIGNvbmZpZyJ9"
PYTHON = sys.executable
SCALERS = ("here", "there")


def runner(number: int = 1, *, scaler: str = "here", **more: Any) -> Runner:
    """A runner as the core names it."""
    name = f"linux.{number}@{scaler}"
    return Runner(id=number, name=name, profile="linux", state=RunnerState.REGISTERED, **more)


def registration(of: Runner, config: str = SECRET) -> Registration:
    """What lets it join."""
    return Registration(name=of.name, config=Secret(config))


def runs(process: Running) -> bool:
    """Whether this very process is there and has not ended."""
    seen = read(process.pid)
    return seen == process and seen is not None and not seen.ended


def environment(pid: int) -> dict[str, str]:
    """A process's environment, as it was given."""
    entries = Path(f"/proc/{pid}/environ").read_text().rstrip("\0").split("\0")
    return dict(entry.split("=", 1) for entry in entries if entry)


def command_line(pid: int) -> str:
    """A process's command line."""
    return Path(f"/proc/{pid}/cmdline").read_text()


class Place:
    """One machine: a folder, and the plugins of scalers that come and go."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.base = folder / "runners"

    @asynccontextmanager
    async def scaler(
        self, *command: str, name: str = "here", most: int = 20, **own: Any
    ) -> AsyncIterator[Here]:
        """A plugin with its service running, for as long as the block lasts; then it is no more."""
        context: FakeContext[Config, ProfileConfig] = FakeContext(
            Config(folder=self.base, most=most),
            name="process",
            scaler=name,
            own={"linux": ProfileConfig(command=command or ("sleep", "600"), **own)},
            memory=Memory(self.folder / f"state-{name}"),
        )
        plugin = Process(context)
        async with trio.open_nursery() as nursery:
            await nursery.start(plugin.run_service)
            yield Here(self, context, plugin)
            nursery.cancel_scope.cancel()  # as a crash: nothing was told to stop

    def tags(self) -> set[str]:
        """The tags of this place's runners; other tests have theirs on the same machine."""
        return {each.tag for name in SCALERS for each in Folders(self.base, name)} - {""}

    def processes(self) -> list[Running]:
        """Its runners' processes that run, a keeper first."""
        mine = self.tags()
        found = [each for tag, found in runners().items() if tag in mine for each in found]
        return sorted(each for each in found if not each.ended)

    def running(self) -> int:
        """How many there are."""
        return len(self.processes())

    def clear(self) -> None:
        """Kill them."""
        for tag in self.tags():
            end(tag, patience=10)

    def files(self) -> list[Path]:
        """Every plain file in it."""
        return [path for path in self.folder.rglob("*") if path.is_file()]


class Here:
    """A plugin on a place."""

    def __init__(self, place: Place, context: FakeContext[Any, Any], plugin: Process) -> None:
        self.place = place
        self.context = context
        self.plugin = plugin

    async def provision(self, number: int = 1) -> Machine:
        """Have a runner made."""
        made = runner(number, scaler=self.context.scaler)
        return await self.plugin.provision_runner(made, registration(made))

    async def destroy(self, number: int = 1, *, failed: bool = False) -> None:
        """Have it destroyed."""
        gone = runner(number, scaler=self.context.scaler, failed=failed)
        with trio.fail_after(60):
            await self.plugin.destroy_runner(gone)

    async def ended(self, number: int = 1) -> Machine:
        """Wait until the core is told that it has stopped."""
        await until(lambda: self._told(number))
        return self._told(number)[0]

    def _told(self, number: int) -> list[Machine]:
        told = self.context.core.machines
        return [each for each in told if each.runner == number and each.state == "stopped"]


async def until(what: Callable[[], Any], seconds: float = 20) -> None:
    """Wait until something is true."""
    with trio.fail_after(seconds):
        while not what():  # noqa: ASYNC110 - what is asked has no event
            await trio.sleep(0.01)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A machine; whatever a test leaves on it is killed."""
    made = Place(tmp_path)
    made.base.mkdir()
    yield made
    made.clear()
