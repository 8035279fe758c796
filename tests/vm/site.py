"""A whole site: `scaler run` beside a hypervisor, a simulated GitHub, and guests that are real.

The scaler is the program that people start, with a settings file, in a process of its own. It has
the hypervisor's network, so its guest door is on the guests' bridge. GitHub is the simulator, in
the test's process; its port is in the hypervisor's network too, for the scaler and for guests.
Nobody but the guest itself brings a runner online here.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import trio
from tests.vm.profiles import (
    DIRECT,
    DOOR,
    HELD,
    HOLD,
    MARKS,
    MINIMAL,
    NAME,
    Profile,
    settings_of,
)

from scaler_github.testing import Guests, Simulator
from scaler_libvirt.testing_watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from pathlib import Path

    from tests.vm.lab import Hypervisor

    from scaler_github.testing import Job
    from scaler_github.testing.state import World
    from scaler_libvirt.testing_watcher import Life

__all__ = ["DIRECT", "DOOR", "HELD", "HOLD", "MARKS", "MINIMAL", "NAME", "Profile", "Scaler"]
__all__ += ["Site", "Starts", "site"]

PATIENCE = 180.0  # seconds for guests on a busy machine; alone they take twenty
STOP = 60.0  # seconds for a clean stop
SHOWN = 150  # lines of the log in a failure's message


class Starts(Guests):
    """Plays no guests: counts how often each job starts."""

    def __init__(self) -> None:
        super().__init__()
        self.of_job: Counter[str] = Counter()

    def attend(self, world: World) -> None:
        """Be told of every job's start."""

        def started(job: Job) -> None:
            self.of_job[job.job_id] += 1

        world.run_time = started


@dataclass(kw_only=True)
class Scaler:
    """One start of `scaler run`."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def runs(self) -> bool:
        """Whether it lives."""
        return self.process.poll() is None

    async def kill(self) -> None:
        """`kill -9`."""
        self.process.kill()
        await trio.to_thread.run_sync(self.process.wait)

    async def stop(self) -> int:
        """Stop it cleanly; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return await trio.to_thread.run_sync(partial(self.process.wait, STOP))

    def entries(self) -> list[dict[str, Any]]:
        """What it logged."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def said(self) -> list[str]:
        """The same, for people."""
        return [
            f"{each.get('time', '')} {each.get('level', '')} {each.get('message', '')}"
            f"{each.get('exception', '')}"
            for each in self.entries()
        ]


@dataclass(kw_only=True)
class Site:
    """Everything that a test touches. Made by `site`.

    Attributes:
        watcher: Sees every machine's life, from libvirt itself.
        starts: How often each job was started.
        before: The hypervisor's files before any scaler came.
    """

    hypervisor: Hypervisor
    simulator: Simulator
    folder: Path
    watcher: Watcher
    starts: Starts
    settings: Path
    before: frozenset[str]
    scalers: list[Scaler] = field(default_factory=list)

    # --- the scaler

    @property
    def state(self) -> Path:
        """The scaler's own folder."""
        return self.folder / "state"

    async def start(self) -> Scaler:
        """Start the scaler, and wait until it listens for jobs."""
        polls = self.simulator.count("poll")
        self.scalers.append(await trio.to_thread.run_sync(self._started))
        await self.until(lambda: self.simulator.count("poll") > polls)
        return self.scalers[-1]

    def _started(self) -> Scaler:
        log = self.folder / f"start-{len(self.scalers) + 1}.log"
        command = [sys.executable, "-m", "scaler", "run", "-c", str(self.settings)]
        with log.open("wb") as file:
            process = subprocess.Popen(
                [*self.hypervisor.inside, *command],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env={"TEST_TOKEN": self.simulator.token, "PATH": os.environ["PATH"]},
            )
        return Scaler(process=process, log=log)

    def rows(self) -> list[dict[str, Any]]:
        """The runners in the scaler's ledger, read from the file itself."""
        path = self.state / "ledger.sqlite3"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as connection:
            rows = connection.execute("SELECT row FROM runners").fetchall()
        return [json.loads(row)["runner"] for (row,) in rows]

    def states(self) -> set[str]:
        """The states of runners in the scaler's ledger."""
        return {row["state"] for row in self.rows()}

    def known(self) -> set[str]:
        """The machines in the scaler's ledger."""
        return {row["machine"]["id"] for row in self.rows() if row["machine"]}

    async def ask(self, path: str) -> tuple[int, bytes]:
        """Ask the guest door, as one on the guests' network who is no guest."""

        def asked() -> tuple[int, bytes]:
            address = self.hypervisor.address
            connection = http.client.HTTPConnection(address, DOOR, timeout=20)
            connection.sock = self.hypervisor.connect(address, DOOR)
            with closing(connection):
                connection.request("GET", path)
                answer = connection.getresponse()
                return answer.status, answer.read()

        return await trio.to_thread.run_sync(asked)

    async def status(self, path: str) -> int:
        """What the guest door says to that."""
        return (await self.ask(path))[0]

    def kept(self) -> dict[str, dict[str, bytes]]:
        """What the scaler has kept of failures: by the name of its profile, or a runner's id."""
        return {
            shelf.name: {item.name: item.read_bytes() for item in shelf.iterdir()}
            for shelf in (self.state / "evidence").glob("*")
        }

    # --- its machines

    @property
    def machines(self) -> list[Life]:
        """Every machine of a runner that there was, in order."""
        return [life for life in self.watcher.lives if life.identity is not None]

    def running(self) -> list[Life]:
        """Those that run."""
        return [life for life in self.machines if life.ended is None]

    def machine_of(self, job: Job) -> str:
        """The machine that a job runs on."""
        names = {each.uuid: each.identity.runner_name for each in self.running() if each.identity}
        (uuid,) = (uuid for uuid, name in names.items() if name == job.runner_name)
        return uuid

    def volumes(self) -> set[str]:
        """What is in the pool's folder, but for the images that were put there."""
        return {each.name for each in self.hypervisor.pool.iterdir()} - STOCK

    def key_of(self, uuid: str) -> str:
        """The secret in a machine's seed."""
        (seed,) = self.hypervisor.pool.glob(f"*{uuid}.seed")
        found = re.search(rb"SCALER_KEY='?([\w-]+)", seed.read_bytes())
        assert found is not None
        return found[1].decode()

    def log_of(self, uuid: str) -> str:
        """What a machine has said so far."""
        paths = self.hypervisor.pool.glob(f"*{uuid}.log")
        return "".join(path.read_text(errors="replace") for path in paths)

    # --- jobs

    def queue(self, profile: str, count: int = 1) -> list[Job]:
        """Queue jobs for a profile's runners."""
        return self.simulator.queue_jobs(profile, count)

    def mark(self, name: str) -> None:
        """Show a mark to guests."""
        self.simulator.create_scale_set(name)

    def unmark(self, name: str) -> None:
        """Take it away."""
        self.simulator.delete_scale_set(name)

    # --- waiting, and judging

    async def until(self, what: Callable[[], object], seconds: float = PATIENCE) -> None:
        """Wait until something is true, while the last scaler that was started lives."""
        with trio.fail_after(seconds):
            while not what():
                assert not self.scalers or self.scalers[-1].runs, "it ended by itself"
                await trio.sleep(0.1)

    async def completed(self, jobs: Iterable[Job]) -> None:
        """Wait until jobs are over."""
        await self.until(lambda: all(job.state == "completed" for job in jobs))

    def left(self) -> dict[str, Iterable[str]]:
        """What there is of runners; where nothing is left, nothing."""
        with closing(self.hypervisor.open()) as connection:
            domains = {domain.name() for domain in connection.listAllDomains()}
        left: dict[str, Iterable[str]] = {
            "domains": domains,
            "volumes": self.volumes(),
            "registrations": {agent.name for agent in self.simulator.agents},
            "rows": {f"{row['name']} ({row['state']})" for row in self.rows()},
        }
        return {name: what for name, what in left.items() if what}

    async def clean(self, seconds: float = PATIENCE) -> None:
        """Wait until nothing is left of any runner, and see that no file is."""
        with trio.fail_after(seconds):
            while left := await trio.to_thread.run_sync(self.left):
                assert self.scalers[-1].runs, f"it ended by itself, and left {left}"
                await trio.sleep(0.3)
        more = sorted(files_of(self.hypervisor) - self.before)
        assert not more, f"files that were not there before: {more}"

    def report(self) -> str:
        """What is known, for whoever has to find out what went wrong."""
        parts = [f"left: {self.left()}", *map(str, self.simulator.jobs)]
        for number, scaler in enumerate(self.scalers, 1):
            parts += [f"--- log of start {number}", *scaler.said()[-SHOWN:]]
        for path in self.hypervisor.pool.glob("*.log"):
            parts += [f"--- {path.name}", path.read_text(errors="replace")[-2000:]]
        return "\n".join(parts)


STOCK = {"vmlinuz", "initrd", "guest.raw"}

# What libvirt keeps for itself and never removes: a log for each machine, which virtlogd turns
# over; what it found out about QEMU; what it wrote for its own networks.
LIBVIRTS_OWN = ("var/log/libvirt/", "var/cache/libvirt/", "var/lib/libvirt/dnsmasq/")
# Made when the first guest comes to a network; for each guest there is a file.
PORTS = re.compile(r"run/libvirt/network/\w+(/ports)?")


def files_of(hypervisor: Hypervisor) -> frozenset[str]:
    """Every file and folder of a hypervisor, but for what libvirt keeps for itself."""
    top = hypervisor.folder
    paths = {str(path.relative_to(top)) for path in top.rglob("*")}
    return frozenset(
        path for path in paths if not path.startswith(LIBVIRTS_OWN) and not PORTS.fullmatch(path)
    )


@asynccontextmanager
async def site(
    hypervisor: Hypervisor, folder: Path, *profiles: Profile, host: str = ""
) -> AsyncIterator[Site]:
    """A site for one test, whose scaler is not started yet; all of it ends with the block.

    Args:
        folder: For settings, state and logs.
        host: More of the hypervisor's settings, each behind a comma.
    """
    starts = Starts()
    simulator = Simulator(guests=starts, poll_seconds=5.0, session_timeout=5.0)
    watcher = Watcher(hypervisor.uri)
    async with trio.open_nursery() as nursery:
        await nursery.start(simulator.serve)
        await nursery.start(watcher.run)
        port = int(simulator.origin.rpartition(":")[2])
        settings = folder / "site.toml"
        settings.write_text(settings_of(hypervisor, folder, simulator, profiles, host))
        with hypervisor.forward(port):
            here = Site(
                hypervisor=hypervisor,
                simulator=simulator,
                folder=folder,
                watcher=watcher,
                starts=starts,
                settings=settings,
                before=files_of(hypervisor),
            )
            try:
                yield here
            except (Exception, trio.Cancelled) as error:
                error.add_note(here.report())
                raise
            finally:
                with trio.CancelScope(shield=True):
                    for scaler in here.scalers:
                        await scaler.kill()
        nursery.cancel_scope.cancel()
