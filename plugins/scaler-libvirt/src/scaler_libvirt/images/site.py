"""What everything that looks after one host's images has in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from scaler_libvirt.hosts.base import Base
from scaler_libvirt.images.evidence import Cabinet
from scaler_libvirt.machine.names import image_name, tag_of

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    import trio

    from scaler import View
    from scaler_libvirt.images.book import Book
    from scaler_libvirt.images.hosts import BuilderHost
    from scaler_libvirt.images.model import State


class Surroundings(Cabinet, Protocol):
    """What is needed of `Context`."""

    @property
    def scaler(self) -> str: ...  # noqa: D102
    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]: ...  # noqa: D102
    @property
    def stopping(self) -> trio.Event: ...  # noqa: D102
    def view(self) -> View: ...  # noqa: D102
    async def next_view(self, after: View) -> View: ...  # noqa: D102


@dataclass(frozen=True, kw_only=True)
class Site:
    """One host, and what is written down of its images.

    Attributes:
        name: The host's.
        wall: Tells Unix seconds.
        changed: To be called when something is otherwise than it was, for people.
    """

    name: str
    host: BuilderHost
    book: Book
    context: Surroundings
    wall: Callable[[], float]
    changed: Callable[[], None]

    def state(self, profile: str) -> State:
        """How a profile's images are."""
        return self.book.state(self.name, profile)

    async def step(self, profile: str, step: Callable[[State], State]) -> State:
        """Take a step, and write it down.

        Raises:
            Unavailable: It cannot be written down now; nothing has changed.
        """
        before = self.state(profile)
        after = await self.book.change(self.name, profile, step)
        if after != before:
            self.changed()
        return after

    def volume(self, profile: str, number: int) -> str:
        """What an image is called on the host."""
        return image_name(tag_of(self.context.scaler), profile, number)

    def image(self, profile: str, number: int) -> Base:
        """An image as what a machine's disk stands on."""
        name = self.volume(profile, number)
        return Base(path=name, format="qcow2", image=name)

    def note(self, level: int, profile: str, number: int, text: str) -> None:
        """Write to the log about an image."""
        self.context.log.log(
            level,
            "image %d of %s on %s: %s",
            number,
            profile,
            self.name,
            text,
            extra={"profile": profile},
        )
