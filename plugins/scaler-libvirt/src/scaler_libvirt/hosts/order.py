"""What one machine is to be: all that is known before libvirt is asked. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaler_libvirt.machine.identity import domain_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scaler_libvirt.hosts.base import Base
    from scaler_libvirt.hosts.slots import Slots
    from scaler_libvirt.machine.identity import Identity
    from scaler_libvirt.machine.shape import Network, Shape


@dataclass(frozen=True, kw_only=True)
class Order:
    """A machine to be made.

    Attributes:
        identity: Whose it is; its network's part is filled in once that is known.
        shape: What it is made of, but for what is made for it alone: its volumes and its slot.
        tag: Of the scaler's name, for the names of its volumes.
        pool: For its volumes; empty where it has none.
        base: What its disk stands on; none where it has no disk.
        size: Of its disk, in bytes; as large as the base where 0.
        seed: Makes its seed's content, in a worker thread; none where it has no seed.
        log: Whether its serial line is written to a volume.
        guest: The site's guest.xml, which is read when the machine is made; none without.
        network: Its interface, without hardware address; none where it has none of ours.
        slots: Deals its address and the hardware address with it; none where nobody fixes it.
    """

    identity: Identity
    uuid: str
    shape: Shape
    tag: str = ""
    pool: str = ""
    base: Base | None = None
    size: int = 0
    seed: Callable[[], bytes] | None = None
    log: bool = False
    guest: Path | None = None
    network: Network | None = None
    slots: Slots | None = None

    @property
    def name(self) -> str:
        """What its domain is called."""
        return domain_name(self.identity.runner_name)

    @property
    def bare(self) -> bool:
        """Whether nothing has to be made for it beside its domain."""
        return not self.pool and self.network is None and self.guest is None
