"""The plugin: scaler's hooks, answered by libvirt hosts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

import trio

from scaler import Context, Finding, Machine, Registration, Room, Runner, Unavailable, hookimpl
from scaler_libvirt import settings
from scaler_libvirt.findings import check_host
from scaler_libvirt.hosts.connection import OpenLink, Pace
from scaler_libvirt.hosts.host import Host
from scaler_libvirt.hosts.link import open_link
from scaler_libvirt.machine.domain import Identity, Shape, digest
from scaler_libvirt.work import Work

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

T = TypeVar("T")

_FIRST_ATTEMPT = 10.0
_OTHERS = 1.0  # seconds for the other hosts, once one is up
_QUIET = 0.5


class Libvirt:
    """A fresh domain for every runner; every host is a room."""

    Config = settings.Config
    ProfileConfig = settings.ProfileConfig

    def __init__(
        self,
        context: Context[settings.Config, settings.ProfileConfig],
        *,
        pace: Pace = Pace(),  # noqa: B008 - frozen
        opener: OpenLink = open_link,
    ) -> None:
        self._context = context
        self._work = Work()
        self._hosts = {
            host.name: Host(
                host,
                scaler=context.scaler,
                machine_changed=context.machine_changed,
                changed=self._host_changed,
                log=context.log,
                pace=pace,
                opener=opener,
            )
            for host in context.config.hosts
        }

    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        """Be connected to every host. One that is down delays neither the others nor the start."""
        async with trio.open_nursery() as nursery:
            for host in self._hosts.values():
                nursery.start_soon(host.serve, name=f"libvirt host {host.name}")
            await self._attempted()
            self._report()
            task_status.started()
            await self._context.stopping.wait()
            await self._quiet()
            nursery.cancel_scope.cancel()

    async def _attempted(self) -> None:
        """Wait for the first attempt at every host; only a moment longer once one is up."""
        with trio.move_on_after(_FIRST_ATTEMPT) as patience:

            async def attempt(host: Host) -> None:
                await host.connection.attempted.wait()
                if host.connection.up:
                    patience.deadline = min(patience.deadline, trio.current_time() + _OTHERS)

            async with trio.open_nursery() as nursery:
                for host in self._hosts.values():
                    nursery.start_soon(attempt, host)

    @hookimpl
    async def check(self) -> list[Finding]:
        """Who answers, and what to do about who does not; all hosts at once."""
        found: dict[str, list[Finding]] = {}

        async def ask(host: Host) -> None:
            found[host.name] = await check_host(host.settings, host.connection)

        async with trio.open_nursery() as nursery:
            for host in self._hosts.values():
                nursery.start_soon(ask, host)
        return [finding for name in self._hosts for finding in found[name]]

    @hookimpl
    async def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
        """Make a transient domain in the runner's room, or answer the one that is there."""
        host = self._room(runner)
        config = "" if registration.config is None else registration.config.reveal()
        identity = Identity(
            scaler=self._context.scaler,
            runner=runner.id,
            runner_name=runner.name,
            profile=runner.profile,
            generation=time.time_ns(),
            config_sha256=digest(config),
        )
        with self._work:
            return await host.provision(runner.id, identity, self._shape(runner))

    @hookimpl
    async def destroy_runner(self, runner: Runner) -> None:
        """Destroy the runner's domain wherever it is.

        Where the runner has a room of ours, its machine can be nowhere else, so another host that
        is down does not matter. Without one, every host has to say that it is not there.
        """
        with self._work:
            room = self._hosts.get(_room_name(runner))
            if room is not None:
                await room.destroy(runner.id, runner.name)
                return
            done, failed = await _of_all(
                self._hosts.values(), lambda host: host.destroy(runner.id, runner.name)
            )
            if failed and not any(done.values()):
                raise _unknown(failed)
            if _room_name(runner) and not any(done.values()):
                self._context.log.warning(
                    "%s stood on host %s, which is not in the settings any more: left alone there",
                    runner.name,
                    _room_name(runner),
                )

    @hookimpl
    async def list_machines(self) -> list[Machine]:
        """All of ours on all hosts, or an error that names the hosts that did not answer."""
        with self._work:
            done, failed = await _of_all(self._hosts.values(), Host.look)
        if failed:
            raise _unknown(failed)
        return [machine for name in self._hosts for machine in done[name]]

    @hookimpl
    async def capacity(self) -> list[Room]:
        """A room per host, with the limits that the settings give it."""
        return [host.room() for host in self._hosts.values()]

    @hookimpl
    async def screenshot(self, machine: Machine) -> bytes:
        """A PNG of the machine's screen, taken now.

        Raises:
            Unavailable: There is none: the machine may have gone a moment ago.
        """
        host = self._hosts.get(machine.room)
        if host is None:
            raise Unavailable(f"{machine.id}: there is no host {machine.room!r} any more")
        png = await host.screenshot(machine.id)
        if png is None:
            raise Unavailable(f"{machine.id} is gone from host {host.name}")
        return png

    def _room(self, runner: Runner) -> Host:
        if not runner.room and len(self._hosts) == 1:
            return next(iter(self._hosts.values()))
        try:
            return self._hosts[runner.room]
        except KeyError:
            names = ", ".join(self._hosts)
            raise LookupError(f"{runner.name}: no host {runner.room!r}, only {names}") from None

    def _shape(self, runner: Runner) -> Shape:
        profile = self._context.profiles.get(runner.profile)
        resources = runner.resources or (profile.resources if profile is not None else {})
        own = self._context.own.get(runner.profile, settings.ProfileConfig())
        return Shape(
            memory=resources.get("memory", 0) or Shape.memory,
            vcpus=resources.get("vcpus", 0) or Shape.vcpus,
            hugepages_1g=resources.get("hugepages_1g", 0),
            base_image=own.base_image,
        )

    def _host_changed(self) -> None:
        self._context.capacity_changed()
        self._report()

    def _report(self) -> None:
        state = {
            host.name: "up" if host.connection.up else f"down: {host.connection.trouble}"
            for host in self._hosts.values()
        }
        self._context.report(
            "; ".join(f"{name} {text}" for name, text in state.items()),
            ok=all(text == "up" for text in state.values()),
            hosts=state,
        )

    async def _quiet(self) -> None:
        """Wait until nothing was asked for a moment: a shutdown still ends what it began."""
        while self._work.seen():
            await self._work.idle.wait()
            await trio.sleep(_QUIET)


def _room_name(runner: Runner) -> str:
    return runner.room or (runner.machine.room if runner.machine is not None else "")


async def _of_all(
    hosts: Iterable[Host], ask: Callable[[Host], Awaitable[T]]
) -> tuple[dict[str, T], dict[str, Exception]]:
    """Ask hosts at once; every one's answer or failure, by its name."""
    done: dict[str, T] = {}
    failed: dict[str, Exception] = {}

    async def one(host: Host) -> None:
        try:
            done[host.name] = await ask(host)
        except Exception as error:
            failed[host.name] = error

    async with trio.open_nursery() as nursery:
        for host in hosts:
            nursery.start_soon(one, host)
    return done, failed


def _unknown(failed: dict[str, Exception]) -> Unavailable:
    texts = (
        str(error) if isinstance(error, Unavailable) else f"host {name}: {error}"
        for name, error in failed.items()
    )
    return Unavailable("; ".join(texts))
