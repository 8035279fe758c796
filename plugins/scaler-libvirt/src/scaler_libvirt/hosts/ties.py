"""What a host is given of the world above it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Container, Mapping

    from scaler import Context, Machine, Profile
    from scaler_libvirt.hosts.acceleration import Memory
    from scaler_libvirt.settings import Config, ProfileConfig


@dataclass(frozen=True, kw_only=True)
class Ties:
    """Shared by all hosts. What the settings say is as they are at the moment of asking.

    Attributes:
        context: The plugin's.
        changed: To be told when a host goes up or down, or takes other profiles than before.
        known: Answers the ids of the machines that runners are known to have.
        drained: Answers whether a person wants nothing new on the host of this name.
    """

    context: Context[Config, ProfileConfig]
    changed: Callable[[], None]
    known: Callable[[], Container[str]]
    drained: Callable[[str], bool]

    @property
    def scaler(self) -> str:
        """Whose machines are ours."""
        return self.context.scaler

    @property
    def guest_url(self) -> str:
        """What guests reach scaler as where a host does not say; may be empty."""
        return self.context.config.guest_url

    @property
    def profiles(self) -> Mapping[str, Profile]:
        """Every profile."""
        return self.context.profiles

    @property
    def own(self) -> Mapping[str, ProfileConfig]:
        """What profiles say of their machines."""
        return self.context.own

    @property
    def memory(self) -> Memory:
        """Where small facts are kept."""
        return self.context

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """Where to write."""
        return self.context.log

    @property
    def machine_changed(self) -> Callable[[Machine], None]:
        """To be told of every machine that appears, changes or stops."""
        return self.context.machine_changed
