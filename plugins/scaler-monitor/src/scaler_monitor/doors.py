"""What is behind each door, and what takes its place when the settings are others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import trio

from scaler_monitor import app
from scaler_monitor.serving.listening import is_unix
from scaler_monitor.serving.places import Places
from scaler_monitor.serving.proxies import Proxies
from scaler_monitor.serving.server import Opening
from scaler_monitor.site import Door, Site

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaler_monitor.serving.certificate import Certificate
    from scaler_monitor.serving.listening import Listener
    from scaler_monitor.settings import Config

PLACES = {Door.PEOPLE: (512, 256), Door.GUESTS: (256, 32)}
"""Connections in all and from one address: many browsers may be behind one, and guests are not."""


class Behind:
    """An application whose place another can take, from one request to the next.

    Attributes:
        app: It; requests in hand, streams among them, end in the one in which they began.
    """

    def __init__(self) -> None:
        self.app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request, as ASGI has it."""
        await self.app(scope, receive, send)


class Doors:
    """Both doors.

    Args:
        site: What is behind them, by whatever settings.
        address: What others reach the one for people as, where the settings do not say.
    """

    def __init__(self, site: Site, address: str) -> None:
        self._site = site
        self._address = address
        self._behind = {door: Behind() for door in Door}
        self._one = trio.Lock()
        self._by: object = None

    async def renew(self) -> None:
        """Go by the settings as they are now; nothing is done where they were these already.

        Requests that come meanwhile find what was there before. No connection ends.
        """
        async with self._one:
            while (by := _made_of(config := self._site.context.config)) != self._by:
                site = replace(
                    self._site,
                    base_url=config.base_url or self._address,
                    proxies=Proxies(config.trusted_proxies),
                )
                for door, behind in self._behind.items():
                    # In no thread: what parses paths for it is not safe there (CPython 3.11)
                    behind.app = app.build(site, door)
                    await trio.lowlevel.checkpoint()
                self._site, self._by = site, by

    def openings(
        self, door: Door, listeners: Sequence[Listener], certificate: Certificate | None
    ) -> list[Opening]:
        """Where one comes in by a door.

        Args:
            door: Which.
            listeners: What it listens on.
            certificate: What these are encrypted with, unix sockets apart.
        """
        places = Places(*PLACES[door])
        if door is Door.PEOPLE:
            places = Places(*PLACES[door], exempt=self._is_many)
        return [
            Opening(each, self._behind[door], places, None if is_unix(each) else certificate)
            for each in listeners
        ]

    def _is_many(self, peer: str) -> bool:
        """Whether an address stands for many callers."""
        return not peer or self._site.proxies.trusts(peer)


def _made_of(config: Config) -> object:
    """What an application is made of; all else is looked up with each request."""
    names = config.listen, config.guest_listen, config.allowed_hosts, config.external_base_url
    return names, dict(config.static), config.trusted_proxies
