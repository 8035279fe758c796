"""The plugin: scaler's hooks, answered by libvirt hosts."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import trio

from scaler import (
    Context,
    Finding,
    Incomplete,
    Machine,
    NoRoom,
    Registration,
    Room,
    RoomState,
    Runner,
    SettingsChange,
    Unavailable,
    hookimpl,
)
from scaler_libvirt import settings
from scaler_libvirt.findings import check_files, check_host
from scaler_libvirt.hosts.base import NoImage
from scaler_libvirt.hosts.builders import Builders
from scaler_libvirt.hosts.connection import OpenLink, Pace
from scaler_libvirt.hosts.fleet import Fleet
from scaler_libvirt.hosts.host import Host
from scaler_libvirt.hosts.link import open_link
from scaler_libvirt.hosts.orders import base_for
from scaler_libvirt.hosts.ties import Ties
from scaler_libvirt.images import Images
from scaler_libvirt.machine.identity import digest
from scaler_libvirt.work import Work

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from scaler_libvirt.hosts.order import Order

T = TypeVar("T")

_FIRST_ATTEMPT = 10.0
_OTHERS = 1.0  # seconds for the other hosts, once one is up
_QUIET = 0.5
_KEPT_WITHIN = 5.0  # seconds that a failed runner's log may hold its end up
_KEPT_AT_ONCE = 4


class Libvirt:
    """A fresh domain for every runner; every host is a room."""

    api = "1.1"
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
        self._keeping = trio.CapacityLimiter(_KEPT_AT_ONCE)
        ties = Ties(
            context=context, changed=self._host_changed, known=self._known, drained=self._drained
        )
        self._fleet = Fleet(
            context.config.hosts,
            partial(Host, ties=ties, pace=pace, opener=opener),
            held=self._held,
            left=self._left,
        )
        self._hosts = self._fleet.hosts
        self._images = Images(context, self._builders())

    def _builders(self) -> dict[str, Builders]:
        return {name: Builders(host) for name, host in self._hosts.items()}

    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        """Be connected to every host. One that is down delays neither the others nor the start."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self._fleet.serve)
            await self._attempted()
            await nursery.start(self._images.run)
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
    async def on_settings_changed(self, change: SettingsChange) -> list[str]:
        """Go by them: for machines, and builds of images, that are begun from now on."""
        changed = {*change.added, *change.removed, *change.changed}
        restarts = self._fleet.renew(self._context.config.hosts, changed)
        self._host_changed()
        leaving = [host.name for host in self._hosts.values() if host.leaving]
        await self._images.renew(self._builders(), leaving)
        self._host_changed()
        return restarts

    @hookimpl
    async def check(self) -> list[Finding]:
        """Who answers, and what to do about who does not; all hosts at once."""
        found: dict[str, list[Finding]] = {}

        async def ask(host: Host) -> None:
            found[host.name] = await check_host(
                host.settings,
                host.connection,
                scaler=self._context.scaler,
                wants=host.suitability.wants,
            )

        hosts = [host for host in self._hosts.values() if not host.leaving]
        async with trio.open_nursery() as nursery:
            for host in hosts:
                nursery.start_soon(ask, host)
            guests = await check_files(self._context.own)
        return [*(finding for host in hosts for finding in found[host.name]), *guests]

    @hookimpl
    async def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
        """Make a transient domain in the runner's room, or answer the one that is there."""
        host = self._room(runner)
        config = "" if registration.config is None else registration.config.reveal()
        config_sha256 = digest(config)
        with self._work:
            return await host.provision(
                runner.id,
                lambda: self._order(host, runner, config),
                lambda making: (
                    (making.runner_name, making.config_sha256) == (runner.name, config_sha256)
                ),
            )

    def _order(self, host: Host, runner: Runner, config: str) -> Order:
        kind, arch = host.kind()
        own = self._context.own.get(runner.profile, settings.ProfileConfig())
        profile = self._context.profiles.get(runner.profile)
        try:
            base = (
                self._images.base(host.name, runner.profile) if own.source_image else base_for(own)
            )
        except NoImage as error:
            raise NoRoom(f"host {host.name}: {error}") from error
        return host.orders.machine(
            own,
            profile=runner.profile,
            runner=runner.id,
            runner_name=runner.name,
            resources=runner.resources or (profile.resources if profile is not None else {}),
            base=base,
            kind=kind,
            arch=arch,
            networks=host.suitability.conditions.networks,
            config=config,
            boot="" if profile is None else profile.boot_script,
            hold=profile is not None and profile.hold_failed > 0,
        )

    @hookimpl
    async def destroy_runner(self, runner: Runner) -> None:
        """Destroy the runner's domain wherever it is.

        Where the runner has a room of ours, its machine can be nowhere else, so another host that
        is down does not matter. Without one, every host has to say that it is not there.
        """
        with self._work:
            room = self._hosts.get(_room_name(runner))
            if room is not None:
                if runner.failed:
                    await self._keep_log(room, runner)
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
        """All of ours on all hosts.

        Raises:
            Incomplete: Some hosts did not answer, which it names. What the others have is in it: an
                event has told of those that run, but only a list tells of disks that are left.
        """
        with self._work:
            done, failed = await _of_all(self._hosts.values(), Host.look)
        for name, error in failed.items():
            if isinstance(error, Incomplete):
                done[name] = error.listed
        machines = [machine for name in self._hosts for machine in done.get(name, ())]
        if failed:
            # the core calls none gone by a list with gaps, not even of a host that did answer
            raise Incomplete(machines, str(_unknown(failed)))
        return machines

    @hookimpl
    async def capacity(self) -> list[Room]:
        """A room per host, with the limits that the settings give it, less what builders take."""
        return [self._of(host) for host in self._hosts.values()]

    def _of(self, host: Host) -> Room:
        room = host.room()
        reserved = self._images.reserved(host.name)
        refuses = dict(room.refuses)
        if room.state is not RoomState.DOWN:
            for profile in self._context.own:
                if profile not in refuses and (why := self._images.refusal(host.name, profile)):
                    refuses[profile] = why
        total = {
            name: max(0, amount - reserved.get(name, 0)) for name, amount in room.total.items()
        }
        return replace(room, total=total, refuses=refuses)

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

    async def _keep_log(self, host: Host, runner: Runner) -> None:
        """Keep the end of a failed runner's serial log. Never raises, and never takes long."""
        uuid = "" if runner.machine is None else runner.machine.id
        with trio.move_on_after(_KEPT_WITHIN):
            try:
                async with self._keeping:
                    text = await host.tail(runner.id, uuid)
                    if text:
                        await self._context.keep(runner.id, "serial.log", text)
            except Exception as error:
                self._context.log.info("%s: its log is not kept: %s", runner.name, error)

    def _known(self) -> frozenset[str]:
        machines = (runner.machine for runner in self._context.view().runners)
        return frozenset(machine.id for machine in machines if machine is not None)

    def _drained(self, name: str) -> bool:
        rooms = self._context.view().rooms.get(self._context.name, ())
        return any(each.name == name and each.state is RoomState.DRAINING for each in rooms)

    def _held(self, name: str) -> bool:
        """Whether a runner is or will be there, or an image is being built."""
        return self._images.building(name) or any(
            each.provisioner in ("", self._context.name) and _room_name(each) == name
            for each in self._context.view().runners
        )

    def _left(self, host: Host) -> None:
        images = ", ".join(self._images.drop(host.name))
        self._context.log.info(
            "host %s is left: the settings do not have it, and nothing of ours is there%s",
            host.name,
            f", but for images that nobody uses: {images}" if images else "",
        )
        self._host_changed()

    def _host_changed(self) -> None:
        self._context.capacity_changed()
        for name in self._hosts:
            self._images.host_changed(name)
        self._report()

    def _report(self) -> None:
        state = {name: host.text() for name, host in self._hosts.items()}
        refused = {
            name: refuses for name, host in self._hosts.items() if (refuses := host.room().refuses)
        }
        self._context.report(
            "; ".join(f"{name} {text}" for name, text in state.items()),
            ok=all(host.well for host in self._hosts.values()),
            hosts=state,
            refuses=refused,
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
