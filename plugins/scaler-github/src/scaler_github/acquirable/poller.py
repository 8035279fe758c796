"""One profile's looks: when there is one, and what the core is told of it."""

from __future__ import annotations

import math
import time
import uuid
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from scaler import Message, Unavailable
from scaler_github.acquirable.asking import Asker, totals
from scaler_github.acquirable.decide import Known, Schedule, Totals, disagree, telling
from scaler_github.queue.waits import Pace, Waits

if TYPE_CHECKING:
    from scaler import Context, Job
    from scaler_github.account import Account
    from scaler_github.acquirable.asking import Seen
    from scaler_github.client.types import Statistics
    from scaler_github.queue.state import QueueState

_CALM = 1.0  # seconds between two observations: a burst of messages is one


class Poller:
    """Looks beside the queue, and delivers what it did not tell.

    Args:
        state: The profile's queue, as its listener sees it.
        interval: Seconds between two looks.

    Attributes:
        state: As above.
    """

    def __init__(
        self,
        context: Context[Any, Any],
        profile: str,
        *,
        account: Account,
        state: QueueState,
        interval: float,
    ) -> None:
        self._context = context
        self._profile = profile
        self._account = account
        self.state = self._state = state
        self._asker = Asker(account, state)
        self._waits = Waits(context, profile, Pace())
        self._schedule = Schedule(interval)
        self._before: tuple[float, Totals] | None = None  # what the last look saw, and when
        self._found = 0
        self._run = uuid.uuid4().hex
        self._told = 0

    def end(self) -> None:
        """Have `run` end, as when the scaler stops."""
        self._waits.end()

    def look_every(self, seconds: float) -> None:
        """Go by another interval from now on."""
        self._schedule = replace(self._schedule, interval=seconds)
        self._state.nudge()

    async def run(self) -> None:
        """Look until it is ended or the scaler stops."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._waits.watch_stopping)
            async with self._account.open():
                while not self._waits.stopping:
                    scale_set = await self._waits.until_stopping(self._until_due)
                    if scale_set is not None:
                        await self._look(scale_set)
            nursery.cancel_scope.cancel()

    async def _until_due(self) -> int:
        """Wait until there is a reason to look; the number of the scale set."""
        state = self._state
        while True:
            now, scale_set, session = trio.current_time(), state.scale_set, state.session
            if scale_set is None or not state.is_ours(now):
                text = "another one listens" if state.rival else "waits until the queue is open"
                self._report(text)
                wake = now + self._schedule.interval  # it is ours for a while only
            elif session is not None and not state.introduced:
                wake = math.inf  # the listener has to speak first
            else:
                odd = disagree(_totals(state.counts), self._known())
                name = session.id if session is not None else ""
                self._schedule = self._schedule.observed(now, name, odd)
                wake = self._schedule.due
                if now >= wake:
                    return scale_set
            with trio.move_on_at(wake):
                await state.news()
                await trio.sleep(_CALM)

    def _jobs(self) -> list[Job]:
        return [job for job in self._context.view().jobs if job.profile == self._profile]

    def _known(self) -> Known:
        states = [job.state for job in self._jobs()]
        return Known(states.count("assigned") + states.count("running"), states.count("offered"))

    async def _look(self, scale_set: int) -> None:
        began, off = trio.current_time(), self._asker.off
        seen: Seen | None = None
        changed, again = False, True
        try:
            seen = await self._waits.until_stopping(partial(self._asker.look, scale_set))
            if seen is None:
                return
            changed, again = await self._tell(began, scale_set, seen)
        except Unavailable as error:
            text = f"what was found waits, since nothing can be kept now: {error}"
        except Exception as error:
            self._context.log.exception("%s: a look failed, the next one comes", self._profile)
            text = f"{type(error).__name__}: {error}"
        else:
            text = str(seen.failures[0]) if seen.failures else ""
        if self._asker.off != off:
            log = "%s: %s; the list of acquirable jobs is asked for again in an hour"
            self._context.log.warning(log, self._profile, self._asker.refusal)
        told = seen.wait if seen is not None else 0.0
        wait = trio.current_time() - began + told if told else 0.0
        self._schedule = self._schedule.after(
            began, changed=changed, again=again or bool(text), wait=wait
        )
        self._report(text or self._text(), ok=not text)

    async def _tell(self, began: float, scale_set: int, seen: Seen) -> tuple[bool, bool]:
        """Deliver what is news; whether any was seen, and whether another look should follow."""
        state = self._state
        self._found = len(seen.jobs)
        if state.scale_set != scale_set or not state.is_ours(trio.current_time()):
            return False, False
        if state.counted > began:
            return False, True  # the queue spoke meanwhile: this may be older
        told, counts, again = _totals(state.counts), seen.counts, False
        if counts is not None:
            look = totals(counts)
            tell = telling(look, told, self._last(), trusted=seen.trusted)
            now = tell or told or look
            again = seen.trusted and look.assigned < now.assigned
            counts = None if tell is None else _with(counts, tell)
            self._before = began, look
        known = {job.id for job in self._jobs()}
        if counts is None and known.issuperset(job.id for job in seen.jobs):
            return again, again  # less is news, too, though it is not told yet
        await self._deliver(scale_set, counts, seen.jobs)
        if counts is not None:
            state.looked(counts, began)
        return True, again

    def _last(self) -> Totals | None:
        """What the last look saw, unless the queue has spoken since."""
        if self._before is None or self._before[0] < self._state.counted:
            return None
        return self._before[1]

    async def _deliver(self, scale_set: int, counts: Statistics | None, jobs: list[Job]) -> None:
        self._told += 1
        await self._context.deliver(
            Message(
                id=f"look/{scale_set}/{self._run}/{self._told}",
                profile=self._profile,
                jobs=tuple(jobs),
                demand=None if counts is None else counts.total_assigned_jobs,
                waiting=None if counts is None else counts.total_available_jobs,
            )
        )

    def _text(self) -> str:
        text = f"looks every {self._schedule.interval:g} s"
        left, refusal = self._asker.off - trio.current_time(), self._asker.refusal
        if left <= 0 or refusal is None:
            return text
        at = time.strftime("%H:%M:%S UTC", time.gmtime(time.time() + left))
        return (
            f"{text} at the totals alone: GitHub answers {refusal.verdict.status} to the list of "
            f"acquirable jobs, which is asked for again at {at}"
        )

    def _report(self, text: str, *, ok: bool = True) -> None:
        now, wall = trio.current_time(), time.time()
        looked, off = self._schedule.looked, self._asker.off
        self._context.report(
            text,
            ok=ok,
            profile=self._profile,
            last_look=round(wall - now + looked, 3) if looked > -math.inf else None,
            found=self._found,
            off_until=round(wall - now + off, 3) if off > now else None,
        )


def _totals(counts: Statistics | None) -> Totals | None:
    return None if counts is None else totals(counts)


def _with(counts: Statistics, tell: Totals) -> Statistics:
    return msgspec.structs.replace(counts, total_assigned_jobs=tell.assigned)
