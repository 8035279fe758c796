"""What a scaler is given by who runs it, and the signals that tell it something."""

from __future__ import annotations

import logging
import math
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio

from scaler.supervisor import Supervisor

if TYPE_CHECKING:
    from scaler.dispatch import HookCall
    from scaler.reload import Reloader
    from scaler.settings import Settings
    from scaler.watchdog import Watchdog

log = logging.getLogger("scaler")

ECHO = 0.1  # seconds within which a second signal is the first one's echo: `timeout` sends two
STDERR = 2
STOPPING = (signal.SIGINT, signal.SIGTERM)
RELOADING = signal.SIGHUP


@dataclass(frozen=True)
class Around:
    """What a scaler is given by who runs it."""

    stop: trio.Event
    trace: Callable[[HookCall], None] | None = None
    on_stuck: Callable[[Sequence[str]], None] | None = None
    watchdog: Watchdog | None = None
    supervisor: Supervisor = field(default_factory=Supervisor)
    stopped: trio.Event = field(default_factory=trio.Event)
    hung_up: trio.Event = field(default_factory=trio.Event)
    reloads: list[Reloader] = field(default_factory=list)  # one, once it is there

    def reload(self) -> None:
        """Have the settings read soon, or as soon as it has started."""
        self.hung_up.set()
        for each in self.reloads:
            each.ask()

    def reloads_by(self, reloader: Reloader) -> None:
        """This one reads them."""
        self.reloads.append(reloader)
        if self.hung_up.is_set():
            reloader.ask()

    def grace(self, settings: Settings) -> float:
        """Seconds that a clean stop may take now; by the settings of the start until it has."""
        return float((self.reloads[0].settings if self.reloads else settings).shutdown_grace)


async def watch(signals: AsyncIterator[int], around: Around, everything: trio.CancelScope) -> None:
    """The first signal stops it cleanly, the second at once; one of them has it reload.

    That one comes, too, when the terminal goes away that scaler was started from.
    """
    first, stop = -math.inf, around.stop
    terminal = os.isatty(STDERR)
    async for number in signals:
        name = signal.Signals(number).name
        if number == RELOADING and not (terminal and not os.isatty(STDERR)):
            log.info("%s: reading the settings anew", name)
            around.reload()
            continue
        if trio.current_time() - first < ECHO:
            continue
        if stop.is_set():
            log.warning("%s: stopping at once", name)
            everything.cancel()
        else:
            log.info("%s: stopping; once more to stop at once", name)
            first = trio.current_time()
            stop.set()
