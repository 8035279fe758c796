"""What a host has for whom: whether each profile's machines can be made there, and if not, why."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from scaler import Size
from scaler_libvirt.hosts import assembly, disks, driver, networks, volumes
from scaler_libvirt.hosts.base import (
    Base,
    BaseMissingError,
    CannotBeMadeError,
    NetworkTroubleError,
    PoolTroubleError,
)
from scaler_libvirt.hosts.files import read_file
from scaler_libvirt.hosts.link import lost
from scaler_libvirt.hosts.reasons import plain
from scaler_libvirt.machine.guest import resources_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from scaler_libvirt.hosts.networks import NetworkFacts

NOT_LOOKED = "it has not been looked at yet"
LEAST_FREE = 1 << 30
LEAST_SHARE = 0.05  # of the pool's size


@dataclass(frozen=True, kw_only=True)
class Wants:
    """What a profile's machines need of a host.

    Attributes:
        disks: Whether volumes are made for them.
        base: What their disks stand on, where that is known beforehand.
        size: Of their disks, in bytes; as large as the base where 0.
        network: That they are on; empty for none.
        fixed: Whether their addresses are fixed.
        filter: libvirt's filter of theirs; empty for none.
        guest: The site's guest.xml; none where there is none.
        uncounted: What is limited on the host, and not counted for the profile's machines: its
            guest.xml may not take any of it.
        why_not: Why the settings alone keep them from this host; empty where they do not.
        url: Whether only the network's own address can tell how its guests reach scaler.
    """

    disks: bool = False
    base: Base | None = None
    size: int = 0
    network: str = ""
    fixed: bool = False
    filter: str = ""
    guest: Path | None = None
    uncounted: frozenset[str] = frozenset()
    why_not: str = ""
    url: bool = False

    @property
    def anything(self) -> bool:
        """Whether they need something that has to be looked at."""
        return bool(self.disks or self.network or self.filter or self.guest or self.why_not)


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What was found on a host.

    Attributes:
        refusals: By profile, why its machines cannot be made here.
        networks: Those that are there, by name.
        looked: Whether it was looked at all.
    """

    refusals: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    networks: Mapping[str, NetworkFacts] = field(default_factory=lambda: MappingProxyType({}))
    looked: bool = False


def inspect(
    connection: driver.Connection, pool_name: str, wants: Mapping[str, Wants]
) -> Conditions:
    """Look at all that the profiles need. Blocks: one operation for a worker thread.

    What libvirt cannot tell keeps the profile from the host that needs it, and no other.

    Raises:
        libvirtError: The connection is lost.
    """
    pool = _pool(connection, pool_name) if any(each.disks for each in wants.values()) else None
    found: dict[str, NetworkFacts | NetworkTroubleError] = {
        name: _network(connection, name)
        for name in sorted({each.network for each in wants.values() if each.network})
    }
    refusals = {}
    for profile, each in wants.items():
        try:
            _check(connection, each, pool, found.get(each.network))
        except (CannotBeMadeError, ValueError) as error:
            refusals[profile] = str(error)
        except driver.Error as error:
            refusals[profile] = f"what its machines need {_unseen(connection, error)}"
    return Conditions(
        refusals=refusals,
        networks={
            name: each for name, each in found.items() if not isinstance(each, NetworkTroubleError)
        },
        looked=True,
    )


def _unseen(connection: driver.Connection, error: driver.Error) -> str:
    if lost(connection, error):
        raise error
    return f"cannot be looked at ({plain(error)})"


def _check(
    connection: driver.Connection,
    wants: Wants,
    pool: volumes.Pool | PoolTroubleError | None,
    network: NetworkFacts | NetworkTroubleError | None,
) -> None:
    """Raises what keeps a profile from this host."""
    if wants.why_not:
        raise CannotBeMadeError(wants.why_not)
    if isinstance(network, NetworkTroubleError):
        raise network
    if wants.fixed and network is not None and not network.ranges:
        raise NetworkTroubleError(
            f"network {network.name!r} has no DHCP range to fix an address in: give it one, or "
            'set address = "lease", "arp" or "agent"'
        )
    if wants.url and (network is None or not network.address):
        raise CannotBeMadeError(
            "it is not known what guests reach scaler as there: set guest_url in [plugins.libvirt]"
        )
    if wants.filter:
        networks.see_filter(connection, wants.filter)
    if wants.guest is not None:
        _see_guest(wants.guest, wants.uncounted)
    if isinstance(pool, PoolTroubleError):
        if wants.disks:
            raise pool
        return
    if not wants.disks or pool is None:
        return
    _has_space(pool)
    if wants.base is not None:
        base = assembly.base_of(connection, pool, wants.base, wants.size)
        volumes.is_there(connection, base)
        _see_disk(connection, pool, base)


def _see_guest(path: Path, uncounted: frozenset[str]) -> None:
    content = read_file(path)
    try:
        taken = resources_of(content)
    except ValueError as error:
        raise CannotBeMadeError(f"{path}: {error}") from error
    missing = {name: amount for name, amount in taken.items() if amount and name in uncounted}
    if missing:
        wanted = ", ".join(
            f'{name} = "{Size(amount)}"' if name == "memory" else f"{name} = {amount}"
            for name, amount in missing.items()
        )
        raise CannotBeMadeError(
            f"{path} takes {', '.join(missing)} of the host, which is limited there and not "
            f"counted: set {wanted} in the profile's resources"
        )


def _see_disk(connection: driver.Connection, pool: volumes.Pool, base: Base) -> None:
    if volumes.is_test_driver(connection):
        return
    disk = disks.look(connection, str(pool.name()), base)
    if disk is not None and (why := disks.wrong(disk, base)):
        raise BaseMissingError(why)


def _has_space(pool: volumes.Pool) -> None:
    size, left = volumes.space(pool)
    if left < LEAST_FREE or left < size * LEAST_SHARE:
        raise PoolTroubleError(
            f"storage pool {str(pool.name())!r} is full: found {Size(left)} free of {Size(size)}, "
            f"wanted {Size(LEAST_FREE)} and {LEAST_SHARE:.0%} at least"
        )


def _pool(connection: driver.Connection, name: str) -> volumes.Pool | PoolTroubleError:
    try:
        pool = volumes.open_pool(connection, name)
        volumes.refresh(pool)
    except PoolTroubleError as error:
        return error
    except driver.Error as error:
        return PoolTroubleError(f"storage pool {name!r} {_unseen(connection, error)}")
    return pool


def _network(connection: driver.Connection, name: str) -> NetworkFacts | NetworkTroubleError:
    try:
        return networks.facts(networks.open_network(connection, name))
    except NetworkTroubleError as error:
        return error
    except driver.Error as error:
        return NetworkTroubleError(f"network {name!r} {_unseen(connection, error)}")
