"""A machine is put together, and taken apart: functions that block, for worker threads.

Each is one operation with all its calls. What a machine is put together from carries its UUID in
its name, and its domain comes last. So whatever is left where a process or a daemon dies in between
is volumes without a domain, which the next look finds.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from scaler_libvirt.hosts import driver, networks, volumes
from scaler_libvirt.hosts.base import (
    CannotBeMadeError,
    NetworkTroubleError,
    PoolTroubleError,
)
from scaler_libvirt.hosts.files import read_file
from scaler_libvirt.hosts.link import lost
from scaler_libvirt.hosts.remnants import of_machine, of_runner
from scaler_libvirt.machine.domain import build
from scaler_libvirt.machine.identity import mac_of
from scaler_libvirt.machine.names import volume_names
from scaler_libvirt.machine.shape import Disk, Shape

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from scaler_libvirt.hosts.base import Base
    from scaler_libvirt.hosts.order import Order
    from scaler_libvirt.hosts.slots import Slot
    from scaler_libvirt.machine.identity import Identity
    from scaler_libvirt.machine.shape import Network

_TRIES = 10  # slots that turn out to be somebody's in the very moment


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What there was at one look.

    Attributes:
        names: The pool's volumes, or why they could not be listed.
        domains: Our domains, listed after them: a machine that is made meanwhile is not taken for
            one of which only its disk is left.
    """

    names: tuple[str, ...] | PoolTroubleError
    domains: list[driver.Seen]


def look(connection: driver.Connection, scaler: str, pool: str) -> Looked:
    """See everything of ours, the volumes where a pool is named."""
    names: tuple[str, ...] | PoolTroubleError = ()
    if pool:
        try:
            there = _pool(connection, pool)
            names = () if there is None else tuple(volumes.names(there))
        except PoolTroubleError as error:
            names = error
        except driver.Error as error:  # it was stopped in this very moment, say
            if lost(connection, error):
                raise
            names = PoolTroubleError(f"storage pool {pool!r} cannot be read: {error}")
    return Looked(names=names, domains=driver.list_ours(connection, scaler))


def make(connection: driver.Connection, order: Order) -> driver.Seen:
    """Make a machine, or answer the one that was made by an earlier try.

    What it made is taken away again where it fails, but not where the connection was lost: then
    the domain may be coming up with it. That is for the next look.

    Raises:
        NameTakenError: A domain of its name is there and is not this runner's machine.
        NoSpaceError: The host cannot hold it.
        CannotBeMadeError: Something that it needs is not there.
        ValueError: Its guest.xml is wrong.
    """
    if order.bare:
        xml = build(order.identity, order.shape, uuid=order.uuid)
        return driver.create(
            connection, xml=xml, name=order.name, uuid=order.uuid, identity=order.identity
        )
    seen = driver.find(connection, order.name, order.identity)
    if seen is not None:
        return seen
    try:
        identity, shape = _equip(connection, order)
        xml = build(identity, shape, uuid=order.uuid)
        seen = driver.create(
            connection, xml=xml, name=order.name, uuid=order.uuid, identity=identity
        )
    except Exception as error:
        if not (isinstance(error, driver.Error) and lost(connection, error)):
            _undo(connection, order)
        raise
    if seen.uuid != order.uuid:
        _undo(connection, order)
    return seen


def destroy(
    connection: driver.Connection,
    scaler: str,
    runner: int,
    *,
    tag: str,
    name: str,
    pool: str,
    uuid: str | None = None,
    others: Container[str] = (),
) -> int:
    """Leave nothing of a runner's machines: domain first, then volumes. How much there was.

    Args:
        connection: Where to look.
        scaler: Whose domains may be touched.
        runner: The runner's id.
        tag: Of the scaler's name: whose volumes may be touched.
        name: What its domain is called.
        pool: Where its volumes are; empty where it can have none.
        uuid: Its domain, where that is known.
        others: UUIDs of domains that are known to be other runners'.

    Raises:
        PoolTroubleError: Its volumes cannot be looked at now.
    """
    count = driver.destroy(connection, scaler, runner, name=name, uuid=uuid, others=others)
    there = _pool(connection, pool)
    if there is None:
        return count
    doomed = of_runner(volumes.names(there), tag, runner)
    count += volumes.delete(there, doomed)
    if doomed:  # a call that outlived its sender may have made the domain by now
        driver.destroy(connection, scaler, runner, name=name, uuid=uuid, others=others)
    return count


def remove(connection: driver.Connection, scaler: str, uuid: str, *, tag: str, pool: str) -> None:
    """Leave nothing of the machine with this UUID.

    Raises:
        PoolTroubleError: Its volumes cannot be looked at now.
    """
    driver.destroy_one(connection, scaler, uuid)
    there = _pool(connection, pool)
    if there is None:
        return
    doomed = of_machine(volumes.names(there), tag, uuid)
    volumes.delete(there, doomed)
    if doomed:
        driver.destroy_one(connection, scaler, uuid)


def tidy(connection: driver.Connection, *, pool: str, names: Sequence[str]) -> None:
    """Delete volumes, as many of them as can be; raises what it said of the first that cannot."""
    there = _pool(connection, pool)
    first: driver.Error | None = None
    for name in names if there is not None else ():
        try:
            volumes.delete(there, [name])
        except driver.Error as error:
            if lost(connection, error):
                raise
            first = first or error
    if first is not None:
        raise first


def log_tail(
    connection: driver.Connection, *, tag: str, pool: str, runner: int | None, uuid: str, limit: int
) -> bytes:
    """The end of the serial log of a runner's machine, or of the one with this UUID."""
    there = _pool(connection, pool)
    if there is None:
        return b""
    names = volumes.names(there)
    own = of_machine(names, tag, uuid) if runner is None else of_runner(names, tag, runner)
    log = next((name for name in own if name.endswith(".log")), "")
    if not log:
        return b""
    text = volumes.tail(there, log, limit)
    if len(text) < limit:  # a new file was begun a moment ago
        text = volumes.tail(there, f"{log}.0", limit - len(text)) + text
    return text


def enter(connection: driver.Connection, network: str, slot: Slot) -> bool:
    """Enter a slot in its network's list of hosts; False where it turns out to be another's."""
    return networks.add_host(networks.open_network(connection, network), slot.entry)


def base_of(connection: driver.Connection, pool: volumes.Pool, base: Base, size: int) -> Base:
    """The base with its path on the hypervisor.

    Raises:
        BaseMissingError: It is not there.
        CannotBeMadeError: The disk is to be smaller than it.
    """
    base = replace(base, path=volumes.path_of(pool, base))
    if size:
        least = volumes.capacity_of(connection, base.path)
        if least is not None and size < least:
            raise CannotBeMadeError(
                f"disk_size: found {size} bytes, wanted {least} at least, which its base "
                f"{base.path} has"
            )
    return base


def _equip(connection: driver.Connection, order: Order) -> tuple[Identity, Shape]:
    """Make everything that the machine needs for itself."""
    identity, shape = order.identity, order.shape
    if order.guest is not None:
        shape = replace(shape, guest=read_file(order.guest))
    if order.network is not None:
        network = _network(connection, order, order.network)
        identity = replace(identity, mac=network.mac, address=network.address)
        shape = replace(shape, network=network)
    if not order.pool:
        return identity, shape
    pool = volumes.open_pool(connection, order.pool)
    names = volume_names(order.tag, identity.runner, identity.profile, order.uuid)
    if order.base is not None:
        base = base_of(connection, pool, order.base, order.size)
        path = volumes.create_overlay(pool, names["disk"], base, order.size)
        # an image of ours may be read by all, so its owner can stay; another's may not
        ours = base.path if base.image else ""
        disk = Disk(path=path, format="qcow2", base=ours, base_format=base.format)
        shape = replace(shape, disk=disk)
        # libvirt makes it, and no pool knows of it until it looks
        shape = replace(shape, nvram=path.removesuffix(names["disk"]) + names["nvram"])
    if order.seed is not None:
        shape = replace(shape, seed=volumes.create_filled(pool, names["seed"], order.seed()))
    if order.log:
        shape = replace(shape, log=volumes.create_log(pool, names["log"]))
    return identity, shape


def _network(connection: driver.Connection, order: Order, network: Network) -> Network:
    if order.slots is None:
        return replace(network, mac=mac_of(order.uuid))
    found = networks.open_network(connection, network.name)
    for _ in range(_TRIES):
        now = time.monotonic()
        slot = order.slots.take(order.uuid, networks.facts(found), networks.leases(found), now)
        if slot is None:
            raise NetworkTroubleError(
                f"network {network.name!r} has no address left to fix: give its DHCP server a "
                'larger range, or set address = "lease"'
            )
        if slot.entered or networks.add_host(found, slot.entry):
            return replace(network, mac=slot.entry.mac, address=slot.address)
        order.slots.refuse(order.uuid, slot.address, now)
    raise NetworkTroubleError(
        f"every address of network {network.name!r} that was tried is another's: give its DHCP "
        'server a larger range, or set address = "lease"'
    )


def _undo(connection: driver.Connection, order: Order) -> None:
    """Take away what was made; what that fails for is found by the next look."""
    if order.slots is not None:
        order.slots.free(order.uuid, time.monotonic())
    if not order.pool:
        return
    with suppress(driver.Error, PoolTroubleError):
        pool = volumes.open_pool(connection, order.pool)
        volumes.delete(pool, of_machine(volumes.names(pool), order.tag, order.uuid))


def _pool(connection: driver.Connection, name: str) -> volumes.Pool | None:
    """The pool, where it is there at all; one that is not holds nothing that could be deleted."""
    if not name:
        return None
    try:
        return volumes.open_pool(connection, name)
    except volumes.NoPoolError:
        return None
