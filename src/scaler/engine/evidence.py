"""Keeping evidence: beside everything else, and never in anybody's way."""

from __future__ import annotations

import logging
import math
from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import trio

from scaler.engine.pictures import pictured
from scaler.evidence.index import ITEM, STORIES, STORY, Index, is_name, shelf_of
from scaler.records import Kept

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler.engine.state import State
    from scaler.evidence.files import Files
    from scaler.records import Picture

PATIENCE = 4.0  # seconds that the disk may take: a little less than a machine's end waits for all
READERS = 4  # items that are read at the same time, at most
QUIET = 3600.0  # seconds after trouble was told in which more of it is not
ROUND = 3600.0  # seconds between two looks at what has become too old
CALM = 2.0  # seconds without another story after which they are written: not in a burst
LATEST = 30.0  # seconds after which they are written all the same
SCREEN = "screenshot.png"  # the name of a picture of a machine's screen

T = TypeVar("T")


class Evidence:
    """What is kept of runners and profiles.

    Args:
        state: The world.
        files: Where; None where nothing is kept.
    """

    def __init__(self, state: State, files: Files | None) -> None:
        self._state = state
        self._files = files
        self._index = Index()
        self._writer = trio.CapacityLimiter(1)  # one after another: the index is right after each
        self._readers = trio.CapacityLimiter(READERS)
        self._trouble = ""
        self._told, self._said = -math.inf, False  # when it was told last, and whether people wait
        self._late = False  # somebody may still be writing who took too long
        self._stories: OrderedDict[int, bytes] = OrderedDict()  # not written yet
        self._told_more = trio.Event()
        self._screens: dict[str, Picture] = {}  # by profile; an empty one where it was forgotten

    @property
    def keeps(self) -> bool:
        """Whether anything is kept at all."""
        return self._files is not None

    async def open(self) -> None:
        """See what is there from earlier, and what of it is too old."""
        if self._files is None:
            return
        try:
            found, self._screens = await self._blocking(self._writer, _found, self._files)
        except OSError as error:
            self._failed(error.strerror or str(error))
            return
        self._index = Index(found)
        await self._clear("")

    async def run(self) -> None:
        """Remove what becomes too old, and write stories when there is time."""
        if self._files is not None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write_stories, name="stories")
                while True:
                    await trio.sleep(ROUND)
                    await self._clear("")

    def story(self, runner_id: int, data: bytes) -> None:
        """Keep the story of a runner that went well, some time; of very many, the last ones."""
        if self._files is not None:
            self._stories[runner_id] = data[:ITEM]
            if len(self._stories) > STORIES:
                self._stories.popitem(last=False)
            self._told_more.set()

    async def _write_stories(self) -> None:
        while True:
            await self._told_more.wait()
            self._told_more = trio.Event()
            with trio.move_on_after(LATEST):
                while await self._another(CALM):
                    pass
            await self.write_stories()

    async def _another(self, seconds: float) -> bool:
        """Wait for another story; whether one came in time."""
        with trio.move_on_after(seconds):
            await self._told_more.wait()
            self._told_more = trio.Event()
            return True
        return False

    async def write_stories(self) -> None:
        """Write the stories that wait."""
        while self._stories:
            runner_id, data = self._stories.popitem(last=False)
            if not self._index.of(shelf_of(runner_id)):  # (else it is told of already)
                with suppress(LookupError):  # nobody remembers it any more
                    await self.keep(runner_id, STORY, data)

    # -- Context's side

    async def keep(self, subject: int | str, name: str, data: bytes) -> bool:
        """See `Context.keep`."""
        if not is_name(name):
            raise ValueError(f"found the name {name!r}, wanted up to 64 of a-z, 0-9, . and -")
        if len(data) > ITEM:
            raise ValueError(f"found {len(data)} bytes, wanted {ITEM} at most: cut it")
        known = self._state.rows if isinstance(subject, int) else self._state.profiles
        if subject not in known and subject not in self._state.gone:
            raise LookupError(f"there is no runner or profile {subject!r}")
        if self._files is None or (self._late and self._writer.borrowed_tokens):
            return False  # (the disk hangs: whoever comes next need not wait for it as well)
        shelf = shelf_of(subject)
        data = self._cut(subject, bytes(data))
        with trio.move_on_after(PATIENCE) as waiting:
            try:
                await self._put(shelf, name, data)
            except OSError as error:
                self._failed(error.strerror or str(error))
                return False
        if waiting.cancelled_caught:
            self._late = True
            self._failed(f"it took more than {PATIENCE:g} s")
            return False
        self._worked()
        if isinstance(subject, str) and name == SCREEN:
            self._screens[subject] = pictured(data, self._state.clock.wall())
        self._state.shown()
        return True

    def kept(self, subject: int | str) -> tuple[Kept, ...]:
        """See `Context.kept`."""
        return self._index.of(shelf_of(subject))

    async def read(self, subject: int | str, name: str) -> bytes | None:
        """See `Context.evidence`."""
        shelf = shelf_of(subject)
        if self._files is None or self._index.get(shelf, name) is None:
            await trio.lowlevel.checkpoint()
            return None
        with trio.move_on_after(PATIENCE):
            try:
                return await self._blocking(self._readers, self._files.read, shelf, name)
            except FileNotFoundError:
                self._index.drop(shelf, name)
            except OSError as error:
                self._failed(error.strerror or str(error))
        return None

    def screen(self, profile: str) -> Picture | None:
        """The picture that is kept of a profile's builder, from memory.

        It is empty where it was forgotten, or is no picture: then there is none of that time.
        """
        known = self._screens.get(profile)
        if known is not None and known.png and not self._index.get(shelf_of(profile), SCREEN):
            del self._screens[profile]  # it had become too old
            return None
        return known

    # -- the disk

    async def _put(self, shelf: str, name: str, data: bytes) -> None:
        assert self._files is not None
        if not data:
            await self._blocking(self._writer, self._files.remove, shelf, name)
            self._index.drop(shelf, name)
            return
        # what must go goes first: it may be what fills the disk
        kept = Kept(name=name, size=len(data), time=self._state.clock.wall())
        before = self._index.get(shelf, name)
        self._index.put(shelf, kept)
        try:
            await self._clear(shelf)
            await self._blocking(self._writer, self._files.write, shelf, name, data, kept.time)
        except BaseException:
            if self._index.get(shelf, name) is kept:
                self._index.drop(shelf, name)
                if before is not None:
                    self._index.put(shelf, before)
            raise

    async def _clear(self, fresh: str) -> None:
        """Remove what has to go; where that fails, it is told, and tried again the next time."""
        assert self._files is not None
        for shelf, name in self._index.surplus(self._state.clock.wall(), fresh):
            try:
                await self._blocking(self._writer, self._files.remove, shelf, name)
            except OSError as error:
                self._failed(error.strerror or str(error))
                return
            self._index.drop(shelf, name)

    async def _blocking(
        self, limiter: trio.CapacityLimiter, call: Callable[..., T], *arguments: object
    ) -> T:
        return await trio.to_thread.run_sync(
            call, *arguments, abandon_on_cancel=True, limiter=limiter
        )

    # -- what is in it

    def _cut(self, subject: int | str, data: bytes) -> bytes:
        """Without the config of that runner, should it occur."""
        row = self._state.rows.get(subject) if isinstance(subject, int) else None
        if row is None or row.config is None or not row.config.reveal():
            return data
        return data.replace(row.config.reveal().encode("utf-8", "surrogatepass"), b"***")

    # -- for people

    def _failed(self, why: str) -> None:
        """Say so once, and not again for every runner, or item that is too large for the disk."""
        if self._trouble:
            return
        self._trouble = why
        now = self._state.clock.now()
        if now - self._told < QUIET:
            return
        self._told, self._said = now, True
        self._state.event(f"evidence of failures cannot be kept: {why}", level=logging.WARNING)
        self._state.shown()

    def _worked(self) -> None:
        self._late, self._trouble = False, ""
        if self._said:
            self._said = False
            self._state.event("evidence of failures can be kept again")
            self._state.shown()


def _found(files: Files) -> tuple[list[tuple[str, Kept]], dict[str, Picture]]:
    """Everything that is there, and the pictures of builders: those are asked for at any time."""
    found = files.found()
    profile = shelf_of("")
    return found, {
        shelf.removeprefix(profile): pictured(files.read(shelf, kept.name), kept.time)
        for shelf, kept in found
        if shelf.startswith(profile) and kept.name == SCREEN
    }
