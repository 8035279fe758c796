"""What every route is built from."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio
from quart import request

from scaler_monitor.api.metrics import Tally
from scaler_monitor.serving.proxies import Proxies, socket_peer
from scaler_monitor.serving.tokens import Tokens

if TYPE_CHECKING:
    from scaler import Context, View
    from scaler_monitor.page.live import Live
    from scaler_monitor.settings import Config


RECENT = 0.1  # seconds that a view is shown


class Door(enum.Enum):
    """Who comes in."""

    PEOPLE = "people"  #: people and workflows: everything
    GUESTS = "guests"  #: guests: what they fetch while they boot, and nothing else


@dataclass
class _Recent:
    view: View | None = None
    until: float = 0.0


@dataclass(frozen=True)
class Site:
    """The scaler as its routes see it.

    Attributes:
        context: The way up to the core.
        live: What keeps the dashboard fresh.
        door: Which of the two the routes are behind.
        base_url: What absolute addresses start with; it ends with `/`.
        tokens: The tokens that are good now; falsy where none is set.
        proxies: The proxies whose word on a client's address counts.
        tally: What was counted since the start.
        listens: What is listened on, as `listen` has it: the settings may say something else since.
    """

    context: Context[Config, None]
    live: Live
    door: Door = Door.PEOPLE
    base_url: str = "http://localhost/"
    tokens: Tokens = field(default_factory=Tokens)
    proxies: Proxies = field(default_factory=Proxies)
    tally: Tally = field(default_factory=Tally)
    listens: tuple[str, ...] = ()
    _recent: _Recent = field(default_factory=_Recent, init=False, repr=False)

    @property
    def config(self) -> Config:
        """`[plugins.monitor]`."""
        return self.context.config

    def recent_view(self) -> View:
        """The view, or one that was it a tenth of a second ago.

        After a change the core makes a view of all runners anew for who asks first. What anybody
        may ask for, as often as they like, does not have it made each time.
        """
        now = trio.current_time()
        if self._recent.view is None or now >= self._recent.until:
            self._recent.view = self.context.view()
            self._recent.until = now + RECENT
        return self._recent.view

    def changed(self) -> None:
        """A request changed something: who asks next is to see it."""
        self._recent.view = None

    def peer(self) -> str:
        """The address of who sent the request in hand; `""` where it came by a unix socket.

        A guest's is the other end of its connection, whatever its headers say. Elsewhere it is what
        the proxies that the settings name have seen.
        """
        seen = socket_peer(request.scope)
        if self.door is Door.GUESTS:
            return seen
        return self.proxies.client(seen, request.headers)
