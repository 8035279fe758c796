"""Processes of the benchmarks: the stand-in and `scaler run`, ended whatever happens."""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlencode

HERE = Path(__file__).parent.parent
PATIENCE = 30.0  # seconds that anything may take to start or to stop
TIED = ("setpriv", "--pdeathsig", "KILL")  # of util-linux; it becomes what it starts

SETTINGS = """
[scaler]
name = "bench"
state_dir = "{folder}/state"
{scaler}

[plugins.github]
url = "{url}"
token = {{ env = "BENCH_TOKEN" }}

[plugins.actions-queue]

[plugins.{machines}]
hosts = [{{ name = "here", uri = "test:///default", memory = "64T", vcpus = 1000000 }}]
{port}

[profiles.linux]
labels = ["self-hosted-image:linux"]
target_count = {target}
max_count = {most}
resources = {{ memory = "1G", vcpus = 1 }}
[profiles.linux.actions-queue]
[profiles.linux.{machines}]
"""


#: What `until` waits for, in words that follow "before".
AWAITED = {
    "polling": "it polled",
    "started": "all jobs had started",
    "done": "all jobs were done",
    "clean": "everything was removed",
}


class Failed(Exception):
    """A benchmark could not be run; the text says why."""


def installed() -> None:
    """Raises Failed where this Python has no scaler."""
    if importlib.util.find_spec("scaler") is None:
        script = Path(sys.argv[0]).name
        raise Failed(
            "this Python has no scaler installed: run `make setup`, then "
            f"`.venv/bin/python benchmarks/{script}`"
        )


def cpu_seconds(pid: int) -> float:
    """What a process has used of a processor so far, all threads together."""
    return time.clock_gettime((~pid << 3) | 2)  # the clock of another process, as Linux numbers it


def resident(pid: int) -> float:
    """What a process has in memory, in MB (10^6 bytes)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise Failed(f"process {pid} has no memory: it has ended")


class Hub:
    """The stand-in, as the benchmark speaks to it."""

    def __init__(self, process: subprocess.Popen[bytes], facts: Mapping[str, str]) -> None:
        self.process = process
        self.origin = facts["origin"]
        self.url = facts["url"]
        self.token = facts["token"]
        self.guests = int(facts["guests"])

    def ask(self, what: str, *, timeout: float = PATIENCE, **query: object) -> Any:
        """A control request. Raises Failed where it is not answered well in time."""
        host = self.origin.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=timeout)
        try:
            connection.request("GET", f"/_bench/{what}?{urlencode(query)}")
            answer = connection.getresponse()
            body = answer.read()
        except OSError as error:
            raise Failed(f"the stand-in: {what} {query}: {error}") from error
        finally:
            connection.close()
        if answer.status != 200:
            raise Failed(f"the stand-in: {what} {query}: {body.decode()}")
        return json.loads(body)


@dataclass(frozen=True)
class Scaler:
    """`scaler run` in a process of its own, with its folder."""

    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def pid(self) -> int:
        """The process."""
        return self.process.pid

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return (self.folder / "log").read_text(errors="replace")

    def stop(self) -> float:
        """End it cleanly; the seconds that it took. Raises Failed where it does not end well."""
        began = time.monotonic()
        self.process.terminate()
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise Failed(f"scaler does not stop; its log:\n{self.tail()}") from None
        if code != 0:
            raise Failed(f"scaler ended with code {code}; its log:\n{self.tail()}")
        return time.monotonic() - began

    def tail(self) -> str:
        """The end of its log, and before it the last lines that are no mere news."""
        lines = self.log.splitlines()
        odd = [line for line in lines[:-10] if '"level": "info"' not in line]
        return "\n".join(odd[-30:] + lines[-10:])

    @property
    def dropped(self) -> int:
        """How many times it logged that a plugin did not keep up with what it was told."""
        return self.log.count("notifications dropped")


@contextmanager
def hub(**options: object) -> Iterator[Hub]:
    """A stand-in for as long as the block lasts; options as on its command line."""
    words = [f"--{key.replace('_', '-')}={value}" for key, value in options.items()]
    command = [sys.executable, str(HERE / "hub.py"), *words]
    with started(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        facts = {}
        for line in iter(process.stdout.readline, b""):
            if not line.strip():
                break
            key, _, value = line.decode().strip().partition("=")
            facts[key] = value
        if "guests" not in facts:
            raise Failed(f"the stand-in did not start: {' '.join(command)}")
        yield Hub(process, facts)


@contextmanager
def workplace() -> Iterator[Path]:
    """A folder on the disk (where /tmp may not be); gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="scaler-bench-", dir="/var/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def scaler(
    where: Hub,
    folder: Path,
    *,
    most: int,
    target: int = 0,
    guests: bool = True,
    profile: Path | None = None,
) -> Iterator[Scaler]:
    """`scaler run` against a stand-in for as long as the block lasts.

    Raises Failed where no scaler is installed.

    Args:
        folder: For its settings, its ledger and its log.
        most, target: `max_count` and `target_count` of the one profile, `linux`.
        guests: Whether machines have guests; without, it has the plugins of any scaler.
        profile: Where to write what cProfile saw of its main thread.
    """
    installed()
    path = folder / "scaler.toml"
    path.write_text(
        SETTINGS.format(
            folder=folder,
            url=where.url,
            scaler=f'plugin_dir = "{HERE}/plugins"' if guests else "",
            machines="machines" if guests else "libvirt",
            port=f"port = {where.guests}" if guests else "",
            most=most,
            target=target,
        )
    )
    command = [sys.executable, "-m", "scaler", "run", "-c", str(path)]
    if profile is not None:
        launcher = [str(HERE / "bench" / "profiled.py"), str(profile.resolve())]
        command = [sys.executable, *launcher, *command[3:]]
    with (
        (folder / "log").open("wb") as log,
        started(command, stderr=log, stdout=log, env={"BENCH_TOKEN": where.token}) as process,
    ):
        yield Scaler(process, folder)


def until(running: Scaler, where: Hub, what: str, seconds: float = PATIENCE) -> None:
    """Wait until the stand-in has seen something: polling, started, done or clean."""
    end = time.monotonic() + seconds
    while True:
        try:
            # in pieces, to see that it has ended
            left = max(0.01, min(1.0, end - time.monotonic()))
            where.ask("wait", timeout=left, **{"for": what})
            return
        except Failed:  # nothing yet: said below, where it is final
            if where.process.poll() is not None:
                raise Failed(
                    f"the stand-in ended with code {where.process.poll()} before {AWAITED[what]}"
                ) from None
            if time.monotonic() < end and running.process.poll() is None:
                continue
        state = where.ask("result")
        seen = {key: state.get(key) for key in ("agents", "machines", "requests")}
        seen |= {key: len(state.get(key, ())) for key in ("started", "finished")}
        ended = running.process.poll()
        if ended is None:
            text = f"{seconds:g} s were not enough before {AWAITED[what]}"
        else:
            text = f"scaler ended with code {ended} before {AWAITED[what]}"
        raise Failed(f"{text}: {seen}; its log:\n{running.tail()}") from None


def settle(pid: int, *, share: float = 0.05, seconds: float = 10.0) -> None:
    """Wait until a process uses less than a share of a processor, for a while at most."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        before = cpu_seconds(pid)
        time.sleep(0.3)
        if cpu_seconds(pid) - before < 0.3 * share:
            return


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Let a SIGTERM end the block as Ctrl-C does: in order, with all that it started."""

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def started(
    command: list[str], *, env: Mapping[str, str] | None = None, **streams: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with the block, whatever happens; `env` is beside our own environment."""
    # A group of its own, so that Ctrl-C ends the benchmark, which then ends this in order; should
    # the benchmark be killed, the kernel ends it
    tied = [*TIED, *command] if shutil.which(TIED[0]) else command
    whole = {**os.environ, **(env or {})}
    with subprocess.Popen(tied, env=whole, process_group=0, **streams) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(5)
                except (subprocess.TimeoutExpired, KeyboardInterrupt):  # it must not outlive us
                    process.kill()
