"""scaler-libvirt, and guests: tells the stand-in for GitHub which machines exist.

    [scaler]
    plugin_dir = "benchmarks/plugins"
    [plugins.machines]
    hosts = [{ name = "here", uri = "test:///default" }]
    port = 12345

No guest boots before its own domain exists. That is not told from `on_runner_changed`: under load
a plugin may miss one of those, and its guest would never come.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass

import trio

from scaler import Context, Machine, Registration, Runner, hookimpl
from scaler_libvirt import settings
from scaler_libvirt.plugin import Libvirt


class Machines(Libvirt):
    """The provisioner, with a line to the stand-in for each machine that is made or gone."""

    @dataclass(frozen=True, kw_only=True)
    class Config(settings.Config):
        """`port`: where the stand-in hears of machines."""

        port: int

    def __init__(self, context: Context[Config, settings.ProfileConfig]) -> None:
        super().__init__(context)  # type: ignore[arg-type]  # a Context is not covariant
        self._port = context.config.port
        self._lines: list[str] = []
        self._more = trio.Event()
        self.seen = 0

    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        with socket.create_connection(("127.0.0.1", self._port)) as line:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._send, line)
                await super().run_service(task_status)
                nursery.cancel_scope.cancel()

    async def _send(self, line: socket.socket) -> None:
        # All that there is at once: after every call into the system this thread may wait for
        # Python's lock, which is no cost of scaler's
        while True:
            await self._more.wait()
            self._more = trio.Event()
            lines, self._lines = self._lines, []
            line.sendall("".join(lines).encode())

    def _tell(self, text: str) -> None:
        self._lines.append(f"{text}\n")
        self._more.set()

    @hookimpl
    async def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
        machine = await super().provision_runner(runner, registration)
        self._tell(f"+{runner.name}")
        return machine

    @hookimpl
    async def destroy_runner(self, runner: Runner) -> None:
        await super().destroy_runner(runner)
        self._tell(f"-{runner.name}")

    @hookimpl
    async def on_runner_changed(self, runner: Runner, before: Runner | None) -> None:
        """Somebody who looks on, as a dashboard would: that is part of what is measured."""
        self.seen += 1
