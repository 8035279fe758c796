"""What the building of images asks of a hypervisor; `hosts.builders.Builders` is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scaler import Machine
    from scaler_libvirt.hosts.base import Base

Role = Literal["builder", "smoke"]


class Ended(Protocol):
    """How a machine came to be off.

    Attributes:
        why: For people.
        clean: True where it powered itself off, False where it crashed or was destroyed, None
            where nobody saw it end.
    """

    @property
    def why(self) -> str: ...  # noqa: D102
    @property
    def clean(self) -> bool | None: ...  # noqa: D102


class ImageVolume(Protocol):
    """An image that is on the host, tried or not.

    Attributes:
        stamp: Another one says that it was written to: its size and when it was last changed.
            Empty where the host does not tell.
    """

    @property
    def profile(self) -> str: ...  # noqa: D102
    @property
    def number(self) -> int: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def stamp(self) -> str: ...  # noqa: D102


class BuilderHost(Protocol):
    """One hypervisor, as far as images are concerned.

    Every async method raises Unavailable where the host cannot be asked now, or did not answer in
    time: nothing is known then, and it is asked again. Any other error is an answer, whose text is
    for people.
    """

    @property
    def up(self) -> bool:
        """Whether it is connected, and was looked at."""
        ...

    @property
    def draining(self) -> bool:
        """Whether it takes no new machines, by its settings or because someone told so."""
        ...

    def free(self) -> Mapping[str, int]:
        """What our machines leave of what it may use; without what is not limited."""
        ...

    async def make(self, profile: str, role: Role, uuid: str, base: Base, *, nonce: str) -> Machine:
        """Make a machine that builds or tries an image, or answer the one with this UUID.

        Its seed carries the nonce, for what it says on its serial port.

        Raises:
            NoRoom: The host has no memory or disk space for it now; or, from CannotBeMadeError or
                ValueError, something has to be mended first.
        """
        ...

    async def ended(self, uuid: str) -> Ended:
        """Wait until the machine is known to be off; at once where it is known already."""
        ...

    async def running(self, uuid: str) -> bool:
        """Whether it is there and runs (or is paused)."""
        ...

    async def tail(self, profile: str, uuid: str, limit: int = 65536) -> bytes:
        """The end of what it wrote to its serial port, until it is removed."""
        ...

    async def screenshot(self, uuid: str) -> bytes | None:
        """Its screen as a PNG; None where it is gone."""
        ...

    async def remove(self, profile: str, uuid: str) -> None:
        """Leave nothing of it. Right also where there is nothing (any more)."""
        ...

    async def left(self) -> Sequence[Machine]:
        """All machines of that kind: those that run, and those of which only a disk is left."""
        ...

    async def flatten(self, profile: str, uuid: str, name: str) -> None:
        """Copy a machine's disk, with all that it stands on, into a volume of its own.

        It may take an hour. A volume of that name is what an earlier try left, and is replaced.
        """
        ...

    async def images(self) -> Sequence[ImageVolume]:
        """This scaler's images that are there; raises where their pool cannot be looked into."""
        ...

    async def in_use(self, name: str) -> bool:
        """Whether a disk, or a machine of ours, stands on this image."""
        ...

    async def delete_image(self, name: str) -> None:
        """Delete an image. Right also where it is gone."""
        ...
