"""What a person told a scaler that runs, and what a reload changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Order:
    """Something that a person told scaler, and that holds until it is taken back.

    Attributes:
        kind: `pause`: the profile starts no job. `drain`: nothing new is made in the room.
        name: The profile's key, or the room's as `plugin/room`.
        since: When it was told.
        by: Who did, for people.
    """

    kind: Literal["pause", "drain"]
    name: str
    since: float
    by: str = ""


@dataclass(frozen=True, kw_only=True)
class SettingsChange:
    """What of a plugin's settings is new.

    Attributes:
        config: Whether its own table `[plugins.NAME]` is another.
        added: Profiles that belong to it now, and did not.
        removed: Profiles that do no longer: nothing of them is left.
        changed: Profiles that belong to it, and of which something is another.
    """

    config: bool = False
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
