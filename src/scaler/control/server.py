"""The socket `state_dir/control.sock`: one JSON object a line, each way."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from scaler.control import listening
from scaler.control.commands import Commands
from scaler.control.connections import Connections
from scaler.control.place import SOCKET

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scaler.engine import Engine
    from scaler.reload import Reloader

log = logging.getLogger("scaler.control")

LOOK = 30.0  # seconds after which a socket that is not there any more is made anew
PAUSE = 0.2  # seconds until the next try to accept, where the system has no more descriptors
FAULT = ("control", "socket")  # what it is shown as, where it cannot be made


class Control:
    """Answers who asks through the socket.

    Args:
        folder: Where the socket is: `state_dir`.
        engine: What runs.
        reloader: What reads the settings anew.
        hide: Puts `***` in place of secrets in what is answered.
    """

    def __init__(
        self, folder: Path, engine: Engine, reloader: Reloader, hide: Callable[[str], str]
    ) -> None:
        self._folder = folder
        self._engine = engine
        self._connections = Connections(Commands(folder, engine, reloader), engine, hide)
        self._bound: listening.Bound | None = None
        self._accepting = trio.CancelScope()
        self._limiter = trio.CapacityLimiter(1)
        self._trouble = ""

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; `started()` as soon as the socket is there, or cannot be."""
        async with trio.open_nursery() as nursery:
            try:
                await self._bind(nursery)
                task_status.started()
                while True:
                    await trio.sleep(LOOK)
                    await self._look(nursery)
            finally:
                # at once: whoever comes next has the folder as soon as the ledger is closed
                if self._bound is not None:
                    listening.remove(self._folder, self._bound)

    async def _look(self, nursery: trio.Nursery) -> None:
        """Make it anew where it is gone: something cleaned up, or took its name."""
        bound = self._bound
        if bound is not None:
            there = await trio.to_thread.run_sync(
                listening.is_there, self._folder, bound, limiter=self._limiter
            )
            if there:
                return
            log.warning("%s is gone, or another's: it is made anew", self._folder / SOCKET)
        await self._bind(nursery)

    async def _bind(self, nursery: trio.Nursery) -> None:
        try:
            # (not abandoned: what it makes has to be taken away at the end)
            bound = await trio.to_thread.run_sync(
                listening.bind, self._folder, limiter=self._limiter
            )
        except OSError as error:
            self._failed(error.strerror or str(error))
            return
        self._accepting.cancel()
        self._bound, self._accepting = bound, trio.CancelScope()
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(bound.socket))
        nursery.start_soon(self._accept, listener, self._accepting, name="control socket")
        if bound.warning:
            log.warning("%s", bound.warning)
        if self._trouble:
            self._trouble = ""
            self._engine.recovered(*FAULT)
            log.info("%s is there now", self._folder / SOCKET)

    def _failed(self, why: str) -> None:
        if why == self._trouble:
            return
        self._trouble = why
        text = (
            f"{self._folder / SOCKET} cannot be made: {why}; until it can, status, pause, drain and"
            " the like do not work"
        )
        log.error("%s", text)
        self._engine.fault(*FAULT, text)

    async def _accept(self, listener: trio.SocketListener, scope: trio.CancelScope) -> None:
        async with listener, trio.open_nursery() as nursery:
            failing = ""
            with scope:
                while True:
                    try:
                        stream = await listener.accept()
                    except OSError as error:
                        if str(error) != failing:
                            failing = str(error)
                            log.warning("nobody can be let in at the control socket: %s", failing)
                        await trio.sleep(PAUSE)
                        continue
                    failing = ""
                    await self._connections.take(stream, nursery)
