"""What keeps the page fresh: the history, and the one fragment that everybody is shown."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import trio

from scaler import Unavailable
from scaler_monitor.page.assets import Assets
from scaler_monitor.page.fragment import Fragment, Pages
from scaler_monitor.page.history import EVERY, History
from scaler_monitor.page.scene import Beside, Shot, chosen
from scaler_monitor.page.stream import Hub

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from scaler import Context, Panel, Picture, Runner, View
    from scaler_monitor.settings import Config

PACE = 1.0  # seconds between two fragments, at least
REST = 9.0  # times what a fragment cost that passes before the next

T = TypeVar("T")


class Live:
    """The dashboard of one Monitor. `run` is its service; the rest works without it, unhurried.

    Attributes:
        hub: Hands fragments to those who listen.
    """

    def __init__(self, context: Context[Config, None]) -> None:
        self._context = context
        self.assets = Assets()
        self.pages = Pages(self.assets.version)
        self.hub = Hub(self.fragment, self._changed, context.stopping)
        self._history = History()
        self._one = trio.CapacityLimiter(1)
        self._lock = trio.Lock()
        self._last: Fragment | None = None
        self._view: View | None = None
        self._next = 0.0

    async def run(self) -> None:
        """Take samples, and serve who listens, until the scaler stops."""
        await self._apart(self.pages.warm)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._sample, name="monitor: samples")
            await self.hub.run()
            nursery.cancel_scope.cancel()

    async def fragment(self) -> Fragment:
        """The dashboard now: a second old at most, or ten times what it costs to make."""
        async with self._lock:
            if self._last is None or trio.current_time() >= self._next:
                began = time.thread_time()
                self._last, spent = await self._make()
                spent += time.thread_time() - began
                self._next = trio.current_time() + max(PACE, REST * spent)
            return self._last

    async def page(self) -> tuple[str, Fragment]:
        """The whole page."""
        fragment = await self.fragment()
        make = partial(self.pages.page, fragment, self._context.scaler)
        return await self._apart(make), fragment

    async def _make(self) -> tuple[Fragment, float]:
        """A fragment of what there is, and what it cost a thread, in seconds."""
        view = self._view = self._context.view()
        panels = await self._panels()
        runners, choosing = await self._apart(partial(_timed, partial(chosen, view)))
        beside = Beside(
            panels=panels, shots=self._shots(view, runners), samples=self._history.samples()
        )
        make = partial(self.pages.fragment, view, runners, beside, now=time.time())
        made, making = await self._apart(partial(_timed, make))
        return made, choosing + making

    async def _panels(self) -> Mapping[str, Panel | None]:
        try:
            return await self._context.panels()
        except Unavailable:
            return {}

    def _shots(self, view: View, runners: Iterable[Runner]) -> Mapping[int | str, Shot]:
        if self._context.config.screenshots_need_token:
            return {}  # the page has none to show
        subjects: list[int | str] = [each.id for each in runners if each.machine is not None]
        subjects += [each.profile for each in view.builders]
        found = ((subject, self._picture(subject)) for subject in subjects)
        return {
            subject: Shot(time=picture.time, version=picture.etag.strip('"'))
            for subject, picture in found
            if picture is not None
        }

    def _picture(self, subject: int | str) -> Picture | None:
        try:
            return self._context.picture(subject)
        except (LookupError, Unavailable):
            return None

    async def _apart(self, work: Callable[[], T]) -> T:
        return await trio.to_thread.run_sync(work, limiter=self._one)

    async def _changed(self) -> None:
        """Wait until a fragment would show something else, and may be made."""
        with trio.move_on_after(EVERY):  # then there is another sample, and minutes go by
            if self._view is not None:
                await self._context.next_view(self._view)
        await trio.sleep_until(self._next)

    async def _sample(self) -> None:
        while True:
            self._history.sample(self._context.view())
            await trio.sleep(EVERY)


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    """What work gives, and what it cost this thread, in seconds."""
    began = time.thread_time()
    return work(), time.thread_time() - began
