"""What a host is given of the world above it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Container, Mapping

    from scaler import Machine, Profile
    from scaler_libvirt.hosts.acceleration import Memory
    from scaler_libvirt.settings import ProfileConfig


@dataclass(frozen=True, kw_only=True)
class Ties:
    """Shared by all hosts.

    Attributes:
        scaler: Whose machines are ours.
        guest_url: What guests reach scaler as where a host does not say; may be empty.
        profiles, own: Every profile, and what it says of its machines.
        memory: Where small facts are kept.
        log: Where to write.
        machine_changed: To be told of every machine that appears, changes or stops.
        changed: To be told when a host goes up or down, or takes other profiles than before.
        known: Answers the ids of the machines that runners are known to have.
    """

    scaler: str
    guest_url: str
    profiles: Mapping[str, Profile]
    own: Mapping[str, ProfileConfig]
    memory: Memory
    log: logging.LoggerAdapter[logging.Logger]
    machine_changed: Callable[[Machine], None]
    changed: Callable[[], None]
    known: Callable[[], Container[str]]
