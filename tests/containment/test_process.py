"""`scaler run` as a process, with a plugin that blocks, swallows or hangs: told, and it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HEAD = """
import threading, time, signal
import trio
from scaler import Registration, Room, hookimpl


class Plugin:
    def __init__(self, context):
        self.context = context

    @hookimpl
    async def register_runner(self, runner):
        return Registration(name=runner.name, ref="1")

    @hookimpl
    async def unregister_runner(self, runner):
        pass

    @hookimpl
    async def provision_runner(self, runner, registration):
        await trio.sleep_forever()

    @hookimpl
    async def destroy_runner(self, runner):
        pass

    @hookimpl
    async def list_registrations(self):
        return []

    @hookimpl
    async def list_machines(self):
        return []
"""
SETTINGS = """
[scaler]
name = "host"
state_dir = "{folder}/state"
plugin_dir = "{folder}/plugins"
shutdown_grace = "1s"
[plugins.bad]
[profiles.linux]
"""


class Scaler:
    """A scaler in a process, and what it says."""

    def __init__(self, folder: Path, more: str, first: str) -> None:
        plugins = folder / "plugins"
        plugins.mkdir()
        (plugins / "bad.py").write_text(HEAD + textwrap.indent(textwrap.dedent(more), "    "))
        settings = folder / "scaler.toml"
        settings.write_text(SETTINGS.format(folder=folder))
        self.out = folder / "log"
        self.folder = folder
        with self.out.open("wb") as out:
            main = f"import sys; {first}; from scaler.cli.main import main; sys.exit(main())"
            command = [sys.executable, "-c", main, "run", "-c", str(settings)]
            self.process = subprocess.Popen(command, stderr=out, stdout=subprocess.DEVNULL)

    def log(self) -> str:
        return self.out.read_text(errors="replace")

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log().splitlines() if line[:1] == "{"]

    def until(self, text: str, seconds: float = 30) -> str:
        """Wait for a message with this text."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for line in self.lines():
                if text in line["message"]:
                    return str(line["message"])
            assert self.process.poll() is None, self.log()
            time.sleep(0.05)
        raise AssertionError(f"no {text!r} in {self.log()}")

    def stop(self, seconds: float) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


@pytest.fixture
def scaler(tmp_path: Path) -> Iterator[Callable[..., Scaler]]:
    begun: list[Scaler] = []

    def start(more: str, first: str = "pass") -> Scaler:
        begun.append(Scaler(tmp_path, more, first))
        return begun[-1]

    yield start
    for each in begun:
        each.process.kill()
        each.process.wait()


def test_d33_every_plugin_is_told_with_its_origin(scaler: Callable[..., Scaler]) -> None:
    run = scaler("")
    assert f"plugin bad: {run.folder}/plugins/bad.py" in run.until("plugin bad")
    assert run.stop(20) == 0


@pytest.mark.parametrize("blocking", ["time.sleep(300)", "while True: pass"])
def test_c41_a_blocked_loop_is_told_and_broken_off(
    scaler: Callable[..., Scaler], blocking: str
) -> None:
    run = scaler(
        f"""
        @hookimpl
        async def capacity(self):
            if not hasattr(self, "done"):
                self.done = True
                {blocking}
            return [Room(name="a")]
        """
    )
    told = run.until("the event loop is blocked")
    assert "by bad.capacity at" in told
    assert "plugins/bad.py:" in told
    run.until("bad.capacity: raised Blocked")
    assert run.stop(20) == 0


def test_c41_a_library_s_frames_are_never_broken_off(scaler: Callable[..., Scaler]) -> None:
    run = scaler(
        """
        @hookimpl
        async def capacity(self):
            if not hasattr(self, "done"):
                self.done = True
                threading.Event().wait(8)
                self.context.log.warning("it goes on")
            return [Room(name="a")]
        """
    )
    run.until("the event loop is blocked")
    assert "bad.capacity at" in run.until("is not broken off")
    run.until("it goes on")
    assert "Blocked" not in run.log().replace("is blocked", "")
    assert run.stop(20) == 0


@pytest.mark.parametrize(
    "hook",
    ["capacity(self)", "run_service(self, task_status)"],
    ids=["hook", "service"],
)
def test_c42_a_shutdown_ends_though_cancellation_is_swallowed(
    scaler: Callable[..., Scaler], hook: str
) -> None:
    run = scaler(
        f"""
        @hookimpl
        async def {hook}:
            if {hook.startswith("run")}:
                task_status.started()
            self.context.log.info("it begins")
            while True:
                try:
                    await trio.sleep(1)
                except BaseException:
                    pass
        """
    )
    run.until("it begins")
    began = time.monotonic()
    assert run.stop(30) == 0  # it could be let go
    assert time.monotonic() - began < 20
    assert "goes on at" in run.log()


def test_c42_a_shutdown_is_forced_where_a_thread_cannot_be_left(
    scaler: Callable[..., Scaler],
) -> None:
    run = scaler(
        """
        @hookimpl
        async def run_service(self, task_status):
            task_status.started()
            self.context.log.info("it begins")
            await trio.to_thread.run_sync(time.sleep, 300)
        """
    )
    run.until("it begins")
    assert run.stop(40) == 70
    assert "these do not end: bad.run_service" in run.log()
    assert "Thread 0x" in run.log()
    assert any("scaler host stopped" in line["message"] for line in run.lines())


def test_c42_a_thread_that_is_no_daemon_does_not_keep_the_process(
    scaler: Callable[..., Scaler],
) -> None:
    run = scaler(
        """
        @hookimpl
        async def run_service(self, task_status):
            threading.Thread(target=time.sleep, args=(300,), name="endless").start()
            task_status.started()
            self.context.log.info("it begins")
            await trio.sleep_forever()
        """
    )
    run.until("it begins")
    assert run.stop(30) == 70
    assert "these threads do not end: endless" in run.log()


def test_c40_a_constructor_that_exits_is_an_error_of_the_plugin(
    scaler: Callable[..., Scaler],
) -> None:
    run = scaler(
        """
        def __init__(self, context):
            raise SystemExit(0)
        """
    )
    assert run.process.wait(30) == 4
    assert "plugin bad: cannot be built: SystemExit: 0" in run.log()


def test_c41_a_second_signal_ends_a_loop_that_is_blocked_for_good(
    scaler: Callable[..., Scaler],
) -> None:
    run = scaler(
        """
        @hookimpl
        async def capacity(self):
            self.context.log.warning("it begins")
            threading.Event().wait(300)  # a library's frame: this is not broken off
        """
    )
    run.until("it begins")
    run.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    assert run.stop(25) == 70
    assert "SIGTERM came, and not all ends: the process is ended" in run.log()
    assert "bad.capacity" in run.log()


def test_c41_what_keeps_python_s_lock_ends_the_process(scaler: Callable[..., Scaler]) -> None:
    run = scaler(
        """
        @hookimpl
        async def capacity(self):
            import re
            return re.match(r"(a+)+$", "a" * 60 + "b")
        """,
        "import scaler.watchdog.lag as lag; lag.RESORT = 2.0",
    )
    assert run.process.wait(60) == -signal.SIGPROF
    assert "plugins/bad.py" in run.log()
    assert "in capacity" in run.log()


def test_c41_a_process_that_is_stopped_for_long_goes_on(scaler: Callable[..., Scaler]) -> None:
    run = scaler("", "import scaler.watchdog.lag as lag; lag.RESORT = 2.0; lag.GIVE_UP = 3.0")
    run.until("scaler host starts")
    time.sleep(2)  # some beats
    run.process.send_signal(signal.SIGSTOP)
    time.sleep(5)
    run.process.send_signal(signal.SIGCONT)
    time.sleep(2)
    assert run.stop(20) == 0


@pytest.mark.parametrize(
    "taking",
    ["signal.signal(signal.SIGTERM, lambda *_: None)", "trio.open_signal_receiver(signal.SIGTERM)"],
    ids=["handler", "receiver"],
)
def test_c42_a_signal_that_a_plugin_takes_is_taken_back(
    scaler: Callable[..., Scaler], taking: str
) -> None:
    run = scaler(
        f"""
        @hookimpl
        async def run_service(self, task_status):
            task_status.started()
            with {taking} if {"open" in taking} else trio.CancelScope():
                {taking if "open" not in taking else "pass"}
                await trio.sleep_forever()
        """
    )
    assert "it ends scaler, and is taken back" in run.until("SIGTERM was taken by")
    assert run.stop(20) == 0


def test_c42_a_fatal_error_ends_it_beside_a_task_that_does_not(
    scaler: Callable[..., Scaler],
) -> None:
    run = scaler(
        """
        @hookimpl
        async def run_service(self, task_status):
            from scaler import FatalError
            async def swallows():
                while True:
                    try:
                        await trio.sleep(1)
                    except BaseException:
                        time.sleep(0.01)
            token = trio.lowlevel.current_trio_token()
            call = lambda: trio.from_thread.run(swallows, trio_token=token)
            threading.Thread(target=call, daemon=True).start()
            await trio.sleep(0.5)
            task_status.started()
            raise FatalError("no such host")
        """
    )
    assert run.process.wait(40) == 70
    assert "no such host; and the event loop does not end" in run.log()


def test_d33_a_plugin_that_the_settings_do_not_name_is_not_imported(
    scaler: Callable[..., Scaler],
) -> None:
    run = scaler("")
    marker = run.folder / "imported"
    other = run.folder / "plugins" / "other.py"
    other.write_text(f"open({str(marker)!r}, 'w').close()\n")
    run.until("scaler host starts")
    assert run.stop(20) == 0
    for command in (["check"], ["config", "schema"]):
        line = [sys.executable, "-m", "scaler", *command, "-c", str(run.folder / "scaler.toml")]
        subprocess.run(line, capture_output=True, timeout=60, check=False)
    again = subprocess.Popen(
        [sys.executable, "-m", "scaler", "run", "-c", str(run.folder / "scaler.toml")],
        stderr=subprocess.DEVNULL,
    )
    time.sleep(2)
    again.terminate()
    assert again.wait(20) == 0
    assert not marker.exists()
