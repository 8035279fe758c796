"""A scaler by a settings file that can be written anew, on a clock that jumps."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio
from tests.engine.conftest import in_loop as in_loop

from scaler import (
    Context,
    Duration,
    Machine,
    Message,
    Registration,
    Running,
    Secret,
    SettingsChange,
    SettingsError,
    View,
    hookimpl,
    load_settings,
    serve,
)
from scaler.reload import Reloaded, Reloader
from scaler.testing import FakeProvisioner, FakeSource

SETTINGS = """
[scaler]
name = "here"
state_dir = "state"
tick = "5s"

[plugins.queue]
[plugins.vm]
screenshot_interval = "0s"
[plugins.deaf]

[profiles.linux]
labels = ["linux"]
max_count = 4
[profiles.linux.queue]
[profiles.linux.vm]
"""

MAC = """
[profiles.mac]
max_count = 2
[profiles.mac.queue]
"""


class Queue(FakeSource):
    """A source that can be told of new settings.

    Attributes:
        saw: At each call, the ceilings of all profiles as they were then.
        script: What its calls do, one after another: an exception is raised, a number is slept.
        answer: What counts only after a restart.
    """

    @dataclass(frozen=True)
    class Config:
        pace: Duration = field(default=Duration(1))
        token: Secret | None = None
        notes: Path | None = None

        def __post_init__(self) -> None:
            if self.pace > 60:
                raise ValueError("pace: it is too slow")

    @dataclass(frozen=True)
    class ProfileConfig:
        group: str = "all"

    def __init__(self, context: Context[Any, Any]) -> None:
        wrong = [
            f"profiles.{name}.queue.group: there is no group {own.group}"
            for name, own in context.own.items()
            if own.group.startswith("no-")
        ]
        if wrong:
            raise SettingsError(wrong)
        super().__init__(context)
        self.saw: list[dict[str, int]] = []
        self.script: list[Any] = []
        self.answer: list[str] = []
        self.finished: dict[str, bool] = {}

    @hookimpl
    async def on_settings_changed(self, change: SettingsChange) -> list[str]:
        self.changes.append(change)
        self.saw.append({name: self.context.ceiling(name) for name in self.context.profiles})
        step = self.script.pop(0) if self.script else None
        if isinstance(step, BaseException):
            raise step
        if step is not None:
            await trio.sleep(step)
        for name in change.removed:  # a delivery that is under way when it is told to leave
            try:
                await self.context.deliver(Message(id=f"last of {name}", profile=name, demand=0))
                self.finished[name] = True
            except LookupError:
                self.finished[name] = False
        return self.answer

    async def told(self, profile: str, demand: int) -> None:
        """Tell how many jobs there are, and nothing of them."""
        self._messages += 1
        message = Message(id=f"m{self._messages}", profile=profile, demand=demand)
        await self.context.deliver(message)


class Vm(FakeProvisioner):
    """A provisioner that can be told of new settings."""

    @dataclass(frozen=True)
    class Config:
        screenshot_interval: Duration = field(default=Duration(0))
        host: str = "a"

    @dataclass(frozen=True)
    class ProfileConfig:
        image: str = "jammy"

    def __init__(self, context: Context[Any, Any]) -> None:
        if context.config.host == "nowhere":
            raise SettingsError(["plugins.vm.host: there is no host nowhere"])
        super().__init__(context)
        self.destroyed_busy: list[str] = []
        self.pictures: list[float] = []

    @hookimpl
    async def screenshot(self, machine: Machine) -> bytes:
        self.pictures.append(trio.current_time())
        return b"\x89PNG\r\n\x1a\n" + machine.id.encode()


class Deaf:
    """A plugin that takes no new settings while it runs."""

    @dataclass(frozen=True)
    class Config:
        volume: int = 1

    def __init__(self, context: Context[Any, Any]) -> None:
        self.context = context

    @hookimpl
    async def check(self) -> list[Any]:
        return []


class Place:
    """One scaler, its file, and what stands around it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "scaler.toml"
        self.queues: type[Queue] = type("Queue", (Queue,), {"made": []})
        self.vms: type[Vm] = type("Vm", (Vm,), {"made": []})
        self.extra: dict[str, type[Any]] = {"queue": self.queues, "vm": self.vms, "deaf": Deaf}
        self.text = SETTINGS
        self.environ: dict[str, str] = {}
        self.running: Running

    def write(self, text: str, *changes: tuple[str, str]) -> None:
        """Write the settings, with some parts of them changed."""
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        self.text = text
        self.file.write_text(text)

    @asynccontextmanager
    async def scaler(self) -> AsyncIterator[Running]:
        """Run it."""
        self.write(self.text)
        settings, loaded = load_settings(self.file, extra=self.extra, environ=self.environ)
        async with trio.open_nursery() as nursery:
            self.running = await nursery.start(serve, settings, loaded)
            yield self.running
            self.running.stop()

    async def reload(self, *changes: tuple[str, str], more: str = "") -> Reloaded:
        """Change the file and have it read."""
        self.write(self.text + more, *changes)
        return await self.running.reload()

    @property
    def queue(self) -> Queue:
        """The source that runs: what is made in vain comes after it."""
        found: Queue = self.queues.made[0]
        return found

    @property
    def vm(self) -> Vm:
        """The provisioner that runs."""
        found: Vm = self.vms.made[0]
        return found

    @property
    def view(self) -> View:
        """What there is now."""
        return self.running.view()

    @property
    def reloader(self) -> Reloader:
        """What reads the settings."""
        return self.running._reloader

    @property
    def state(self) -> Any:
        """The engine's state."""
        return self.running._engine.state

    async def until(self, true: Callable[[], Any], limit: float = 600) -> None:
        """Let time pass until this holds."""
        for _ in range(int(limit / 0.25)):
            if true():
                return
            await trio.sleep(0.25)
        view = self.view
        pytest.fail(f"not within {limit} s: {view.runners}, {view.jobs}, {view.events[-5:]}")

    def runners(self, state: str = "") -> list[Any]:
        """The runners in a state."""
        return [each for each in self.view.runners if state in ("", each.state)]

    async def busy(self, profile: str = "linux") -> Registration:
        """Let a runner have a job."""
        job = await self.queue.job(profile)
        await self.until(lambda: self.queue.jobs[job.id].state == "running")
        await self.until(lambda: any(each.job == job.id for each in self.runners("busy")))
        return self.queue.registrations[self.queue.jobs[job.id].runner_name]


@pytest.fixture
def place(tmp_path: Path, in_loop: list[Any], monkeypatch: pytest.MonkeyPatch) -> Place:
    """A scaler whose file is read within the loop: while a thread works, time would jump."""

    async def read(self: Reloader) -> Any:
        await trio.lowlevel.checkpoint()
        return self._read_in_thread(frozenset(self._state.leaving_profiles))

    monkeypatch.setattr(Reloader, "_in_thread", read)
    return Place(tmp_path)
