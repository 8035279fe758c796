"""A piece of the machine for oneself: own network, own mounts, own processes; gone when left.

Nothing of it has a name on the machine. The first process of the piece waits for the end of its
input, which is a pipe from here: however this process ends, that one ends, and with it, by the
kernel, every other process in there, every interface and every mount.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

T = TypeVar("T")
KINDS = ("net", "mnt", "pid")
PATIENCE = 20.0  # seconds for what takes a fraction of one
TOOLS = "/usr/sbin:/sbin:/usr/bin:/bin"

# The process number is read before /proc is that of the new processes, so it is the one outside.
# What was mounted on /sys are control groups, where others would see what runs in here.
# Children that end while SIGCHLD is ignored leave no zombie: nobody in there would wait for them.
HOLDER = """
set -e
read -r pid rest < /proc/self/stat
mount -t proc proc /proc
umount --recursive --lazy /sys 2>/dev/null || true
mount -t sysfs sysfs /sys
ip link set lo up
{mounts}
echo "$pid"
exec env --ignore-signal=CHLD cat
"""

_libc = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """Own network, mounts and processes; a context manager.

    Args:
        mounts: Shell commands that mount, run once in the new mount namespace.
    """

    def __init__(self, *, mounts: Sequence[str] = ()) -> None:
        self._mounts = mounts
        self._holder: subprocess.Popen[str] | None = None
        self._pid = 0
        self._network = ""
        self._handles: dict[str, int] = {}
        self._children: list[subprocess.Popen[Any]] = []

    @property
    def inside(self) -> list[str]:
        """What to put before a command to have it run in this network; its process is its own."""
        return ["nsenter", f"--net=/proc/{self._pid}/ns/net", "--"]

    @property
    def network(self) -> str:
        """The network, as the kernel names it."""
        return self._network

    def __enter__(self) -> Self:
        kinds = ["--net", "--mount", "--pid", "--fork"]
        script = HOLDER.format(mounts="\n".join(self._mounts))
        self._holder = subprocess.Popen(
            ["unshare", *kinds, "sh", "-c", script],
            env={"PATH": TOOLS},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout is not None
        assert self._holder.stderr is not None
        told = self._holder.stdout.readline()
        if not told.strip().isdigit():
            wrong = self._holder.stderr.read()
            self.__exit__(None, None, None)
            raise RuntimeError(f"no namespace could be made: {wrong.strip()}")
        self._pid = int(told)
        for kind in KINDS:
            self._handles[kind] = os.open(f"/proc/{self._pid}/ns/{kind}", os.O_RDONLY)
        self._network = Path(f"/proc/{self._pid}/ns/net").readlink().name
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        while self._handles:
            os.close(self._handles.popitem()[1])
        if self._holder is None:
            return
        if self._pid:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
        for child in self._children:  # the first process is not gone before nobody is left
            child.wait()
        holder, self._holder = self._holder, None
        with holder:
            pass  # closes its input, and waits

    # --- what runs in there

    def popen(self, command: Sequence[str | Path], **more: Any) -> subprocess.Popen[Any]:
        """Start a process with this network, these mounts, and among these processes.

        It is a child of the caller: signals go to it and to nothing between.
        """
        more.setdefault("env", {"PATH": TOOLS})
        mounts = ["nsenter", f"--mount=/proc/{self._pid}/ns/mnt", "--"]

        def start() -> subprocess.Popen[Any]:
            return subprocess.Popen([*mounts, *command], **more)

        process = self._in("net", "pid", do=start)
        self._children = [each for each in self._children if each.returncode is None] + [process]
        return process

    def run(self, *command: str | Path, within: float = PATIENCE) -> str:
        """Run a command to its end in there; its output.

        Raises:
            RuntimeError: It failed, and this is what it said.
        """
        out = subprocess.PIPE
        process = self.popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, text=True)
        try:
            output, errors = process.communicate(timeout=within)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        if process.returncode:
            shown = " ".join(map(str, command))
            raise RuntimeError(f"{shown}: exit code {process.returncode}: {errors or output}")
        return str(output)

    # --- its network, from here

    def listen(self, address: str = "127.0.0.1", port: int = 0) -> socket.socket:
        """A socket of this process that listens in there."""

        def make() -> socket.socket:
            return socket.create_server((address, port), backlog=128)

        return self._in("net", do=make)

    def connect(self, address: str, port: int, within: float = PATIENCE) -> socket.socket:
        """A socket of this process that is connected in there."""

        def make() -> socket.socket:
            return socket.create_connection((address, port), timeout=within)

        return self._in("net", do=make)

    def join(self, other: Namespace, mine: str, its: str) -> None:
        """Lay a cable to another one: an interface at both ends, with these addresses."""
        here, there = f"to{other._pid}", f"to{self._pid}"
        peer = ["peer", "name", there, "netns", f"/proc/{other._pid}/ns/net"]
        self._ip("link", "add", here, "type", "veth", *peer)
        for side, name, address in ((self, here, mine), (other, there, its)):
            side._ip("addr", "add", f"{address}/30", "dev", name)
            side._ip("link", "set", name, "up")

    def _ip(self, *words: str) -> None:
        # the machine's /proc is needed, to name the other namespace
        command = [*self.inside, "ip", *words]
        done = subprocess.run(command, env={"PATH": TOOLS}, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip()}")

    def _in(self, *kinds: str, do: Callable[[], T]) -> T:
        # namespaces are a thread's: one is used up for it
        result: list[T] = []
        wrong: list[BaseException] = []

        def thread() -> None:
            try:
                for kind in kinds:
                    if _libc.setns(self._handles[kind], 0):
                        raise OSError(ctypes.get_errno(), f"setns to {kind}")
                result.append(do())
            except BaseException as error:
                wrong.append(error)

        worker = threading.Thread(target=thread)
        worker.start()
        worker.join()
        if wrong:
            raise wrong[0]
        return result[0]
