"""A provisioner in one file, for `plugin_dir`: a runner is a process of this machine.

It keeps nothing of a job from the next one, nor this machine from a job: it is for trying things
out. For real jobs, see the package scaler-process beside it.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaler import Context, Machine, Registration, Runner, Unavailable, hookimpl

TAG = "SCALER_RUNNER"
PATIENCE = 10.0  # seconds for what is started to be seen, and for what is killed to be gone


class Processes:
    """The hooks are plain functions, since they block: they run in a thread, one at a time."""

    @dataclass(frozen=True, kw_only=True)
    class ProfileConfig:
        """`[profiles.X.processes]`.

        Attributes:
            command: What a runner of this profile runs.
        """

        command: tuple[str, ...] = ("sleep", "600")

    def __init__(self, context: Context[Any, ProfileConfig]) -> None:
        self.own = context.own
        self.scaler = context.scaler
        self.children: set[int] = set()

    @hookimpl
    def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
        """Start a process that carries its runner's name from the first moment."""
        if runner.id not in self.found():  # asked twice, there is still one
            config = registration.config.reveal() if registration.config else ""
            environment = {
                "PATH": os.environ.get("PATH", os.defpath),  # and nothing else of scaler's own
                "ACTIONS_RUNNER_INPUT_JITCONFIG": config,
                TAG: runner.name,
            }
            try:
                child = os.posix_spawnp(
                    self.own[runner.profile].command[0],
                    self.own[runner.profile].command,
                    environment,
                    file_actions=[(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)],
                    setsid=True,  # Ctrl-C is meant for scaler, and not for its machines
                    setsigdef=[signal.SIGPIPE],  # which Python ignores, and programs do not expect
                )
            except OSError as error:
                raise Unavailable(f"{runner.name} cannot be started: {error}") from error
            self.children.add(child)
            deadline = time.monotonic() + PATIENCE
            while runner.id not in self.found() and child in self.children:
                self.wait(deadline, runner)
        return machine(runner.id, runner.name)

    @hookimpl
    def destroy_runner(self, runner: Runner) -> None:
        """Kill all that carries the runner's name, until nothing does."""
        deadline = time.monotonic() + PATIENCE
        while carriers := self.found().get(runner.id):
            for pid in carriers.pids:
                kill(pid, carriers.name)
            self.wait(deadline, runner)

    @hookimpl
    def list_machines(self) -> list[Machine]:
        """One machine per name that is carried."""
        return [machine(runner, carriers.name) for runner, carriers in self.found().items()]

    def found(self) -> dict[int, Carriers]:
        """Who carries a name that this scaler gave, by the runner's id in it."""
        self.children = {child for child in self.children if not ended(child)}
        found: dict[int, Carriers] = {}
        for entry in os.listdir("/proc"):
            name = carried(int(entry)) if entry.isdecimal() else ""
            runner = name.removesuffix(f"@{self.scaler}").rpartition(".")[2]
            if name.endswith(f".{runner}@{self.scaler}") and runner.isdecimal():
                found.setdefault(int(runner), Carriers(name, [])).pids.append(int(entry))
        return found

    def wait(self, deadline: float, runner: Runner) -> None:
        """Wait a moment, but not for ever."""
        if time.monotonic() > deadline:
            raise Unavailable(f"{runner.name}: nothing changes within {PATIENCE:g} s")
        time.sleep(0.005)


@dataclass(frozen=True)
class Carriers:
    """The processes that carry a runner's name."""

    name: str
    pids: list[int]


def machine(runner: int, name: str) -> Machine:
    """What scaler is told of it."""
    return Machine(
        runner=runner,
        id=f"process-{runner}",
        runner_name=name,
        profile=name.partition(".")[0],
        delivered=True,
    )


def ended(child: int) -> bool:
    """Whether a child of ours has ended; it is gone for good then."""
    return os.waitpid(child, os.WNOHANG)[0] == child


def carried(pid: int) -> str:
    """The runner's name that a process carries; empty where it carries none."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:  # it has ended, or is another user's, so not ours
        return ""
    entries = environment.decode(errors="replace").split("\0")
    return next((e.removeprefix(f"{TAG}=") for e in entries if e.startswith(f"{TAG}=")), "")


def kill(pid: int, name: str) -> None:
    """Kill this very process: a pid may have become another's since it was seen."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:  # it has ended since, which is all that is wanted
        return
    try:
        if carried(pid) == name:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:  # it was quicker
        pass
    finally:
        os.close(handle)
