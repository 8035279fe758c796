"""One host, as far as images are concerned: machines that make or try them, and the images."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeVar

from scaler import NoRoom
from scaler_libvirt.hosts import assembly, driver, volumes
from scaler_libvirt.hosts.base import CannotBeMadeError
from scaler_libvirt.hosts.reasons import plain
from scaler_libvirt.machine.names import parse_image, volume_names
from scaler_libvirt.settings import ProfileConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scaler import Machine
    from scaler_libvirt.hosts.base import Base
    from scaler_libvirt.hosts.host import Host
    from scaler_libvirt.hosts.machines import Ended
    from scaler_libvirt.hosts.order import Order

T = TypeVar("T")

_COPYING = 7200.0  # seconds that a copy of a disk may take


@dataclass(frozen=True, kw_only=True)
class ImageVolume:
    """An image of ours that is on the host.

    Attributes:
        name: Of the volume.
        profile, number: Which image it is.
        path: On the hypervisor.
        capacity, allocation: In bytes: what a guest sees, and what it takes of the pool.
        stamp: Another one says that it was written to; empty where the hypervisor does not tell.
    """

    name: str
    profile: str
    number: int
    path: str
    capacity: int
    allocation: int
    stamp: str = ""


class Builders:
    """See the module. Whatever cannot be asked now raises Unavailable: nothing is known then.

    That is also so where libvirt answers a question with an error, or the pool is not there. What
    is to be done to one machine or image (`remove`, `flatten`, `in_use`, `delete_image`, and
    `tail`, where a file cannot be read) raises what libvirt says of it: it stops nothing else.

    Args:
        host: The host.
    """

    def __init__(self, host: Host) -> None:
        self._host = host

    @property
    def up(self) -> bool:
        """Whether it is connected, and was looked at."""
        return self._host.connection.up

    @property
    def draining(self) -> bool:
        """Whether it takes no new machines, by its settings or because someone told so."""
        return self._host.settings.drain or self._host.ties.drained(self._host.name)

    def free(self) -> dict[str, int]:
        """What our machines leave of what it may use; without what is not limited."""
        return self._host.free()

    async def make(
        self,
        profile: str,
        role: Literal["builder", "smoke"],
        uuid: str,
        base: Base,
        *,
        nonce: str = "",
    ) -> Machine:
        """Make a machine that builds or tries an image, or answer the one with this UUID.

        Args:
            profile: Whose image.
            role: What it is for.
            uuid: Its UUID, which was written down before.
            base: What its disk stands on.
            nonce: What it is to print to show that it works.

        Raises:
            NoRoom: The host has no memory or disk space for it, or something that it needs is not
                there.
        """
        return await self._host.provision(
            uuid, lambda: self._order(profile, role, uuid, base, nonce)
        )

    def _order(
        self, profile: str, role: Literal["builder", "smoke"], uuid: str, base: Base, nonce: str
    ) -> Order:
        host = self._host
        kind, arch = host.kind()
        known = host.ties.profiles.get(profile)
        return host.orders.machine(
            host.ties.own.get(profile, ProfileConfig()),
            profile=profile,
            runner=None,
            runner_name=f"{role}.{profile}.{uuid}@{host.scaler}",
            resources={} if known is None else known.resources,
            base=base,
            kind=kind,
            arch=arch,
            networks=host.suitability.conditions.networks,
            role=role,
            boot="" if known is None else known.boot_script,
            uuid=uuid,
            nonce=nonce,
        )

    async def ended(self, uuid: str) -> Ended:
        """Wait until the machine is known to be off; at once where it is known already."""
        host = self._host
        roster = host.machines.roster
        if not roster.knows(uuid) and roster.why_ended(uuid) is None:
            seen = await self._look_up(uuid)
            if seen is not None and seen.running:
                host.machines.saw(seen)
            elif not roster.knows(uuid):
                host.machines.vanished(uuid)
        return await host.machines.wait_ended(uuid)

    async def running(self, uuid: str) -> bool:
        """Whether it is there and runs (or is paused)."""
        seen = await self._look_up(uuid)
        return seen is not None and seen.running

    async def _look_up(self, uuid: str) -> driver.Seen | None:
        host = self._host
        with self._asked():
            return await host.connection.call(
                partial(driver.look_up, uuid=uuid, scaler=host.scaler), deadline=host.pace.look
            )

    async def tail(self, profile: str, uuid: str, limit: int = 65536) -> bytes:
        """The end of what it wrote to its serial port, until it is removed."""
        with self._asked((CannotBeMadeError,)):
            return await self._host.tail(None, uuid, limit)

    async def screenshot(self, uuid: str) -> bytes | None:
        """Its screen as a PNG; None where it is gone."""
        return await self._host.screenshot(uuid)

    async def remove(self, profile: str, uuid: str) -> None:
        """Leave nothing of it. Right also where there is nothing (any more)."""
        host = self._host
        work = partial(assembly.remove, scaler=host.scaler, uuid=uuid, tag=host.tag, pool=host.pool)
        with self._asked((CannotBeMadeError,)):
            await self._call(work, deadline=host.pace.destroy)

    async def left(self) -> tuple[Machine, ...]:
        """All machines of that kind: those that run, and those of which only a disk is left."""
        with self._asked():
            found = await self._host.look()
        running = [machine for machine in found if machine.runner is None]
        left = (*running, *self._host.builders_left())
        return tuple(machine for machine in left if machine.facts.get("role") != "probe")

    async def flatten(self, profile: str, uuid: str, name: str) -> None:
        """Copy a machine's disk, with all that it stands on, into a volume of its own.

        It may take an hour. A volume of that name is what an earlier try left, and is replaced.

        Raises:
            NoRoom: The pool is full.
        """
        host = self._host
        self._see_image(name)
        source = volume_names(host.tag, None, profile, uuid)["disk"]

        def work(connection: driver.Connection) -> str:
            return volumes.flatten(volumes.open_pool(connection, host.pool), source, name)

        try:
            await self._call(work, deadline=_COPYING)
        except driver.NoSpaceError as error:
            raise NoRoom(f"host {host.name}: {error}") from error

    async def images(self) -> tuple[ImageVolume, ...]:
        """This scaler's images that are there; none where there is no pool to look into."""
        host = self._host
        if not host.pool:
            return ()
        with self._asked():
            return await self._call(
                partial(_images, pool_name=host.pool, tag=host.tag), deadline=host.pace.look
            )

    async def in_use(self, name: str) -> bool:
        """Whether a disk, or a machine of ours, stands on this image."""
        host = self._host
        if any(making.identity.image == name for making in host.makings()):
            return True
        return await self._call(
            partial(_in_use, pool_name=host.pool, scaler=host.scaler, name=name),
            deadline=host.pace.look,
        )

    async def delete_image(self, name: str) -> None:
        """Delete an image. Right also where it is gone.

        Raises:
            ValueError: It is none of ours.
        """
        host = self._host
        self._see_image(name)

        def work(connection: driver.Connection) -> int:
            return volumes.delete(volumes.open_pool(connection, host.pool), [name])

        await self._call(work, deadline=host.pace.destroy)

    def _see_image(self, name: str) -> None:
        if parse_image(name, self._host.tag) is None:
            raise ValueError(f"{name!r} is no image of this scaler")

    @contextmanager
    def _asked(
        self, errors: tuple[type[Exception], ...] = (CannotBeMadeError, driver.Error)
    ) -> Iterator[None]:
        """An answer that says nothing of what was asked is none."""
        try:
            yield
        except errors as error:
            raise self._host.unavailable(plain(error)) from error

    async def _call(self, work: Callable[[driver.Connection], T], *, deadline: float) -> T:
        # a lane of its own: a copy must not stand in a runner's way
        return await self._host.connection.call(work, deadline=deadline, lane="images")


def _images(connection: driver.Connection, pool_name: str, tag: str) -> tuple[ImageVolume, ...]:
    found = []
    pool = volumes.open_pool(connection, pool_name)
    volumes.refresh(pool)
    for volume in pool.listAllVolumes():
        name = str(volume.name())
        image = parse_image(name, tag)
        if image is None:
            continue
        try:
            root = ET.fromstring(volume.XMLDesc())
        except driver.Error as error:
            if volumes.is_gone(error):
                continue
            raise
        found.append(
            ImageVolume(
                name=name,
                profile=image.profile,
                number=image.number,
                path=root.findtext("target/path", ""),
                capacity=int(root.findtext("capacity", "0")),
                allocation=int(root.findtext("allocation", "0")),
                stamp=_stamp(root),
            )
        )
    return tuple(found)


def _stamp(volume: ET.Element) -> str:
    changed = volume.findtext("target/timestamps/mtime", "")
    return f"{volume.findtext('physical', '')} {changed}" if changed else ""


def _in_use(connection: driver.Connection, pool_name: str, scaler: str, name: str) -> bool:
    pool = volumes.open_pool(connection, pool_name)
    volume = volumes.find(pool, name)
    path = "" if volume is None else str(volume.path())
    if path in volumes.backings(pool).values():
        return True
    return any(seen.identity.image == name for seen in driver.list_ours(connection, scaler))
