"""One host's connection: kept open, opened again after it was lost, and never waited for long.

libvirt blocks, and a daemon that hangs blocks for ever. So every operation runs in a worker thread
under a deadline. A thread that is left behind keeps its place until libvirt lets it go, and places
are few: a host that hangs costs a handful of threads and no more.
"""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

import trio

from scaler import Unavailable
from scaler_libvirt.hosts import driver
from scaler_libvirt.hosts.base import CannotBeMadeError
from scaler_libvirt.hosts.link import Link, LinkLostError, ask, open_link

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from scaler_libvirt.hosts.events import Feed

T = TypeVar("T")

Lane = Literal["calls", "making", "pictures", "images"]
_WATCHED: tuple[Lane, ...] = ("calls", "making")


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How long things may take, in seconds.

    Attributes:
        open: To open a connection, and to ask who is there.
        probe: For the daemon to say that it lives, when a call was too slow.
        look: To list all domains, or look at one.
        create, destroy, screenshot: To do so with one machine.
        first_pause, longest_pause: Between attempts to connect; doubled each time.
        keepalive: Seconds between libvirt's own questions, and how many may stay unanswered.
        close: For a connection to be closed when the service ends.
    """

    open: float = 20.0
    probe: float = 5.0
    look: float = 30.0
    create: float = 180.0
    destroy: float = 60.0
    screenshot: float = 8.0
    first_pause: float = 0.5
    longest_pause: float = 30.0
    keepalive: tuple[int, int] = (2, 3)
    close: float = 2.0


class OpenLink(Protocol):
    """Opens a connection; a test may put its own in place of libvirt's."""

    def __call__(  # noqa: D102
        self,
        uri: str,
        *,
        feed: Feed,
        on_close: Callable[[str], None],
        keepalive: tuple[int, int],
    ) -> Link: ...


class Connection:
    """A connection to one host that comes and goes.

    Attributes:
        trouble: Why it is down; empty while it is up.
        attempted: Set once the first attempt to connect ended, well or not.
    """

    CALLS = 8
    HANGING = 4

    def __init__(self, name: str, uri: str, pace: Pace, opener: OpenLink = open_link) -> None:
        self.name = name
        self.uri = uri
        self.pace = pace
        self._opener = opener
        self.trouble = "not connected yet"
        self.attempted = trio.Event()
        self._link: Link | None = None
        self._why_lost = ""
        self._opened = 0
        self._overdue = False
        self._waiting: set[trio.CancelScope] = set()
        self._wake = trio.Event()
        # more than eight calls at once only add latency; what is slow, and what asks how the
        # daemon is, must not stand in line with them
        self._lanes: dict[Lane, trio.CapacityLimiter] = {
            "calls": trio.CapacityLimiter(self.CALLS),
            "making": trio.CapacityLimiter(self.CALLS),
            "pictures": trio.CapacityLimiter(2),
            "images": trio.CapacityLimiter(2),  # what takes minutes, or hours
        }
        # what hangs is given up and keeps its thread: the next attempt must not wait for it
        self._opens = trio.CapacityLimiter(self.HANGING)
        self._probes = trio.CapacityLimiter(self.HANGING)
        self._asking = trio.CapacityLimiter(self.HANGING)
        self._closing = trio.CapacityLimiter(4)

    @property
    def up(self) -> bool:
        """Whether it is connected and was looked at since."""
        return self._link is not None and not self.trouble

    @property
    def facts(self) -> driver.Facts | None:
        """What the hypervisor says of itself, while there is a connection."""
        return None if self._link is None else self._link.facts

    async def call(
        self,
        work: Callable[[driver.Connection], T],
        *,
        deadline: float,
        lane: Lane = "calls",
    ) -> T:
        """Run one operation in a thread.

        Args:
            work: The operation.
            deadline: For it, with the time that it stands in line.
            lane: What it stands in line with.

        Raises:
            Unavailable: There is no connection, it was lost, or the deadline passed: nothing is
                known about the outcome.
            libvirtError: What libvirt says of the operation itself.
        """
        link = self._link
        if link is None:
            raise self._unavailable(self.trouble or self._why_lost)
        waiting = trio.CancelScope()
        self._waiting.add(waiting)
        try:
            waiting.deadline = trio.current_time() + deadline
            with waiting:
                return await trio.to_thread.run_sync(
                    partial(link.use, work), abandon_on_cancel=True, limiter=self._lanes[lane]
                )
        except LinkLostError as error:
            self._lose(link, str(error))
            raise self._unavailable(str(error)) from error
        finally:
            self._waiting.discard(waiting)
        if self._link is not link:
            raise self._unavailable(self._why_lost)
        self._overdue = True
        self._wake.set()
        raise self._unavailable(f"no answer within {deadline:g} s")

    async def ask(self, work: Callable[[driver.Connection], T], *, deadline: float = 0) -> T:
        """Run one operation by a connection of its own, whether or not there is another.

        Args:
            work: The operation.
            deadline: For it, in seconds; half of what opening a connection may take where 0.

        Raises:
            Unavailable: It does not answer.
            libvirtError: Why there is no connection, or what libvirt says of the operation.
        """
        try:
            with trio.fail_after(deadline or self.pace.open / 2):
                return await trio.to_thread.run_sync(
                    ask, self.uri, work, abandon_on_cancel=True, limiter=self._asking
                )
        except trio.TooSlowError:
            raise self._unavailable("it does not answer") from None

    async def keep(
        self, feed: Feed, look: Callable[[], Awaitable[object]], changed: Callable[[], None]
    ) -> None:
        """Be connected, for ever.

        Args:
            feed: Where the events of every connection go.
            look: Looks at everything on the host; called with each new connection, which counts
                as up only when that went well.
            changed: Called whenever the host went up or down, or is down for another reason.
        """
        pause = self.pace.first_pause
        link: Link | None = None
        try:
            while True:
                link, trouble = await self._attempt(feed, look)
                self._set_trouble(trouble, changed)
                if link is not None:
                    pause = self.pace.first_pause
                    await self._mind(link)
                    self._set_trouble(self._why_lost, changed)
                    await self._retire(link)
                    link = None
                await trio.sleep(pause * random.uniform(0.75, 1.25))
                pause = min(pause * 2, self.pace.longest_pause)
        finally:
            self.trouble = "its service has ended"
            self.attempted = trio.Event()
            self._link = None
            if link is not None:
                await self._retire(link)

    def _set_trouble(self, trouble: str, changed: Callable[[], None]) -> None:
        differs = trouble != self.trouble or not self.attempted.is_set()
        self.trouble = trouble
        self.attempted.set()
        if differs:
            changed()

    async def _attempt(
        self, feed: Feed, look: Callable[[], Awaitable[object]]
    ) -> tuple[Link | None, str]:
        """Connect and look; answer the connection, or why there is none."""
        link: Link | None = None
        good = False
        try:
            link = self._link = await self._open(feed)
            await look()
            good = self._link is link
        except Unavailable as error:
            trouble = str(error).removeprefix(f"host {self.name}: ")
        except (driver.Error, CannotBeMadeError) as error:
            trouble = str(error)
        else:
            trouble = "" if good else self._why_lost
        finally:
            if not good and link is not None:
                self._link = None
                await self._retire(link)
        return (link if good else None), trouble

    async def _open(self, feed: Feed) -> Link:
        self._opened += 1
        number = self._opened
        opening = _Opening(
            partial(
                self._opener,
                self.uri,
                feed=feed,
                on_close=lambda reason: self._closed(number, reason),
                keepalive=self.pace.keepalive,
            )
        )
        try:
            with trio.fail_after(self.pace.open):
                return await trio.to_thread.run_sync(
                    opening.run, abandon_on_cancel=True, limiter=self._opens
                )
        except trio.TooSlowError:
            opening.abandon()
            raise self._unavailable(self._why_not_open()) from None
        except LinkLostError as error:
            raise self._unavailable(str(error)) from error
        except BaseException:
            opening.abandon()
            raise

    def _why_not_open(self) -> str:
        text = f"connecting takes longer than {self.pace.open:g} s"
        if self._opens.available_tokens:
            return text
        return f"{text}, and {self.HANGING} attempts hang in libvirt: the next waits for one to end"

    async def _mind(self, link: Link) -> None:
        """Watch over a connection until it is lost, and ask how it is when a call is overdue."""
        while self._link is link:
            await self._wake.wait()
            self._wake = trio.Event()
            if self._overdue and self._link is link:
                self._overdue = False
                await self._probe(link)

    async def _probe(self, link: Link) -> None:
        try:
            with trio.fail_after(self.pace.probe):
                await trio.to_thread.run_sync(
                    link.probe, abandon_on_cancel=True, limiter=self._probes
                )
        except trio.TooSlowError:
            self._lose(link, "libvirt's daemon does not answer")
        except (LinkLostError, driver.Error) as error:
            self._lose(link, str(error))
        else:
            if not all(self._lanes[lane].available_tokens for lane in _WATCHED):
                self._lose(link, f"{self.CALLS} calls hang in libvirt's daemon")

    def _closed(self, number: int, reason: str) -> None:
        if self._link is not None and number == self._opened:
            self._lose(self._link, reason)

    def _lose(self, link: Link, why: str) -> None:
        if self._link is link:
            self._link = None
            self._why_lost = why
            self._wake.set()
            # their threads may hang for much longer, and whatever they do comes to nobody
            for waiting in self._waiting:
                waiting.cancel()

    async def _retire(self, link: Link) -> None:
        with trio.move_on_after(self.pace.close, shield=True):
            await trio.to_thread.run_sync(
                link.retire, abandon_on_cancel=True, limiter=self._closing
            )

    def _unavailable(self, text: str) -> Unavailable:
        return Unavailable(f"host {self.name}: {text}")


class _Opening:
    """An attempt to connect that may be given up while libvirt is still at it."""

    def __init__(self, opener: Callable[[], Link]) -> None:
        self._opener = opener
        self._lock = threading.Lock()
        self._abandoned = False
        self._link: Link | None = None

    def run(self) -> Link:
        link = self._opener()
        with self._lock:
            self._link = link
            abandoned = self._abandoned
        if abandoned:
            link.retire()
        return link

    def abandon(self) -> None:
        with self._lock:
            self._abandoned = True
            link = self._link
        if link is not None:  # it blocks, and nobody waits for it
            threading.Thread(target=link.retire, name="libvirt close", daemon=True).start()
