"""What tests of this plugin stand on: a libvirt daemon of one's own, and a core that only listens.

The daemon speaks libvirt's real protocol and serves libvirt's test driver, so that it can be
stopped, killed and started anew, which the in-process driver cannot.
"""

from __future__ import annotations

import logging
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import libvirt
import trio

from scaler import Context, Machine, Profile, Runner, View
from scaler_libvirt.settings import Config, HostSettings, ProfileConfig

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

LIBVIRTD = shutil.which("libvirtd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")

NO_LIBVIRTD = "" if LIBVIRTD else "libvirtd is not installed (Debian: apt install libvirt-daemon)"


def libvirt_error(text: str) -> Any:
    """libvirt's error with this text, and not with what this thread was told last."""
    libvirt.virResetLastError()
    return libvirt.libvirtError(text)


class PrivateLibvirtd:
    """A libvirtd in a folder of its own, without any right on the machine; a context manager."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="lvd", dir="/tmp"))  # socket paths are short
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self._folder / "libvirt" / "libvirt-sock"

    @property
    def uri(self) -> str:
        """libvirt's test driver, by way of this daemon."""
        return f"test+unix:///default?socket={self.socket}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start it, and wait until it listens."""
        assert LIBVIRTD, NO_LIBVIRTD
        settings = self._folder / "libvirtd.conf"
        settings.write_text('auth_unix_rw = "none"\nlog_level = 4\n')
        as_user: dict[str, Any] = {}
        if os.geteuid() == 0:  # as root it would serve the machine's own libvirt sockets
            nobody = pwd.getpwnam("nobody")
            as_user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            for path in (self._folder, settings):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        folders = ("HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")
        self.socket.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [LIBVIRTD, "-f", settings, "-p", self._folder / "pid"],
            cwd=self._folder,
            env={**dict.fromkeys(folders, str(self._folder)), "PATH": "/usr/sbin:/usr/bin"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **as_user,
        )
        until = time.monotonic() + 10
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"libvirtd did not start in {self._folder}")
            time.sleep(0.01)

    def hang(self) -> None:
        """Let it stop answering, with its connections open."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once; the test driver's domains are gone with it."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _listens(self) -> bool:
        # The path is there from bind() on; until listen(), which may be long after on a busy
        # machine, whoever connects is refused.
        with socket.socket(socket.AF_UNIX) as caller:
            return caller.connect_ex(str(self.socket)) == 0

    def _signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)


class Listener:
    """A core that notes what a provisioner tells it, and has nothing of what others call.

    Attributes:
        machines: Every machine that was told of, in order.
        capacity_changes: How often capacity was said to have changed.
        reports: Every report, as (text, ok, facts).
        saved: Small facts by their keys.
        items: What was kept, by subject and name.
        runners: The runners that there are: a test puts them here.
    """

    def __init__(self) -> None:
        self.machines: list[Machine] = []
        self.capacity_changes = 0
        self.reports: list[tuple[str, bool, Mapping[str, Any]]] = []
        self.saved: dict[str, Any] = {}
        self.items: dict[tuple[int | str, str], bytes] = {}
        self.runners: list[Runner] = []
        self._news = trio.Event()

    async def load(self, plugin: str, key: str) -> Any:
        """What was saved."""
        return self.saved.get(key)

    async def save(self, plugin: str, key: str, value: Any) -> None:
        """Note it."""
        self.saved[key] = value

    async def keep(self, subject: int | str, name: str, data: bytes) -> bool:
        """Note it."""
        self.items[subject, name] = data
        return True

    def view(self) -> View:
        """Nothing but the runners that a test has put here."""
        return View(
            version=0,
            time=0.0,
            scaler="here",
            stopping=False,
            profiles={},
            jobs=(),
            runners=tuple(self.runners),
            rooms={},
            reports=(),
            waiting={},
            events=(),
        )

    def machine_changed(self, plugin: str, machine: Machine) -> None:
        """Note a machine."""
        self.machines.append(machine)
        self._wake()

    def capacity_changed(self, plugin: str) -> None:
        """Note it."""
        self.capacity_changes += 1
        self._wake()

    def report(
        self, plugin: str, text: str, ok: bool, profile: str, facts: Mapping[str, Any]
    ) -> None:
        """Note a report."""
        self.reports.append((text, ok, facts))
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = trio.Event()

    async def news(self) -> None:
        """Wait until something is told."""
        await self._news.wait()

    async def stopped(self, uuid: str, within: float = 10) -> Machine:
        """Wait until a machine was said to have stopped."""
        return await self._told(uuid, "stopped", within)

    async def running(self, uuid: str, within: float = 10) -> Machine:
        """Wait until a machine was said to run."""
        return await self._told(uuid, "running", within)

    async def _told(self, uuid: str, state: str, within: float) -> Machine:
        with trio.fail_after(within):
            while True:
                for machine in self.machines:
                    if (machine.id, machine.state) == (uuid, state):
                        return machine
                await self._news.wait()

    async def reported(self, ok: bool, within: float = 10) -> str:
        """Wait until the last report is of this kind."""
        with trio.fail_after(within):
            while not self.reports or self.reports[-1][1] is not ok:
                await self._news.wait()
        return self.reports[-1][0]

    async def said(self, words: str, within: float = 10) -> str:
        """Wait until the last report has these words."""
        with trio.fail_after(within):
            while not self.reports or words not in self.reports[-1][0]:
                await self._news.wait()
        return self.reports[-1][0]


def context_for(
    listener: Listener,
    *hosts: HostSettings,
    scaler: str = "here",
    profiles: Mapping[str, Profile] | None = None,
    own: Mapping[str, ProfileConfig] | None = None,
) -> Context[Config, ProfileConfig]:
    """What the plugin is built with; without hosts, with the default one."""
    return Context(
        name="libvirt",
        scaler=scaler,
        config=Config(hosts=hosts) if hosts else Config(),
        profiles=profiles or {},
        own=own or {},
        folder=Path("/nonexistent"),
        log=logging.LoggerAdapter(logging.getLogger("scaler.libvirt"), {}),
        stopping=trio.Event(),
        core=listener,  # type: ignore[arg-type]
    )
