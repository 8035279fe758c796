"""What provisioners make, and where."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

Resources: TypeAlias = Mapping[str, int]
MachineState: TypeAlias = Literal["running", "stopped"]
_EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a provisioner made.

    Attributes:
        runner: The runner's id, or None for a builder, which makes a profile's next image.
        id: The provisioner's own name for it, such as a UUID: another machine, another id.
        state: `stopped` means for certain that nothing runs in it any more (also: it is gone).
        why: Why it stopped, for people.
        room: The name of the room that it stands in.
        runner_name: The runner's name, as tagged on the machine itself.
        profile: Its profile, as tagged on the machine itself.
        addresses: Its addresses, where learnt.
        delivered: True where the registration's config was already put into it.
        digest: SHA-256 (hex) of the config that it was made with; empty where that is not known.
        key: SHA-256 (hex) of the secret by which its guest is known; empty where it has none, and
            is known by its address.
        facts: More of the provisioner's own, shown as they are; plain types.
    """

    runner: int | None
    id: str
    state: MachineState = "running"
    why: str = ""
    room: str = ""
    runner_name: str = ""
    profile: str = ""
    addresses: tuple[str, ...] = ()
    delivered: bool = False
    digest: str = ""
    key: str = ""
    facts: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)


class RoomState(enum.StrEnum):
    """Whether a room takes machines."""

    UP = "up"  #: takes machines
    DRAINING = "draining"  #: takes nothing new; who has no job there goes, jobs end in peace
    DOWN = "down"  #: cannot be reached, so what it holds is unknown


@dataclass(frozen=True, kw_only=True)
class Room:
    """A place with resources: a hypervisor, a quota.

    Attributes:
        total: What may be used in all, not what is free. A resource that is left out is not
            limited here.
        refuses: For each profile (its key) that it takes no machine of now, why, in words that read
            well after its name and a colon, such as "its image is being built". What it has of that
            profile stays. A key that is no profile's is ignored.
    """

    name: str
    total: Resources = field(default_factory=lambda: _EMPTY)
    state: RoomState = RoomState.UP
    refuses: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
