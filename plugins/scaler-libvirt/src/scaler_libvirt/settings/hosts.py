"""`[plugins.libvirt] hosts`: the hypervisors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from scaler import Size
from scaler_libvirt.settings import words

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)

#: What of a host counts only after a restart: where it is, and where its machines are.
LASTING = ("uri", "acceleration", "pool", "network")

#: Stands for "no interface" where a network is named.
NO_NETWORK = "none"


@dataclass(frozen=True, kw_only=True)
class HostSettings:
    """A hypervisor, which is one room.

    Attributes:
        name: The room's name.
        uri: libvirt's connection URI.
        memory, vcpus, hugepages_1g: What runners may use of it in all; no limit where left out.
        acceleration: `none` emulates the guest's processor, which works everywhere; `kvm` is many
            times faster where the machine has a working KVM; `auto` boots a tiny guest to see
            whether it has.
        pool: libvirt's storage pool for the machines' disks; `"default"` where left out.
        network: libvirt's network that machines are on; `"default"` where left out, `"none"` for
            no network. The test driver has none unless it is named.
        guest_url: What guests here reach `guest_listen` as. Where left out, it is the plugin's;
            where that is left out too and libvirt runs on this machine,
            `http://ADDRESS:8000/` with the network's own address.
        drain: Whether nothing new is made here; runners without a job go, and jobs end in
            peace.
    """

    name: str
    uri: str
    memory: Size | None = None
    vcpus: int | None = None
    hugepages_1g: int | None = None
    acceleration: Literal["auto", "kvm", "none"] = "auto"
    pool: str = ""
    network: str = ""
    guest_url: str = ""
    drain: bool = False

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"name: {self.name!r} has more than letters, digits and . _ -")
        if not self.uri:
            raise ValueError('uri: wanted a connection URI of libvirt, such as "qemu:///system"')
        for name, amount in self.total().items():
            if amount < 0:
                raise ValueError(f"{name}: wanted 0 or more")
        for name in ("uri", "pool", "network"):
            words.line(name, getattr(self, name))
        words.url("guest_url", self.guest_url)

    def total(self) -> dict[str, int]:
        """The resources that were given."""
        given = {
            "memory": self.memory,
            "vcpus": self.vcpus,
            "hugepages_1g": self.hugepages_1g,
        }
        return {name: int(amount) for name, amount in given.items() if amount is not None}

    def restarts(self, wanted: HostSettings) -> list[str]:
        """What of these settings of the same host counts only after a restart."""
        return [
            f"plugins.libvirt.hosts.{self.name}.{name}: its machines are there by the one of before"
            for name in LASTING
            if getattr(self, name) != getattr(wanted, name)
        ]

    @property
    def test_driver(self) -> bool:
        """Whether it is libvirt's own test driver, which remembers machines and runs none."""
        return self._scheme[0] == "test"

    @property
    def local(self) -> bool:
        """Whether libvirt runs on this machine: its bridges' addresses are reached from here."""
        return not self._scheme[1]

    @property
    def pool_name(self) -> str:
        """The pool that is meant."""
        return self.pool or ("default-pool" if self.test_driver else "default")

    def network_for(self, own: str) -> str:
        """The network that a profile's machines are on here; empty for none.

        Args:
            own: What the profile says.
        """
        name = own or self.network or ("" if self.test_driver else "default")
        return "" if name == NO_NETWORK else name

    @property
    def _scheme(self) -> tuple[str, str]:
        try:
            parts = urlsplit(self.uri)
            return parts.scheme.partition("+")[0], parts.hostname or ""
        except ValueError:
            return "", ""
