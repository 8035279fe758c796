"""How a host stands: by which settings it goes, and what is told of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scaler import Room, RoomState
from scaler_libvirt.settings.hosts import LASTING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from scaler_libvirt.hosts.acceleration import Acceleration
    from scaler_libvirt.hosts.conditions import Wants
    from scaler_libvirt.hosts.connection import Connection
    from scaler_libvirt.hosts.machines import Machines
    from scaler_libvirt.hosts.making import Making
    from scaler_libvirt.hosts.orders import Orders
    from scaler_libvirt.hosts.seeing import Seeing
    from scaler_libvirt.hosts.suitability import Suitability
    from scaler_libvirt.hosts.ties import Ties
    from scaler_libvirt.settings import HostSettings

LEFT_SOON = ", not in the settings any more: it is left once nothing of ours is there"
LEFT_LATER = (
    "; it is not in the settings any more, and left once it has answered that nothing of ours is "
    "there, or when scaler is restarted"
)


class Standing:
    """What a host is made of, which is made once, and the settings, which may change.

    Attributes:
        settings: As they count now.
        ties: To the world above.
        alone: Whether guests may be known by their addresses here.
        leaving: Whether the settings do not have it any more: it is left once nothing of ours is
            here.
        seen: Whether it was ever looked at.
        pool: Where its volumes are; empty where it makes none.
        connection: To libvirt.
        acceleration: How it runs machines.
        machines: What is known of the machines here.
        orders: Writes what machines are made by.
        suitability: Which profiles it takes.
    """

    name: str
    settings: HostSettings
    ties: Ties
    alone: bool
    leaving: bool = False
    seen: bool = False
    pool: str
    connection: Connection
    acceleration: Acceleration
    machines: Machines
    orders: Orders
    suitability: Suitability
    _seeing: Seeing
    _makings: dict[int | str, Making]

    def renew(self, settings: HostSettings, *, alone: bool, changed: Collection[str] = ()) -> None:
        """Go by these settings from now on, but for what counts only after a restart.

        Args:
            settings: What the settings say of it.
            alone: Whether guests may be known by their addresses here.
            changed: Profiles of which something is another than before.
        """
        lasting = {name: getattr(self.settings, name) for name in LASTING}
        self.settings = replace(settings, **lasting)
        self.alone, self.leaving = alone, False
        self._renew(changed)

    def leave(self, changed: Collection[str] = ()) -> None:
        """The settings do not have it any more: nothing new is made here, and what runs ends."""
        self.leaving = True
        self.settings = replace(self.settings, drain=True)
        self._renew(changed)

    def _renew(self, changed: Collection[str]) -> None:
        self.orders.renew(self.settings, guest_url=self.ties.guest_url, alone=self.alone)
        wants = self.wants()
        # (what a pool holds stays there, whatever is wanted next)
        self.pool = self.machines.pool = self._seeing.pool = self.pool or self.pool_for(wants)
        self.suitability.renew(self.settings, wants, changed)

    def wants(self) -> dict[str, Wants]:
        """What each profile's machines need here."""
        return {profile: self.orders.wants(own) for profile, own in self.ties.own.items()}

    def pool_for(self, wants: Mapping[str, Wants]) -> str:
        """The pool that volumes are made in for them; empty where none are."""
        disks = not self.settings.test_driver or any(each.disks for each in wants.values())
        return self.settings.pool_name if disks else ""

    def room(self) -> Room:
        """This host as the plan sees it."""
        state = RoomState.DOWN
        if self.connection.up:
            state = RoomState.DRAINING if self.settings.drain else RoomState.UP
        return Room(
            name=self.name,
            total=self.settings.total(),
            state=state,
            refuses=self.suitability.refusals() if self.connection.up else {},
        )

    @property
    def well(self) -> bool:
        """Whether it is up, and nothing is wrong with it that a person could mend."""
        return (
            self.connection.up
            and not self.suitability.refusals()
            and not self.machines.standstills.count("space")
        )

    def text(self) -> str:
        """How it is, for people."""
        if not self.connection.up:
            return f"down: {self.connection.trouble}{LEFT_LATER if self.leaving else ''}"
        if self.leaving:
            return f"up{LEFT_SOON}"
        told = ["up, takes nothing new" if self.settings.drain else "up", self.acceleration.text]
        if full := self.machines.standstills.count("space"):
            told.append(f"{full} machines stand still: no space for their disks")
        refusals = self.suitability.refusals()
        for text in dict.fromkeys(refusals.values()):
            profiles = ", ".join(profile for profile, why in refusals.items() if why == text)
            told.append(f"not for {profiles}: {text}")
        return ", ".join(each for each in told if each)

    def free(self) -> dict[str, int]:
        """What our machines leave of each resource that is limited here."""
        left = self.settings.total()
        identities = [
            *(seen.identity for seen in self.machines.roster.machines()),
            *(making.identity for making in self._makings.values()),
        ]
        for identity in identities:
            for name in left:
                left[name] -= identity.resources.get(name, 0)
        return left
