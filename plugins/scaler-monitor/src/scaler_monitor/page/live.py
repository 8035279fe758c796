"""What keeps the page fresh: the history, and the one fragment that everybody is shown."""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import trio

from scaler import Unavailable
from scaler_monitor.paced import Paced, timed
from scaler_monitor.page import facts
from scaler_monitor.page.assets import Assets
from scaler_monitor.page.fragment import Fragment, Pages
from scaler_monitor.page.history import EVERY, History
from scaler_monitor.page.remains import Memory, Remains
from scaler_monitor.page.scene import Beside, Shot, chosen
from scaler_monitor.page.stream import Hub

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from scaler import Context, Panel, Picture, Runner, View
    from scaler_monitor.settings import Config

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
        self.hub = Hub(self._newest, self._changed, context.stopping)
        self._history = History()
        self._memory = Memory(context.kept)
        self._one = trio.CapacityLimiter(1)
        self._paced = Paced(self._make)
        self._view: View | None = None
        self._failing: set[str] = set()

    async def run(self) -> None:
        """Take samples, and serve who listens, until the scaler stops."""
        await self._apart(self.pages.warm)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._sample, name="monitor: samples")
            await self.hub.run()
            nursery.cancel_scope.cancel()

    async def fragment(self) -> Fragment:
        """The dashboard now: a second old at most, or ten times what it costs to make."""
        return await self._paced.get()

    async def page(self) -> tuple[str, Fragment]:
        """The whole page."""
        fragment = await self.fragment()
        make = partial(self.pages.page, fragment, self._context.scaler)
        return await self._apart(make), fragment

    def remains(self, view: View) -> Remains:
        """What is left of failures."""
        return self._memory.look(view)

    async def _make(self) -> tuple[Fragment, float]:
        """A fragment of what there is, and what it cost a thread, in seconds."""
        view = self._view = self._context.view()
        panels = await self._panels()
        remains = self._memory.look(view)
        runners, choosing = await self._apart(partial(timed, partial(chosen, view)))
        beside = Beside(
            panels=panels,
            shots=self._shots(view, runners),
            samples=self._history.samples(),
            remains=remains,
            linked=not self._context.config.screenshots_need_token,
        )
        make = partial(self.pages.fragment, view, runners, beside, now=time.time())
        made, making = await self._apart(partial(timed, make))
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
        profiles = [each.profile for each in view.builders]
        profiles += [name for name, told in facts.image_reports(view).items() if not told.ok]
        subjects += dict.fromkeys(profiles)
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

    async def _newest(self) -> Fragment | None:
        """A fragment for those who listen; None where it cannot be made now."""
        made: Fragment | None = None
        with self._going_on("make the dashboard"):
            made = await self.fragment()
        return made  # noqa: RET504 - also where that raised

    async def _changed(self) -> None:
        """Wait until a fragment would show something else, and may be made."""
        with self._going_on("wait for news"), trio.move_on_after(EVERY):
            # (after which there is another sample, and minutes go by)
            if self._view is not None:
                await self._context.next_view(self._view)
        await trio.sleep_until(self._paced.next)

    async def _sample(self) -> None:
        while True:
            with self._going_on("take a sample"):
                view = self._context.view()
                self._history.sample(view)
                self._memory.look(view)
            await trio.sleep(EVERY)

    @contextmanager
    def _going_on(self, what: str) -> Iterator[None]:
        """A fault of one round ends neither the others nor what else is served; it is told once."""
        try:
            yield
        except Exception:
            if what not in self._failing:
                self._context.log.exception("cannot %s; it is tried again and again", what)
            self._failing.add(what)
        else:
            self._failing.discard(what)
