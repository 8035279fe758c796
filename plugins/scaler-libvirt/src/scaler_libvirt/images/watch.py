"""Waiting for what becomes of a machine that builds or tries an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from scaler_libvirt.images.hosts import Ended
    from scaler_libvirt.images.model import Build
    from scaler_libvirt.images.site import Site

MOMENT = 1.0  # seconds by which an event may come after a look
SOON = 5.0  # seconds in which a host tells what it knows already
PROOF = "registration"  # what a guest asks for when all before that has worked


@dataclass
class Seen:
    """What became of it; nothing where its time was over first.

    Attributes:
        ended: How it came to be off.
        asked: It has asked for what shows that it works.
        dropped: Nobody wants to know any more.
        error: The host could not tell.
    """

    ended: Ended | None = None
    asked: bool = False
    dropped: bool = False
    error: Exception | None = None


async def watch(site: Site, profile: str, build: Build, until: float, *, proof: bool) -> Seen:
    """Wait until something has become of a build's machine, or its time is over.

    Args:
        site: Where it is.
        profile: Whose image it is.
        build: The build; given up as soon as it is not the one in hand.
        until: When its time is over, on trio's clock.
        proof: Whether it is one that is to show that the image works.

    Raises:
        Unavailable: The host cannot tell what becomes of it.
    """
    seen, done = Seen(), trio.Event()

    async def end() -> None:
        try:
            ended = await site.host.ended(build.uuid)
            if ended.clean is None:  # how, may be on its way
                await trio.sleep(MOMENT)
                ended = await site.host.ended(build.uuid)
            seen.ended = ended
        except Exception as error:
            seen.error = error
        done.set()

    async def dropped() -> None:
        while site.state(profile).building == build:
            await site.book.changed()
        seen.dropped = True
        done.set()

    async def asked() -> None:
        view = site.context.view()
        while PROOF not in view.asked.get(build.uuid, ()):
            view = await site.context.next_view(view)
        seen.asked = True
        done.set()

    async with trio.open_nursery() as nursery:
        for task in (end, dropped, asked) if proof else (end, dropped):
            nursery.start_soon(task)
        with trio.move_on_at(max(until, trio.current_time() + SOON)):
            await done.wait()
        nursery.cancel_scope.cancel()
    if seen.error is not None and not (seen.asked or seen.dropped):
        raise seen.error
    return seen
