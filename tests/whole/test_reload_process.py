"""Settings and signals as a service manager sees them: a process, its exit code, and its log."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.once

QUEUE = """
from dataclasses import dataclass

from scaler import SettingsError, hookimpl
from scaler.testing import FakeSource


class Queue(FakeSource):
    @dataclass(frozen=True)
    class Config:
        pace: int = 1

    def __init__(self, context):
        if context.config.pace > 9:
            raise SettingsError(["plugins.queue.pace: it is too fast"])
        super().__init__(context)
"""
ROOMS = """
from dataclasses import dataclass

from scaler import SettingsError, hookimpl
from scaler.testing import FakeProvisioner


class Rooms(FakeProvisioner):
    @dataclass(frozen=True)
    class Config:
        host: str = "a"

    def __init__(self, context):
        if context.config.host == "nowhere":
            raise SettingsError(["plugins.rooms.host: there is no host nowhere"])
        super().__init__(context)
"""
SETTINGS = """
[scaler]
name = "here"
state_dir = "state"
plugin_dir = "plugins"
[plugins.queue]
pace = 1
[plugins.rooms]
host = "a"
[profiles.linux]
max_count = 4
"""


class Process:
    """A scaler in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "scaler.toml"
        self.log = folder / "log"
        plugins = folder / "plugins"
        plugins.mkdir()
        (plugins / "queue.py").write_text(QUEUE)
        (plugins / "rooms.py").write_text(ROOMS)
        self.file.write_text(SETTINGS)
        self.process: subprocess.Popen[bytes]

    def start(self, **more: object) -> None:
        """Start it."""
        command = [sys.executable, "-m", "scaler", "run", "-c", str(self.file)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, **{"stderr": log, **more})  # type: ignore[call-overload]

    def until(self, true: Callable[[], object], seconds: float = 30) -> None:
        """Wait until this holds, while it runs."""
        end = time.monotonic() + seconds
        while not true():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.02)

    def says(self, text: str) -> None:
        """Wait until it says this."""
        self.until(lambda: text in self.log.read_text())

    def change(self, old: str, new: str) -> None:
        """Change the file."""
        text = self.file.read_text()
        assert old in text
        self.file.write_text(text.replace(old, new))

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop it; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(20)


@pytest.fixture
def scaler(tmp_path: Path) -> Iterator[Process]:
    """Not started yet."""
    made = Process(tmp_path)
    yield made
    if hasattr(made, "process") and made.process.poll() is None:
        made.process.kill()
        made.process.wait()


@pytest.mark.parametrize("change", [("[scaler]", "[scaler]\ntick = 'soon'\nlog = 'loud'"), None])
def test_c45_wrong_settings_at_a_start_are_all_told_before_anything_is_done(
    scaler: Process, change: tuple[str, str] | None
) -> None:
    if change is not None:
        scaler.change(*change)
        expected = ["scaler.tick", "scaler.log"]
    else:
        scaler.change("pace = 1", "pace = 10")
        scaler.change('host = "a"', 'host = "nowhere"')
        expected = ["plugins.queue.pace", "plugins.rooms.host"]
    scaler.start()
    assert scaler.process.wait(30) == 3
    told = scaler.log.read_text()
    assert [each for each in expected if f"{each}: " not in told] == []
    assert "2 problems in the settings" in told
    assert not (scaler.folder / "state").exists()


def test_c46_a_hangup_reloads_and_two_more_signals_end_it(scaler: Process) -> None:
    scaler.start()
    scaler.says("scaler here starts")
    scaler.change("max_count = 4", "max_count = 5")
    scaler.process.send_signal(signal.SIGHUP)
    scaler.says("profiles.linux.max_count: 5, was 4")
    scaler.change("pace = 1", "pace = 10")
    scaler.change('host = "a"', 'host = "nowhere"')
    scaler.process.send_signal(signal.SIGHUP)
    scaler.says("what runs stays as it is")
    told = scaler.log.read_text()
    assert "plugins.queue.pace: it is too fast" in told
    assert "plugins.rooms.host: there is no host nowhere" in told
    scaler.change("pace = 10", "pace = 2")
    scaler.change('host = "nowhere"', 'host = "a"')
    scaler.process.send_signal(signal.SIGHUP)
    scaler.says("new settings: plugins.queue.pace")
    assert scaler.stop() == 0


@pytest.mark.parametrize("wait", [0.0, 0.1, 0.3, 0.6, 1.0])
def test_c46_a_hangup_at_any_moment_of_a_start_ends_nothing(scaler: Process, wait: float) -> None:
    ready = scaler.folder / "state" / "lock"
    scaler.start()
    # (until Python has begun it has no handler of ours: that is before the first line of scaler)
    scaler.until(lambda: b"SigCgt" in Path(f"/proc/{scaler.process.pid}/status").read_bytes())
    scaler.until(lambda: _minds(scaler.process.pid))
    time.sleep(wait)
    scaler.process.send_signal(signal.SIGHUP)
    scaler.says("the settings were read anew: nothing changed")
    assert ready.exists()
    assert scaler.stop(signal.SIGINT) == 0


def _minds(pid: int) -> bool:
    """Whether the process handles a hangup."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (signal.SIGHUP - 1) & 1)
    return False


def test_c46_a_terminal_that_goes_away_stops_it_cleanly(scaler: Process) -> None:
    leader, follower = pty.openpty()
    scaler.start(stderr=follower, start_new_session=True, preexec_fn=_controlled)
    os.close(follower)
    seen = b""
    while b"scaler here starts" not in seen:
        seen += os.read(leader, 4096)
    scaler.until(lambda: (scaler.folder / "state" / "control.sock").exists())
    time.sleep(1)
    os.close(leader)
    assert scaler.process.wait(20) == 0


def _controlled() -> None:
    import fcntl
    import termios

    fcntl.ioctl(2, termios.TIOCSCTTY, 0)
