"""The plugin: scaler's hooks, answered by processes of this machine."""

from __future__ import annotations

import errno
import hashlib
import math
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, ParamSpec, TypeVar
from weakref import WeakValueDictionary

import trio

from scaler import (
    Context,
    Finding,
    Machine,
    NoRoom,
    Registration,
    Room,
    Runner,
    Unavailable,
    hookimpl,
)
from scaler_process import settings
from scaler_process.ending import StillThere, end
from scaler_process.findings import findings
from scaler_process.folders import ROOM, Folder, Folders
from scaler_process.output import tail
from scaler_process.proc import read, runners
from scaler_process.removal import remove
from scaler_process.starting import order, spawn

if TYPE_CHECKING:
    from scaler_process.proc import Process as Running

A = ParamSpec("A")
T = TypeVar("T")

_AT_ONCE = 8  # threads
_BEGIN = 30.0  # seconds for a keeper to begin
_PATIENCE = 30.0  # seconds for processes to end
_KEEP = 5.0  # seconds that a failed runner's output may hold its end up
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)


class Process:
    """A process in a fresh folder for every runner. Each has a keeper, which outlives scaler."""

    api = "1.0"
    Config = settings.Config
    ProfileConfig = settings.ProfileConfig

    def __init__(self, context: Context[settings.Config, settings.ProfileConfig]) -> None:
        self._context = context
        self._folders = Folders(context.config.folder or context.folder, context.scaler)
        self._threads = trio.CapacityLimiter(_AT_ONCE)
        self._locks: WeakValueDictionary[int, trio.Lock] = WeakValueDictionary()
        self._door = threading.Lock()
        self._beginning: set[int] = set()
        self._children: set[int] = set()  # keepers that this process must wait for
        self._made, self._to_follow = trio.open_memory_channel[Folder](math.inf)

    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        """Follow every runner that there is and that comes, to tell when it ends."""
        await self._thread(self._folders.prepare)
        async with trio.open_nursery() as nursery:
            for folder in await self._thread(lambda: list(self._folders)):
                nursery.start_soon(self._follow, folder)
            nursery.start_soon(self._follow_new, nursery)
            task_status.started()
            await self._context.stopping.wait()
            nursery.cancel_scope.cancel()  # the keepers stay, and the next start follows them

    @hookimpl
    async def check(self) -> list[Finding]:
        """What is missing for each profile's runners, and what cannot be kept to."""
        return await self._thread(findings, self._folders.base, self._context.own)

    @hookimpl
    async def capacity(self) -> list[Room]:
        """This machine; it refuses all profiles while there are as many runners as may be."""
        most = self._context.config.most
        there, refuses = 0, {}
        with suppress(FileNotFoundError):  # nothing runs yet, as in a check: none was made
            there = await self._thread(lambda: sum(1 for _ in self._folders))
        if there >= most:
            refuses = dict.fromkeys(self._context.profiles, _most(most))
        total = {name: int(size) for name, size in self._context.config.resources.items()}
        return [Room(name=ROOM, total=total, refuses=refuses)]

    @hookimpl
    async def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
        """Make the runner's folder and start its keeper, or answer what is there."""
        if runner.room not in ("", ROOM):
            raise NoRoom(f"there is no room {runner.room!r} here, only {ROOM!r}")
        config = "" if registration.config is None else registration.config.reveal()
        async with self._lock(runner):
            self._beginning.add(runner.id)
            try:
                folder = await self._thread(self._place, runner, config)
                if not await self._thread(_started, folder):
                    await self._start(folder, runner, config)
                return await self._thread(_machine, folder)
            except OSError as error:
                raise (NoRoom if error.errno in _FULL else Unavailable)(str(error)) from error
            finally:
                self._beginning.discard(runner.id)
                self._context.capacity_changed()

    @hookimpl
    async def destroy_runner(self, runner: Runner) -> None:
        """Kill all that is left of the runner's processes, and remove its folder."""
        async with self._lock(runner):
            folder = await self._thread(self._folders.of, runner.id)
            if folder is None:
                return
            if runner.failed:
                await self._keep(folder)
            try:
                await self._thread(_destroy, folder)
            except (OSError, StillThere) as error:
                raise Unavailable(f"{folder.path} is not gone: {error}") from error
        self._reap()
        self._context.capacity_changed()

    @hookimpl
    async def list_machines(self) -> list[Machine]:
        """Every folder, and whether anything runs for it."""
        return await self._thread(self._list)

    def _list(self) -> list[Machine]:
        # in this order: a keeper that is started meanwhile is one of those that begin
        beginning, folders = self._beginning.copy(), list(self._folders)
        running = runners()
        return [
            each.machine(running=each.tag in running or each.runner in beginning | self._beginning)
            for each in folders
        ]

    def _place(self, runner: Runner, config: str) -> Folder:
        """The runner's folder with its tag, which is on the disk when this returns."""
        with self._door:
            folder = self._folders.of(runner.id)
            if folder is None:
                most = self._context.config.most
                if sum(1 for _ in self._folders) >= most:
                    raise NoRoom(_most(most))
                folder = self._folders.make(runner)
        folder.mark(hashlib.sha256(config.encode()).hexdigest())
        return folder

    async def _start(self, folder: Folder, runner: Runner, config: str) -> None:
        """Start the folder's keeper and wait until it has begun."""
        own = self._context.own.get(runner.profile, settings.ProfileConfig())
        try:
            told = await self._thread(order, own, folder, config)
        except KeyError:
            raise Unavailable(f"there is no user {own.user!r} on this machine") from None
        pid, hears = await self._thread(spawn, folder, told)
        self._children.add(pid)
        try:
            with trio.move_on_after(_BEGIN):
                said = await _said(hears)
                if said == "begun":
                    return
                raise Unavailable(f"the keeper of {runner.name} did not begin: {said[-300:]}")
        finally:
            os.close(hears)
            self._made.send_nowait(folder)
        raise Unavailable(f"the keeper of {runner.name} has not begun after {_BEGIN:.0f} s")

    async def _follow_new(self, nursery: trio.Nursery) -> None:
        async for folder in self._to_follow:
            nursery.start_soon(self._follow, folder)

    async def _follow(self, folder: Folder) -> None:
        """Wait for the end of a runner's keeper, or of what outlived it, and tell of it."""
        tag = await self._thread(lambda: folder.tag)
        while found := (await self._thread(runners)).get(tag):
            await _ended(min(found))
            try:
                # there is nothing left, unless the keeper was killed
                await self._thread(end, tag, patience=_PATIENCE, pause=_pause)
            except StillThere as error:
                self._context.log.warning("%s: %s", folder.path.name, error)
                await trio.sleep(_PATIENCE)
        self._reap()
        if await self._thread(folder.path.exists):
            self._context.machine_changed(await self._thread(_machine, folder))

    async def _keep(self, folder: Folder) -> None:
        """Keep what a failed runner said. Never raises, and never takes long."""
        with trio.move_on_after(_KEEP):
            try:
                if said := await self._thread(tail, folder.path):
                    await self._context.keep(folder.runner, "output.log", said)
            except Exception as error:
                self._context.log.info("%s: its output is not kept: %s", folder.path.name, error)

    def _reap(self) -> None:
        """Let those go that have ended."""
        for pid in [*self._children]:
            with suppress(ChildProcessError):
                if os.waitpid(pid, os.WNOHANG) == (0, 0):
                    continue
            self._children.discard(pid)

    def _lock(self, runner: Runner) -> trio.Lock:
        return self._locks.setdefault(runner.id, trio.Lock())

    async def _thread(self, call: Callable[A, T], *args: A.args, **kwargs: A.kwargs) -> T:
        """Do what blocks where it blocks nobody; short, or it pauses by `_pause`."""
        return await trio.to_thread.run_sync(lambda: call(*args, **kwargs), limiter=self._threads)


def _most(most: int) -> str:
    return f"there are {most} runners here, which is the most"


def _started(folder: Folder) -> bool:
    return folder.begun or folder.tag in runners()


def _machine(folder: Folder) -> Machine:
    return folder.machine(running=folder.tag in runners())


def _destroy(folder: Folder) -> None:
    if tag := folder.tag:
        end(tag, patience=_PATIENCE, pause=_pause)
    remove(folder.path, pause=trio.from_thread.check_cancelled)


def _pause(seconds: float) -> None:
    """Wait in a thread, and no longer than whoever asked for it does."""
    time.sleep(seconds)
    trio.from_thread.check_cancelled()


async def _said(hears: int) -> str:
    """What a keeper says: that it has begun, or what failed."""
    said = b""
    while said != b"begun\n":
        await trio.lowlevel.wait_readable(hears)
        if not (more := os.read(hears, 4096)):
            break
        said += more
    return said.decode(errors="replace").strip()


async def _ended(process: Running) -> None:
    """Wait for the end of this very process."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        if read(process.pid) == process:
            await trio.lowlevel.wait_readable(handle)
    finally:
        os.close(handle)
