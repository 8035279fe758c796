"""`scaler`, which kills itself at one point of a runner's life: `python -m tests.crash.mortal`.

    CRASH_AT=P5 CRASH_LOG=deaths CRASH_SEED=1 python -m tests.crash.mortal run -c scaler.toml

The points are those of docs/explanation/crashes.md. The point's name is appended to CRASH_LOG, on
the disk, before the process sends itself SIGKILL. What is wrapped are the ordinary seams; the
scaler itself has no hooks for this.

Where a call is to be in flight (P5, P9, M3), the kill is due a random 0 to 2 ms after the call
began and comes from another thread, while libvirt or the kernel has the call: it may not have been
sent, be at work, or be answered. The thread that made it never gets to see the answer.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import libvirt
import trio
from tests.crash import bugs

from scaler.cli.main import main
from scaler.engine.state import State
from scaler.records import RunnerState
from scaler_github.client import Actions, QueueSession
from scaler_github.queue.delivery import Delivery
from scaler_github.queue.runners import Runners
from scaler_libvirt.hosts import driver

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

FLIGHT = 0.002  # seconds for which a call may be in flight before the kill


class Death:
    """The end of this process, once."""

    def __init__(self, point: str, log: str, seed: str) -> None:
        self.point = point
        self._log = log
        self._random = random.Random(seed)
        self._claimed = threading.Lock()

    def now(self) -> None:
        """Die here."""
        self._note()
        os.kill(os.getpid(), signal.SIGKILL)
        _hang()

    def soon(self) -> None:
        """Die in a moment, by another thread's hand."""
        self._note()
        pause = self._random.uniform(0, FLIGHT)
        threading.Thread(target=_kill_after, args=(pause,), daemon=True).start()

    def _note(self) -> None:
        if not self._claimed.acquire(blocking=False):
            _hang()  # another thread is about to end everything
        file = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(file, f"{self.point}\n".encode())
        os.fsync(file)


def _kill_after(seconds: float) -> None:
    time.sleep(seconds)
    os.kill(os.getpid(), signal.SIGKILL)


def _hang() -> None:
    while True:
        time.sleep(60)


def wrap(owner: object, name: str, make: Callable[[Any], Any]) -> None:
    """Put something round a function where everybody looks it up."""
    setattr(owner, name, make(getattr(owner, name)))


# --- ways to die at a function


def before(death: Death) -> Callable[[Any], Any]:
    """Before it is called."""

    def make(_: Any) -> Any:
        return lambda *args, **more: death.now()

    return make


def after(death: Death) -> Callable[[Any], Any]:
    """After it answered, in a worker thread."""

    def make(function: Callable[..., Any]) -> Any:
        def wrapped(*args: Any, **more: Any) -> None:
            function(*args, **more)
            death.now()

        return wrapped

    return make


def within(death: Death) -> Callable[[Any], Any]:
    """While it blocks, in a worker thread."""

    def make(function: Callable[..., Any]) -> Any:
        def wrapped(*args: Any, **more: Any) -> None:
            death.soon()
            try:
                function(*args, **more)
            finally:
                _hang()

        return wrapped

    return make


def after_async(death: Death) -> Callable[[Any], Any]:
    """After it answered, in the loop."""

    def make(function: Callable[..., Awaitable[Any]]) -> Any:
        async def wrapped(*args: Any, **more: Any) -> None:
            await function(*args, **more)
            death.now()

        return wrapped

    return make


def within_async(death: Death) -> Callable[[Any], Any]:
    """While the loop waits for it."""

    def make(function: Callable[..., Awaitable[Any]]) -> Any:
        async def wrapped(*args: Any, **more: Any) -> None:
            death.soon()
            await function(*args, **more)
            await trio.sleep_forever()

        return wrapped

    return make


def keeping(death: Death, is_it: Callable[[Any], bool], *, done: bool) -> Callable[[Any], Any]:
    """When a row of this kind is about to be made durable, or is."""

    def make(keep: Callable[..., Awaitable[None]]) -> Any:
        async def wrapped(self: Any, *rows: Any, **more: Any) -> None:
            meant = any(is_it(row) for row in rows)
            if meant and not done:
                death.now()
            await keep(self, *rows, **more)
            if meant:
                death.now()

        return wrapped

    return make


def _registered(row: Any) -> bool:
    return row.runner.state is RunnerState.REGISTERED and row.runner.machine is None


def _gone(row: Any) -> bool:
    return row.runner.state is RunnerState.GONE


def arm(death: Death) -> None:
    """Have this process die at the point."""
    seams: dict[str, tuple[object, str, Callable[[Any], Any]]] = {
        "P1": (Runners, "register", before(death)),
        "P2": (Runners, "register", after_async(death)),
        "P3": (State, "keep", keeping(death, _registered, done=True)),
        "P4": (driver, "create", before(death)),
        "P5": (libvirt.virConnect, "createXML", within(death)),
        "P6": (driver, "create", after(death)),
        "P7": (Runners, "remove", after_async(death)),
        "P8": (libvirt.virDomain, "destroy", before(death)),
        "P9": (libvirt.virDomain, "destroy", within(death)),
        "P10": (State, "keep", keeping(death, _gone, done=False)),
        "M1": (Delivery, "deliver", before(death)),
        "M2": (Delivery, "deliver", after_async(death)),
        "M3": (QueueSession, "delete_message", within_async(death)),
        "M4": (QueueSession, "acquire_jobs", after_async(death)),
        "M5": (Actions, "create_session", after_async(death)),
    }
    wrap(*seams[death.point])


def live() -> int:
    """Run the command line, perhaps to die on the way; the exit code."""
    if point := os.environ.get("CRASH_AT"):
        arm(Death(point, os.environ["CRASH_LOG"], os.environ.get("CRASH_SEED", "")))
    if bug := os.environ.get("CRASH_BUG"):
        bugs.plant(bug)
    return main()


def run(arguments: Sequence[str], environ: Mapping[str, str], log: str) -> None:
    """Be that process: what a server of processes that has all of this imported forks for."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(output, 2)
    os.environ.update(environ)
    sys.argv[1:] = arguments
    sys.exit(live())


if __name__ == "__main__":
    sys.exit(live())
