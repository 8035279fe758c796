"""What a service manager is told: that scaler is ready, reloads, stops, and is alive.

The protocol is systemd's `sd_notify`: a datagram of `NAME=VALUE` lines to the socket that
NOTIFY_SOCKET names. Whoever started scaler without one is told nothing.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from typing import TYPE_CHECKING

import trio

from scaler.records import RunnerState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, MutableMapping

    from scaler.model.row import Row

log = logging.getLogger("scaler.supervisor")

TURN = 10.0  # seconds between two looks, at most
SOON = 0.5  # seconds until what could not be sent is sent again
EXTENSION = 30.0  # seconds that are asked for at each look while it starts or stops
STARTING = 600.0  # seconds that a start may take: upgrading a ledger, a disk that is slow
HUNG = 60.0  # seconds without a look at everything, at least, that show that none comes
VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class Supervisor:
    """Speaks to the service manager that started this process, if one did.

    Args:
        address: The manager's socket, as NOTIFY_SOCKET has it; empty where there is none.
        watchdog: Seconds without a sign of life after which it ends scaler; 0 for never.
    """

    def __init__(self, address: str = "", watchdog: float = 0.0) -> None:
        self._address = _address(address)
        self._watchdog = watchdog
        self._looked: Callable[[], float] | None = None
        self._tick: Callable[[], float] = lambda: 0.0
        self._describe: Callable[[], str] = lambda: ""
        self._began = trio.current_time() if self._address else 0.0
        self._ready = self._stopping = self._hung = False
        self._unsent = self._status = ""

    @classmethod
    def of_this_process(cls, environ: MutableMapping[str, str] = os.environ) -> Supervisor:
        """By the environment; its variables are taken out, so that no child speaks as scaler."""
        address, usec, pid = (environ.pop(name, "") for name in VARIABLES)
        meant = not pid or pid == str(os.getpid())
        watchdog = int(usec) / 1e6 if meant and usec.isascii() and usec.isdecimal() else 0.0
        return cls(address, watchdog)

    def attach(
        self,
        looked: Callable[[], float],
        tick: Callable[[], float],
        describe: Callable[[], str] = lambda: "",
    ) -> None:
        """Judge by this whether it is alive, and say this of it.

        Args:
            looked: When everything was looked at last, by trio's clock.
            tick: How often that should be, in seconds.
            describe: What it does, in a few words.
        """
        self._looked, self._tick, self._describe = looked, tick, describe

    def ready(self) -> None:
        """It runs, also again after a reload."""
        self._ready = True
        if not self._stopping:
            self._tell("READY=1", *self._news())

    def reloading(self) -> None:
        """It reads its settings anew; `ready` follows."""
        if not self._stopping:
            now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            self._tell("RELOADING=1", f"MONOTONIC_USEC={now}")

    def stopping(self) -> None:
        """It begins to stop."""
        self._stopping = True
        self._tell("STOPPING=1", "STATUS=stopping", _extension())

    async def run(self) -> None:
        """Be alive, as often as the manager wants to hear it, until cancelled."""
        if self._address is None:
            await trio.sleep_forever()
        turn = min(TURN, self._watchdog / 2) if self._watchdog else TURN
        while True:
            self._look()
            await trio.sleep(min(turn, SOON) if self._unsent else turn)

    def _look(self) -> None:
        if self._unsent:
            self._tell(self._unsent)
        lines = [] if self._stopping or not self._ready else self._news()
        starts = not self._ready and trio.current_time() - self._began < STARTING
        if starts or self._stopping:
            lines.append(_extension())
        if self._watchdog and self._alive():
            lines.append("WATCHDOG=1")
        if lines:
            self._send("\n".join(lines))

    def _alive(self) -> bool:
        """Whether this loop turns (it does), and the task that does the work comes round, too."""
        if self._looked is None or not self._ready or self._stopping:
            return True
        late = trio.current_time() - self._looked()
        hung = late > max(HUNG, 3 * self._tick())
        if hung and not self._hung:
            log.error(
                "nothing was planned for %.0f s: the service manager is not told any more that"
                " scaler is alive, so that it starts it again",
                late,
            )
        self._hung = hung
        return not hung

    def _news(self) -> list[str]:
        status = " ".join(self._describe().split())
        if not status or status == self._status:
            return []
        self._status = status
        return [f"STATUS={status}"]

    def _tell(self, *lines: str) -> None:
        """Send what must arrive: what the manager has no room for is sent again in a moment."""
        text = "\n".join(lines)
        self._unsent = "" if self._send(text) else text

    def _send(self, text: str) -> bool:
        if self._address is None:
            return True
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        try:
            with socket.socket(socket.AF_UNIX, kind) as speaking:
                speaking.sendto(text.encode(), self._address)
        except BlockingIOError:
            return False
        except OSError as error:  # a manager that went away is no trouble of ours
            log.debug("the service manager cannot be told: %s", error)
        return True


def in_a_few_words(rows: Iterable[Row]) -> str:
    """How many runners there are, and how many of them work, for `systemctl status`."""
    states = [row.runner.state for row in rows]
    busy = states.count(RunnerState.BUSY)
    return f"{len(states)} {'runner' if len(states) == 1 else 'runners'}, {busy} busy"


def _address(given: str) -> str | None:
    """The socket's address: a path, or a name without one, which systemd writes with an @."""
    if given.startswith("@"):
        return "\0" + given[1:]
    if given.startswith("/"):
        return given
    if given:
        log.warning("NOTIFY_SOCKET=%s is no address that scaler can speak to", given)
    return None


def _extension() -> str:
    return f"EXTEND_TIMEOUT_USEC={int(EXTENSION * 1e6)}"
