"""What is left of machines whose domain is gone. Pure: no libvirt, no trio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaler_libvirt.hosts.volumes import log_of
from scaler_libvirt.machine.names import parse_volume

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable

    from scaler_libvirt.machine.names import Volume

LEFT = "only its disk is left"


@dataclass(frozen=True, kw_only=True)
class Remnant:
    """The volumes of one machine.

    Attributes:
        whose: As the name of one of them tells.
        names: All of them.
    """

    whose: Volume
    names: tuple[str, ...]

    @property
    def worth(self) -> bool:
        """Whether there is more than what libvirt leaves behind beside what we made.

        Those files come to light when a pool is read anew, their machine long forgotten.
        """
        return any(log_of(name) == name and not name.endswith(".nvram") for name in self.names)


def owner(name: str, tag: str) -> Volume | None:
    """Whose volume this is, by its name; None where it is none of ours.

    The old parts of a log are its machine's too.
    """
    return parse_volume(log_of(name), tag)


def of_machine(names: Iterable[str], tag: str, uuid: str) -> tuple[str, ...]:
    """The volumes of one machine."""
    return tuple(name for name in names if (whose := owner(name, tag)) and whose.uuid == uuid)


def of_runner(names: Iterable[str], tag: str, runner: int) -> tuple[str, ...]:
    """The volumes of all machines that a runner ever had."""
    return tuple(name for name in names if (whose := owner(name, tag)) and whose.runner == runner)


def remnants(names: Iterable[str], tag: str, alive: Container[str]) -> dict[str, Remnant]:
    """By UUID, what is left of each machine that is not alive."""
    found: dict[str, tuple[Volume, list[str]]] = {}
    for name in sorted(names):
        whose = owner(name, tag)
        if whose is not None and whose.uuid not in alive:
            found.setdefault(whose.uuid, (whose, []))[1].append(name)
    return {
        uuid: Remnant(whose=whose, names=tuple(names)) for uuid, (whose, names) in found.items()
    }


class Sightings:
    """When a remnant is one for certain.

    A call that makes a machine may outlive whoever sent it: a scaler that was killed leaves disks
    behind whose domain comes a moment later. So a disk without a domain counts once it was seen
    for longer than such a call takes, or at once where its machine is known to have been.

    Args:
        patience: Seconds that a call to make a machine may take.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._since: dict[str, float] = {}

    def sure(
        self, seen: dict[str, Remnant], known: Callable[[str], bool], now: float
    ) -> list[Remnant]:
        """Those of the remnants just seen, by UUID, that are ones for certain.

        Args:
            seen: All of them, by UUID.
            known: Whether a machine is known to have been made.
            now: In seconds, on a clock that never goes back.
        """
        self._since = {uuid: self._since.get(uuid, now) for uuid in seen}
        return [
            remnant
            for uuid, remnant in seen.items()
            if known(uuid) or now - self._since[uuid] >= self._patience
        ]
