"""The keeper: a small process that stays with one runner's command and outlives scaler.

It reads its order from its input, says in one line on its output whether it has begun, and then
depends on nobody. It is why a restart of scaler costs no job: it takes what the command says, is
the parent of everything whose own parent has ended, and when the command ends, kills what is left
of it and writes down how it ended. scaler waits for the end of the keeper.

It has one thread, so that a fork with Python code before the exec is safe here, as it would not be
in scaler.
"""

from __future__ import annotations

import ctypes
import os
import resource
import selectors
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from scaler_process.ending import StillThere, end
from scaler_process.files import BEGUN, ENDED, FILES, MARKER, SCRATCH, sync, write
from scaler_process.order import Order
from scaler_process.output import Output

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of prctl(2)
_LOOK = 1.0  # seconds between two looks at what no event tells
_COPY = ("cp", "--recursive", "--no-dereference", "--preserve=mode,timestamps", "--reflink=auto")


def main() -> None:
    """Keep one runner's command, in the folder that is the only argument."""
    folder = Path(sys.argv[1])
    order = Order.read(sys.stdin.buffer.read())
    (folder / BEGUN).touch(exist_ok=False)  # there is never a second keeper of one folder
    sync(folder)
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    print("begun", flush=True)
    with open(os.devnull, "r+b") as nothing:
        for each in range(3):
            os.dup2(nothing.fileno(), each)
    try:
        why = Keeper(folder, order).run()
    except Exception as error:
        why = f"its keeper failed: {type(error).__name__}: {error}"
    clear(order.tag)
    if folder.exists():
        write(folder, ENDED, {"why": why})


class Keeper:
    """Runs the command of one order."""

    def __init__(self, folder: Path, order: Order) -> None:
        self._folder = folder
        self._order = order
        self._output = Output(folder, order.secret.encode())

    def run(self) -> str:
        """Make the fresh folder and run the command in it; why it ended."""
        order, user = self._order, self._order.user
        for name in (FILES, SCRATCH):
            place = self._folder / name
            place.mkdir(mode=0o700)
            if user is not None:
                os.chown(place, user.uid, user.gid)
        if order.source:
            code = self._run([*_COPY, "--", f"{order.source}/.", "."], order.environment)
            if code:
                return f"{order.source} could not be copied: {told(code)}; its output says more"
        environment = {**order.environment, order.variable: order.secret}
        try:
            code = self._run(order.command, environment, self._limit)
        except (OSError, subprocess.SubprocessError) as error:
            return f"{shlex.join(order.command)} could not be run: {error}"
        return f"its command ended: {told(code)}"

    def _run(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        prepare: Callable[[], None] | None = None,
    ) -> int:
        """Run something to its end; its exit code, or less than 0: the signal that ended it."""
        user = self._order.user
        process = subprocess.Popen(
            command,
            cwd=self._folder / FILES,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=0o022,
            preexec_fn=prepare,
            user=None if user is None else user.uid,
            group=None if user is None else user.gid,
            extra_groups=None if user is None else user.groups,
        )
        assert process.stdout is not None
        with process.stdout as said:
            os.set_blocking(said.fileno(), False)
            self._follow(process, said.fileno())
            clear(self._order.tag)
            while self._take(said.fileno()):
                pass  # what was said last is in the pipe
        self._output.close()
        return process.returncode

    def _limit(self) -> None:
        """Called between fork and exec, as the command's user."""
        os.nice(self._order.nice)
        for name, value in self._order.limits.items():
            resource.setrlimit(getattr(resource, name), (value, value))

    def _follow(self, process: subprocess.Popen[bytes], said: int) -> None:
        """Take what it says, until it ends."""
        with selectors.DefaultSelector() as selector:
            selector.register(said, selectors.EVENT_READ)
            ended = os.pidfd_open(process.pid)
            selector.register(ended, selectors.EVENT_READ)
            while process.returncode is None:
                ready = {key.fd for key, _ in selector.select(_LOOK)}
                if said in ready and not self._take(said):
                    selector.unregister(said)  # it said all, and goes on
                    said = -1
                if not (self._folder / MARKER).exists():
                    process.kill()  # the folder was taken away: nobody will ask for this runner
                reap(process)
            os.close(ended)

    def _take(self, said: int) -> bool:
        """Take what there is now; whether there may be more."""
        try:
            data = os.read(said, 1 << 16)
        except BlockingIOError:
            return False
        self._output.take(data)
        return bool(data)


def reap(process: subprocess.Popen[bytes]) -> None:
    """See to every child that has ended; most were born to others, who ended before them."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        if pid == process.pid:
            process.returncode = os.waitstatus_to_exitcode(status)


def clear(tag: str) -> None:
    """Leave no process of the runner but this one, however long it takes."""
    while True:
        try:
            return end(tag, patience=10, but=os.getpid())
        except StillThere:
            time.sleep(_LOOK)


def told(code: int) -> str:
    """An exit code in words."""
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


if __name__ == "__main__":
    main()
