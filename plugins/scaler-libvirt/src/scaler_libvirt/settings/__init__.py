"""The settings of `[plugins.libvirt]` and `[profiles.X.libvirt]`."""

from __future__ import annotations

from dataclasses import dataclass, field

from scaler import Duration
from scaler_libvirt.settings import words
from scaler_libvirt.settings.hosts import NO_NETWORK, HostSettings
from scaler_libvirt.settings.profile import ProfileConfig

__all__ = ["NO_NETWORK", "Config", "HostSettings", "ProfileConfig"]


@dataclass(frozen=True, kw_only=True)
class Config:
    """`[plugins.libvirt]`.

    Attributes:
        hosts: The hypervisors; where left out, libvirt's own test driver, which makes machines
            that are only remembered and never run.
        screenshot_interval: How often a machine's picture is worth being taken again.
        guest_url: What guests reach `guest_listen` as, on hosts that do not say it themselves.
    """

    hosts: tuple[HostSettings, ...] = (HostSettings(name="local", uri="test:///default"),)
    screenshot_interval: Duration = field(default=Duration(30))
    guest_url: str = ""

    def __post_init__(self) -> None:
        words.url("guest_url", self.guest_url)
        names = [host.name for host in self.hosts]
        if not names:
            raise ValueError("hosts: at least one is needed")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"hosts: more than one is named {', '.join(twice)}")
