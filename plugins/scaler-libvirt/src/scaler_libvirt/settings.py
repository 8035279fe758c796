"""The settings of `[plugins.libvirt]` and `[profiles.X.libvirt]`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from scaler import Duration, Size

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class HostSettings:
    """A hypervisor, which is one room.

    Attributes:
        name: The room's name.
        uri: libvirt's connection URI.
        memory, vcpus, hugepages_1g: What runners may use of it in all; no limit where left out.
        acceleration: `none` emulates the guest's processor, which works everywhere; `kvm` is many
            times faster where the machine has a working KVM.
    """

    name: str
    uri: str
    memory: Size | None = None
    vcpus: int | None = None
    hugepages_1g: int | None = None
    acceleration: Literal["none", "kvm"] = "none"

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"name: {self.name!r} has more than letters, digits and . _ -")
        if not self.uri:
            raise ValueError('uri: wanted a connection URI of libvirt, such as "qemu:///system"')
        for name, amount in self.total().items():
            if amount < 0:
                raise ValueError(f"{name}: wanted 0 or more")

    def total(self) -> dict[str, int]:
        """The resources that were given."""
        given = {
            "memory": self.memory,
            "vcpus": self.vcpus,
            "hugepages_1g": self.hugepages_1g,
        }
        return {name: int(amount) for name, amount in given.items() if amount is not None}


@dataclass(frozen=True, kw_only=True)
class Config:
    """`[plugins.libvirt]`.

    Attributes:
        hosts: The hypervisors; where left out, libvirt's own test driver, which makes machines
            that are only remembered and never run.
        screenshot_interval: How often a machine's picture is worth being taken again.
    """

    hosts: tuple[HostSettings, ...] = (HostSettings(name="local", uri="test:///default"),)
    screenshot_interval: Duration = field(default=Duration(30))

    def __post_init__(self) -> None:
        names = [host.name for host in self.hosts]
        if not names:
            raise ValueError("hosts: at least one is needed")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"hosts: more than one is named {', '.join(twice)}")


@dataclass(frozen=True, kw_only=True)
class ProfileConfig:
    """`[profiles.X.libvirt]`.

    Attributes:
        base_image: The disk that every machine starts from and none writes to; a path on the
            hypervisor. qcow2 where its name ends so, raw otherwise.
    """

    base_image: Path | None = None
