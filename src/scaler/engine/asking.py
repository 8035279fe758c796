"""A request for runners, from when it is asked until it is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from scaler.model.grant import begun

if TYPE_CHECKING:
    from scaler.records import Reservation, Runner, Selection


class Asking:
    """A request for runners that is not answered yet; all who ask the same share it."""

    def __init__(self, selection: Selection, reservation: Reservation) -> None:
        self.selection = selection
        self.reservation = reservation
        self.grant = begun(selection, reservation)
        self.callers = 0
        self.until = 0.0  # the longest wait of any of them
        self.begun = False
        self.waits = False  # in line
        self.written = False  # perhaps: the answer may be durable
        self.done = False
        self.runners: tuple[Runner, ...] = ()
        self.error: Exception | None = None
        self.news = trio.Event()

    def tell(self) -> None:
        """Something of it changed."""
        self.news.set()
        self.news = trio.Event()


class ShortError(Exception):
    """Some turned out to be busy, and not so many others are idle."""
