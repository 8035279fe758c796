"""Pictures of machines' screens: in the background, and at once."""

from __future__ import annotations

import math
import time
import zlib
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import trio

from scaler.engine.flights import Flight
from scaler.engine.state import LEAVING
from scaler.errors import HookFault, Outcome, Unavailable
from scaler.hooks import SPEC
from scaler.records import Picture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from scaler.engine.evidence import Evidence
    from scaler.engine.state import State
    from scaler.records import Machine

Place: TypeAlias = tuple[str, str]  # a plugin, and its id of a machine

SIGNATURE = b"\x89PNG\r\n\x1a\n"
LARGEST = 4 << 20  # bytes of one picture
MOST = 64 << 20  # bytes of all that are kept
REST = 1.0  # seconds until a machine is pictured anew
# A rest is so many times what was seen of a picture's cost: that is 4 % of a core, and 5 % with
# what is not seen, such as waking up.
SHARE = 24.0
SHORTEST, LONGEST_REST = 0.02, 30.0  # seconds of a rest
OUTLIER = 3.0  # times the usual cost: what a turn seems to cost beyond that was spent by others
FREE = 0.01  # seconds of the processor that a turn is charged with, however little is usual
ROUND = 1.0  # seconds between two looks at which machines there are
WATCHED = 60.0  # seconds for which somebody who looked is still there
LONGEST = 600.0  # seconds until a machine that gives no picture is tried again
AT_ONCE = 4  # pictures that are being taken at the same time, at most
PATIENCE = 10.0  # seconds to stand in line for that


class _Subject:
    """One machine whose screen may be seen."""

    __slots__ = ("due", "failures", "flight", "interval", "key", "machine", "plugin")

    def __init__(self, plugin: str, machine: Machine, key: int | str) -> None:
        self.plugin = plugin
        self.machine = machine
        self.key = key  # its runner's id, or the profile that it builds for
        self.due = -math.inf
        self.interval = 0.0  # that `due` was reckoned with
        self.failures = 0
        self.flight: Flight[Picture]


class Pictures:
    """Takes them and keeps the last of each."""

    def __init__(self, state: State, evidence: Evidence) -> None:
        self._state = state
        self._evidence = evidence
        self._subjects: dict[Place, _Subject] = {}
        self._last: OrderedDict[int | str, Picture] = OrderedDict()
        self._from: dict[str, str] = {}  # by profile, which builder its last picture shows
        self._bytes = 0
        self._watched: dict[int | str, float] = {}
        self._line = trio.CapacityLimiter(AT_ONCE)
        self._queue: list[_Subject] = []  # whose turn it is, the last first
        self._looked = -math.inf
        self._running = False
        self._usual = LONGEST_REST / SHARE / OUTLIER  # seconds of the processor for one picture

    # -- at once

    async def take(self, machine: Machine) -> Picture:
        """See `Context.screenshot`."""
        plugin, key, now = self._owner(machine)
        if plugin not in self._state.hooks.implementers(SPEC.screenshot):
            raise LookupError(f"{plugin or 'nobody'} takes no pictures of its machines")
        if now.state != "running":
            raise Unavailable(f"machine {machine.id} has stopped")
        return await self._subject(plugin, now, key).flight.ask()

    def _owner(self, machine: Machine) -> tuple[str, int | str, Machine]:
        """Whose machine it is, and how that is now.

        Raises:
            LookupError: It is not there.
        """
        state = self._state
        if machine.runner is None:
            for (plugin, machine_id), builder in state.builders.items():
                if machine_id == machine.id and builder.profile == machine.profile:
                    return plugin, builder.profile, builder
        elif (row := state.rows.get(machine.runner)) is not None:
            known = row.runner.machine
            if known is not None and known.id == machine.id:
                return row.runner.provisioner, row.runner.id, known
        raise LookupError(f"there is no machine {machine.id} (any more)")

    def last(self, subject: int | str) -> Picture | None:
        """See `Context.picture`."""
        known = self._state.rows if isinstance(subject, int) else self._state.profiles
        if subject not in known:
            return None
        if self._running:  # else nobody's turn depends on it, and nobody would forget it
            self._watched[subject] = self._state.clock.now()
        if isinstance(subject, int):
            return self._last.get(subject)
        return self._of_builder(subject)

    def cached(self, runner_id: int) -> Picture | None:
        """A runner's last picture; nobody looks at it."""
        return self._last.get(runner_id)

    def _of_builder(self, profile: str) -> Picture | None:
        """What a builder shows that runs, or what the last one showed, as seen or as kept."""
        last = self._last.get(profile)
        running = [each.id for each in self._state.builders.values() if each.profile == profile]
        if running:
            return last if self._from.get(profile) in running else None
        kept = self._evidence.screen(profile)
        if kept is None or (last is not None and last.time > kept.time):
            return last
        return kept if kept.png else None

    # -- in the background

    async def run(self, intervals: Callable[[], Mapping[str, float]]) -> None:
        """Picture every machine again and again, using about 5 % of a core at most.

        Args:
            intervals: Asked each time for the seconds between two pictures of a machine, by plugin.
                Who is not named there, or with 0, has pictures taken only where they are asked for.
        """
        takers = set(self._state.hooks.implementers(SPEC.screenshot))
        self._running = True
        try:
            while not self._state.stopping and takers:
                began = time.process_time()
                now = {n: each for n, each in intervals().items() if each > 0 and n in takers}
                subject = self._next(now)
                if subject is not None:
                    await self._turn(subject, now[subject.plugin])
                spent = time.process_time() - began
                if subject is not None:
                    await trio.sleep(self._rest(spent))
                else:  # (nothing was waited for: looking round has cost all of it)
                    await trio.sleep(max(ROUND, SHARE * spent))
        finally:
            self._running = False
            self._watched.clear()

    def _rest(self, spent: float) -> float:
        """How long to rest after a turn during which the process used so much of the processor.

        That is all of the process: who works while a picture is waited for is counted with it. So
        a turn is charged with a few times the usual at most. What often costs more becomes usual.
        """
        charged = min(spent, max(OUTLIER * self._usual, FREE))
        self._usual += (charged - self._usual) / 8
        return min(LONGEST_REST, max(SHARE * charged, SHORTEST))

    async def _turn(self, subject: _Subject, interval: float) -> None:
        now = self._state.clock.now
        subject.due, subject.interval = now() + interval, interval
        try:
            await subject.flight.ask()
        except Unavailable as error:
            subject.failures += 1
            wait = min(LONGEST, interval * 2.0 ** min(subject.failures, 10))
            subject.due = now() + max(wait, error.retry_after or 0.0)
        else:
            subject.failures = 0

    def _next(self, intervals: Mapping[str, float]) -> _Subject | None:
        """Whose picture is due: a builder's, one that somebody looks at, or the oldest."""
        now = self._state.clock.now()
        if now - self._looked >= ROUND:
            self._looked = now
            self._look(intervals, now)
        while self._queue:
            subject = self._queue.pop()
            wanted = subject.plugin in intervals
            if wanted and subject.due <= now and self._is_there(subject):
                return subject
        return None

    def _look(self, intervals: Mapping[str, float], now: float) -> None:
        """See which machines there are now, and put those that are due in line."""
        found = {(plugin, each.id): (each, key) for plugin, each, key in self._machines()}
        for place in self._subjects.keys() - found.keys():
            del self._subjects[place]
        self._watched = {key: at for key, at in self._watched.items() if now - at < WATCHED}
        due: list[tuple[bool, bool, float, _Subject]] = []
        for (plugin, _), (machine, key) in found.items():
            if plugin in intervals:
                subject = self._subject(plugin, machine, key)
                if intervals[plugin] < subject.interval:  # it was made shorter
                    subject.due += intervals[plugin] - subject.interval
                    subject.interval = intervals[plugin]
                if subject.due <= now:
                    first = (isinstance(key, str), key in self._watched)
                    due.append((*first, -subject.due, subject))
        due.sort(key=lambda each: each[:3])
        self._queue = [subject for *_, subject in due]
        for key in [key for key in self._last if isinstance(key, int)]:
            if key not in self._state.rows:
                self._drop(key)

    def _machines(self) -> Iterator[tuple[str, Machine, int | str]]:
        for row in self._state.rows.values():
            runner = row.runner
            machine = runner.machine
            if machine is not None and machine.state == "running" and runner.state not in LEAVING:
                yield runner.provisioner, machine, runner.id
        for (plugin, _), machine in self._state.builders.items():
            if machine.profile in self._state.profiles:
                yield plugin, machine, machine.profile

    def _is_there(self, subject: _Subject) -> bool:
        try:
            _, _, now = self._owner(subject.machine)
        except LookupError:
            return False
        return now.state == "running"

    # -- one picture

    def _subject(self, plugin: str, machine: Machine, key: int | str) -> _Subject:
        place = (plugin, machine.id)
        subject = self._subjects.get(place)
        if subject is None:
            subject = self._subjects[place] = _Subject(plugin, machine, key)
            subject.flight = Flight(partial(self._shoot, subject), REST)
        subject.machine = machine
        return subject

    async def _shoot(self, subject: _Subject) -> Picture:
        with trio.move_on_after(PATIENCE) as waiting:
            await self._line.acquire()
        if waiting.cancelled_caught:
            raise Unavailable("too many pictures are being taken", REST)
        try:
            png = await self._state.hooks.route(
                subject.plugin, None, SPEC.screenshot, machine=subject.machine
            )
        except Unavailable:
            raise
        except (Outcome, HookFault) as error:
            raise Unavailable(f"{subject.plugin} cannot take a picture now: {error}") from error
        finally:
            self._line.release()
        if not png.startswith(SIGNATURE):
            raise Unavailable(f"{subject.plugin} gave a picture that is no PNG")
        if len(png) > LARGEST:
            raise Unavailable(f"{subject.plugin} gave a picture of more than {LARGEST} bytes")
        picture = pictured(png, self._state.clock.wall())
        self._keep(subject.key, picture)
        if isinstance(subject.key, str):
            self._from[subject.key] = subject.machine.id
        return picture

    def _keep(self, key: int | str, picture: Picture) -> None:
        self._drop(key)
        if isinstance(key, int) and key not in self._state.rows:
            return  # gone while it was taken
        self._last[key] = picture
        self._bytes += len(picture.png)
        while self._bytes > MOST:
            self._drop(next(iter(self._last)))

    def _drop(self, key: int | str) -> None:
        old = self._last.pop(key, None)
        if old is not None:
            self._bytes -= len(old.png)


def pictured(png: bytes, taken: float) -> Picture:
    """A picture with its etag; an empty one where it is none."""
    if not png.startswith(SIGNATURE):
        png = b""
    # (a digest would hold the loop for eight times as long, and nobody gains by a collision)
    return Picture(png=png, time=taken, etag=f"{zlib.crc32(png):08x}{len(png):x}")
