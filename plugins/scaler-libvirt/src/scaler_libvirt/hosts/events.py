"""libvirt's events, brought into trio.

libvirt has one event loop per process, which cannot be taken back once registered. So one daemon
thread turns it for as long as the process lives, and every `Feed` receives what concerns it from
there: it may outlive any `trio.run`, and serve several of them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import libvirt
import trio

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)

REBOOTED = -1  # a step that libvirt tells as an event of another kind


@dataclass(frozen=True, slots=True)
class LifecycleEvent:
    """A domain took a step. Numbers are libvirt's `VIR_DOMAIN_EVENT_*` and their details."""

    uuid: str
    step: int
    detail: int


class _ProcessLoop:
    """libvirt's event loop. There can be only one in a process: see `turn_event_loop`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turning = False

    def turn(self) -> None:
        with self._lock:
            if self._turning:
                return
            # without a handler of ours libvirt writes every error to stderr, also those that we
            # expect and answer
            libvirt.registerErrorHandler(lambda *_: None, None)
            libvirt.virEventRegisterDefaultImpl()
            threading.Thread(target=self._run, name="libvirt events", daemon=True).start()
            self._turning = True

    @staticmethod
    def _run() -> None:
        while True:
            try:
                libvirt.virEventRunDefaultImpl()
            except Exception:
                _log.exception("libvirt's event loop failed; turning it again in a second")
                time.sleep(1)


_process_loop = _ProcessLoop()


def turn_event_loop() -> None:
    """Start the thread that delivers libvirt's events, once per process.

    Must come before the first connection is opened, or that connection never has events. This is
    state of the process and not of a plugin, because libvirt keeps it so.
    """
    _process_loop.turn()


class Feed:
    """Events on their way from libvirt's thread to one task. Made inside trio.

    Attributes:
        events: What came, in order.
        missed: How many found the channel full. Whoever reads compares it with what it saw
            before, and looks at everything again when it grew.
    """

    def __init__(self, size: int = 1024) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._send, self.events = trio.open_memory_channel[LifecycleEvent](size)
        self._came: deque[LifecycleEvent] = deque()
        self._told = False  # that something came, and the trio run has not looked yet
        self.missed = 0

    def post(self, event: LifecycleEvent) -> None:
        """Hand an event over, from any thread. It is dropped when the trio run is over."""
        self._came.append(event)
        if not self._told:  # each telling wakes the loop: in a flood, one for many events
            self._told = True
            self.soon(self._take)

    def soon(self, function: Callable[[], object]) -> None:
        """Call a function in the trio run, from any thread; nothing, when that run is over."""
        try:
            self._token.run_sync_soon(function)
        except trio.RunFinishedError:
            return

    def _take(self) -> None:
        self._told = False  # before looking: what comes meanwhile is told anew
        while self._came:
            try:
                self._send.send_nowait(self._came.popleft())
            except trio.WouldBlock:
                self.missed += 1
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self._came.clear()
