"""The unit, the container and what a service manager hears from `scaler run` itself."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SYSTEMD = ROOT / "docs/examples/systemd"
CONTAINER = ROOT / "docs/examples/container"
HOW_TO = ROOT / "docs/how-to"
EXPOSED = 25  # tenths, as `systemd-analyze security --threshold` takes them

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze"
)


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": "cat"},
    )


def directives(section: str) -> dict[str, str]:
    unit = configparser.ConfigParser(interpolation=None, strict=True)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(SYSTEMD / "scaler.service")
    return dict(unit[section])


@needs_systemd
@pytest.mark.once
def test_systemd_understands_every_line_of_the_unit(tmp_path: Path) -> None:
    text = (SYSTEMD / "scaler.service").read_text()
    unit = tmp_path / "scaler.service"
    unit.write_text(text.replace("/opt/scaler/bin/scaler", sys.executable))
    found = analyze("verify", "--man=no", unit)
    assert (found.returncode, found.stderr) == (0, "")
    unit.write_text(text.replace("/opt/scaler/bin/scaler", sys.executable) + "\n[Service]\nNo=1\n")
    assert "No" in analyze("verify", "--man=no", unit).stderr  # it would say so


@needs_systemd
@pytest.mark.once
def test_the_unit_is_as_closed_as_it_can_be() -> None:
    unit = SYSTEMD / "scaler.service"
    found = analyze("security", "--offline=yes", f"--threshold={EXPOSED}", unit)
    assert found.returncode == 0, found.stdout
    assert analyze("security", "--offline=yes", "--threshold=1", unit).returncode == 1


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="there is no systemd-sysusers")
@pytest.mark.once
def test_the_user_is_made_and_may_use_libvirt(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    source = SYSTEMD / "scaler.sysusers.conf"
    subprocess.run(["systemd-sysusers", f"--root={tmp_path}", source], check=True, timeout=30)
    assert re.search(
        r"^scaler:.*:/var/lib/scaler:/usr/sbin/nologin$",
        (tmp_path / "etc/passwd").read_text(),
        re.MULTILINE,
    )
    assert re.search(r"^libvirt:.*:scaler$", (tmp_path / "etc/group").read_text(), re.MULTILINE)


def test_the_unit_leaves_the_clean_stop_to_scaler_and_heals() -> None:
    service = directives("Service")
    assert service["Type"] == "notify"
    assert service["KillMode"] == "mixed"
    assert service["StateDirectoryMode"] == "0700"
    assert service["RestartPreventExitStatus"] == "2 3 4"
    assert service["LimitCORE"] == "0"
    assert " reload " in service["ExecReload"]
    assert int(service["TimeoutStopSec"].removesuffix("s")) > 30 + 30  # shutdown_grace, the guard
    assert directives("Unit")["StartLimitIntervalSec"] == "0"
    # what would break scaler
    assert not {"PrivateUsers", "ProtectProc", "ProcSubset", "MemoryDenyWriteExecute"} & set(
        service
    )


def test_pages_name_files_that_exist() -> None:
    for page in ("run-as-a-service.md", "run-in-a-container.md", "reach-remote-hypervisors.md"):
        text = (HOW_TO / page).read_text()
        for name in re.findall(r"docs/examples/[\w./-]+", text):
            assert (ROOT / name.rstrip(".")).exists(), f"{page}: {name}"


def test_the_container_is_a_user_of_its_own_and_has_no_compiler() -> None:
    text = (CONTAINER / "Containerfile").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    steps = "\n".join(lines).replace("\\\n", " ").splitlines()
    last = max(number for number, step in enumerate(steps) if step.startswith("FROM "))
    final = [step for step in steps[last:] if step]
    assert "USER scaler" in final
    assert final.index("USER scaler") < final.index('ENTRYPOINT ["scaler"]')
    assert not [step for step in final if "gcc" in step or "python3-dev" in step]
    for step in steps:
        if step.startswith("RUN "):
            checked = subprocess.run(["sh", "-n"], input=step[4:], text=True, check=False)
            assert checked.returncode == 0, step
    kept = (CONTAINER / "Containerfile.dockerignore").read_text().splitlines()
    assert {"!src", "!plugins", "!pyproject.toml", "!README.md", "!constraints.txt"} <= {*kept}


# --- a service manager and `scaler run`

SETTINGS = """
[scaler]
name = "service"
state_dir = "{folder}/state"
tick = "1s"
shutdown_grace = "2s"
plugin_dir = "{folder}/plugins"

[plugins.told]
word = "one"
"""

PLUGIN = '''"""Shows what children of scaler find in the environment."""

import os
from dataclasses import dataclass

from scaler import Context, hookimpl


@dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        word: A word.
    """

    word: str


class Told:
    """Nothing but that."""

    Config = Config

    def __init__(self, context: Context) -> None:
        found = sorted(name for name in os.environ if name.startswith(("NOTIFY", "WATCHDOG")))
        print(f"environment: {found}", flush=True)

    @hookimpl
    async def on_message(self, message: object) -> None:
        """A plugin has a hook."""
'''


class Manager:
    """What systemd is to the process."""

    def __init__(self, folder: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(folder / "notify"))
        self.socket.settimeout(20)
        self.heard: list[str] = []

    def until(self, wanted: str, times: int = 1) -> str:
        """Wait until a datagram of such a line has come, so often; it."""
        while True:
            data = self.socket.recv(4096).decode()
            self.heard.append(data)
            if wanted in data.splitlines():
                times -= 1
                if not times:
                    return data


@contextmanager
def service(folder: Path, manager: Manager, **environment: str) -> Iterator[subprocess.Popen[str]]:
    (folder / "plugins").mkdir()
    (folder / "plugins/told.py").write_text(PLUGIN)
    (folder / "scaler.toml").write_text(SETTINGS.format(folder=folder))
    process = subprocess.Popen(
        [sys.executable, "-m", "scaler", "run", "-c", str(folder / "scaler.toml")],
        env={
            "PATH": os.environ["PATH"],
            "NOTIFY_SOCKET": str(folder / "notify"),
            "WATCHDOG_USEC": "400000",
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.communicate()
        manager.socket.close()


def test_scaler_run_tells_its_manager(tmp_path: Path) -> None:
    manager = Manager(tmp_path)
    with service(tmp_path, manager) as process:
        manager.until("READY=1")
        manager.until("WATCHDOG=1", times=3)
        process.send_signal(signal.SIGHUP)
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        reloading = manager.until("RELOADING=1")
        stamp = re.search(r"^MONOTONIC_USEC=(\d+)$", reloading, re.MULTILINE)
        assert stamp is not None
        assert now - 1e6 < int(stamp[1]) < now + 20e6
        manager.until("READY=1")
        # settings that are wrong: it goes on as it was, and says that it is ready again
        (tmp_path / "scaler.toml").write_text("nonsense")
        process.send_signal(signal.SIGHUP)
        manager.until("RELOADING=1")
        manager.until("READY=1")
        process.send_signal(signal.SIGTERM)
        manager.until("STOPPING=1")
        out, err = process.communicate(timeout=20)
        assert process.returncode == 0, err
    assert "environment: []" in out
    assert not [each for each in manager.heard if "READY=1" in each and "STOPPING=1" in each]


def test_a_watchdog_that_is_meant_for_another_process_is_not_fed(tmp_path: Path) -> None:
    manager = Manager(tmp_path)
    with service(tmp_path, manager, WATCHDOG_PID="1") as process:
        manager.until("READY=1")
        process.send_signal(signal.SIGTERM)
        manager.until("STOPPING=1")
        process.communicate(timeout=20)
    assert not [each for each in manager.heard if "WATCHDOG=1" in each]
