"""From settings to an order: what a profile's machines are made of on one host.

Asks nobody, but each machine has a key and a UUID that were drawn and the time of its order.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from scaler_libvirt.hosts.base import Base
from scaler_libvirt.hosts.conditions import Wants
from scaler_libvirt.hosts.files import read_file
from scaler_libvirt.hosts.order import Order
from scaler_libvirt.machine.identity import Identity, digest, domain_name, new_key, new_uuid
from scaler_libvirt.machine.names import tag_of
from scaler_libvirt.machine.seed import Seed, make_seed
from scaler_libvirt.machine.shape import Network, Shape, format_of
from scaler_libvirt.settings import NO_NETWORK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler_libvirt.hosts.networks import NetworkFacts
    from scaler_libvirt.hosts.slots import Slots
    from scaler_libvirt.machine.identity import Role
    from scaler_libvirt.machine.shape import DomainType
    from scaler_libvirt.settings import HostSettings, ProfileConfig

_DOOR = 8000


class Orders:
    """Writes a host's orders.

    Args:
        host: The host.
        scaler: Whose machines they are.
        guest_url: What guests reach scaler as where the host does not say; may be empty.
        slots: The host's.
        alone: Whether guests are known by their addresses here: two hosts may have guests of the
            same address, so only one host can have it so.
    """

    def __init__(
        self, host: HostSettings, *, scaler: str, guest_url: str, slots: Slots, alone: bool = True
    ) -> None:
        self._scaler = scaler
        self._slots = slots
        self.tag = tag_of(scaler)
        self.renew(host, guest_url=guest_url, alone=alone)

    def renew(self, host: HostSettings, *, guest_url: str, alone: bool) -> None:
        """Write them by these settings from now on."""
        self._host = host
        self._guest_url = guest_url
        self._alone = alone

    def wants(self, own: ProfileConfig) -> Wants:
        """What a profile's machines need here."""
        network = self._network_of(own)
        base = own.base_image or own.source_image
        return Wants(
            disks=not self._host.test_driver or bool(base),
            base=_base(base) if base else None,
            size=int(own.disk_size or 0),
            network=network,
            fixed=own.address == "fixed",
            # (a guest.xml may have a filter of its own)
            filter=own.network_filter
            if network and own.guest_xml is None and not self._host.test_driver
            else "",
            guest=own.guest_xml,
            url=self._needs_url(own) and not (self._host.guest_url or self._guest_url),
            why_not=self._why_not(own),
        )

    def machine(
        self,
        own: ProfileConfig,
        *,
        profile: str,
        runner: int | None,
        runner_name: str,
        resources: Mapping[str, int],
        base: Base | None,
        kind: DomainType,
        arch: str,
        networks: Mapping[str, NetworkFacts],
        role: Role = "runner",
        config: str = "",
        boot: str = "",
        uuid: str = "",
        nonce: str = "",
        hold: bool = False,
    ) -> Order:
        """The order for one machine.

        Args:
            own: The profile's settings.
            profile, runner, runner_name: Whose it is.
            resources: What it takes of the host.
            base: What its disk stands on; none for no disk.
            kind, arch: How the host runs it.
            networks: Of the host, as they were last seen.
            role: What it is for.
            config: Of its runner's registration.
            boot: The boot script's path, for a seed that brings it; may be empty.
            uuid: Its UUID, where that was chosen before.
            nonce: What it is to print to show that it works; chosen here where empty.
            hold: Whether its disk is worth being kept where its job fails.
        """
        test = kind == "test"
        key = "" if test or own.identify == "address" else new_key()
        identity = Identity(
            scaler=self._scaler,
            runner=runner,
            runner_name=runner_name,
            profile=profile,
            generation=time.time_ns(),
            config_sha256=digest(config),
            role=role,
            image=base.image if base is not None else "",
            key_sha256=digest(key) if key else "",
            resources=dict(resources),
            delivered=not test and role == "runner" and own.jit_delivery == "seed",
        )
        network = self._network(own)
        uuid = uuid or new_uuid()
        seed = Seed(
            uuid=uuid,
            name=domain_name(runner_name),
            role=role,
            profile=profile,
            runner=runner,
            url=self.url(own, networks),
            key=key,
            nonce=nonce,
            hold=hold,
            config=config if identity.delivered else None,
        )
        by_seed = own.jit_delivery == "seed"
        return Order(
            identity=identity,
            uuid=uuid,
            shape=_shape(own, resources, kind=kind, arch=arch),
            tag=self.tag,
            pool="" if test and base is None else self._host.pool_name,
            base=base,
            size=int(own.disk_size or 0),
            seed=None
            if test
            else partial(_seed, seed, own.user_data, Path(boot) if boot and by_seed else None),
            log=not test,
            guest=own.guest_xml,
            network=network,
            slots=self._slots if network and network.name and own.address == "fixed" else None,
        )

    def url(self, own: ProfileConfig, networks: Mapping[str, NetworkFacts]) -> str:
        """What the profile's guests reach scaler as here; empty where that is not known.

        Nothing is guessed for a host that is not this machine.
        """
        given = self._host.guest_url or self._guest_url
        if given or not self._host.local:
            return given
        facts = networks.get(self._network_of(own))
        return f"http://{facts.address}:{_DOOR}/" if facts is not None and facts.address else ""

    def _needs_url(self, own: ProfileConfig) -> bool:
        return (
            not self._host.test_driver and own.jit_delivery == "http" and own.identify == "secret"
        )

    def _why_not(self, own: ProfileConfig) -> str:
        if own.identify == "address" and own.jit_delivery == "http" and not self._alone:
            return (
                'identify = "address": another host may have guests of the same addresses; set '
                'identify = "secret"'
            )
        given = self._host.guest_url or self._guest_url
        if self._needs_url(own) and not given and not self._host.local:
            return "it is not known what guests reach scaler as there: set guest_url on this host"
        return ""

    def _network_of(self, own: ProfileConfig) -> str:
        """The network of libvirt's that a profile's machines are on, where it is known."""
        if own.guest_xml is not None:  # it says so itself, unless the profile does
            return "" if own.network == NO_NETWORK else own.network
        return self._host.network_for(own.network)

    def _network(self, own: ProfileConfig) -> Network | None:
        name = self._network_of(own)
        if not name and (own.guest_xml is None or self._host.test_driver):
            return None
        return Network(
            name=name,
            mac="",
            model=own.network_model,
            filter=own.network_filter,
            isolated=own.isolated,
            learn_by_dhcp=own.address == "lease",
        )


def base_for(own: ProfileConfig) -> Base | None:
    """What a profile's disks stand on by the settings; none where an image is built, or no disk."""
    return _base(own.base_image) if own.base_image else None


def _seed(seed: Seed, user_data: Path | None, boot: Path | None) -> bytes:
    """A seed's content, with the files that belong into it as they are now.

    Raises:
        ValueError: One of them cannot be read.
    """
    if user_data is not None:
        seed = replace(seed, user_data=read_file(user_data))
    if boot is not None:
        try:
            seed = replace(seed, boot=read_file(boot).decode())
        except UnicodeDecodeError as error:
            raise ValueError(f"{boot} is not UTF-8") from error
    return make_seed(seed)


def _base(path: str) -> Base:
    return Base(path=path, format=format_of(path))


def _shape(
    own: ProfileConfig, resources: Mapping[str, int], *, kind: DomainType, arch: str
) -> Shape:
    shape = Shape(
        memory=resources.get("memory", 0),
        vcpus=resources.get("vcpus", 0),
        hugepages_1g=resources.get("hugepages_1g", 0),
        kind=kind,
        arch=arch,
    )
    if own.guest_xml is not None:
        return shape
    return replace(
        shape,
        machine=own.machine,
        cpu=own.cpu,
        video=own.video,
        disk_bus=own.disk_bus,
        kernel=own.kernel,
        initrd=own.initrd,
        kernel_args=own.kernel_args,
    )
