"""One profile's loop: scale set, session, polls. Whatever happens at GitHub, it goes on.

A message is deleted only after the core has stored its effect, and beside the next poll: work that
was lost with a crash comes again, and nobody waits for the deletion.
"""

from __future__ import annotations

import random
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import trio

from scaler import Unavailable
from scaler_github.client import Backoff, GitHubError, Kind, QueueSession, SessionLost, Unreadable
from scaler_github.client.retry import repeat
from scaler_github.queue import scaleset
from scaler_github.queue.adoption import Foreign, Kept, Sought
from scaler_github.queue.convert import Place, to_statistics_message
from scaler_github.queue.delivery import Delivery, Unhandled
from scaler_github.queue.leftover import Leftover
from scaler_github.queue.state import QueueState
from scaler_github.queue.waits import Pace, Waits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaler import Context
    from scaler_github.client import Actions, QueueMessage, Scope
    from scaler_github.client.types import ScaleSet
    from scaler_github.queue.adoption import Adopt
    from scaler_github.queue.alarms import Alarms

LABELS, FOREIGN = "labels", "scale set"  # the alarms' names
QUICK_STEPS = 3  # after failures that tell what to do next, until a poll succeeds


class ScaleSetLost(GitHubError):
    """The scale set no longer exists: look it up by its name."""


class Listener:
    """Listens to the scale set of one profile.

    Args:
        name, group, adopt: As the settings have them.
        labels: What the scale set is to be labelled with; its name and the profile's labels where
            they are left out.
        scope: Its account's.
        alarms: Where to tell what a person should look at.
        state: Where to note how the queue is, for others.
        poll_timeout: How long GitHub may hold a poll back, in seconds.

    Attributes:
        labels: What the scale set is to be labelled with.
        poll_timeout: As above; another one counts from the next poll on.
    """

    def __init__(
        self,
        context: Context[Any, Any],
        profile: str,
        *,
        name: str,
        group: str,
        scope: Scope,
        alarms: Alarms,
        labels: Sequence[str] = (),
        adopt: Adopt = "same",
        state: QueueState | None = None,
        poll_timeout: float = 50.0,
        pace: Pace | None = None,
    ) -> None:
        self._context = context
        self._profile = profile
        self._name = name
        self._group = group
        self._scope = scope
        self._adopt: Adopt = adopt
        self.state = state or QueueState()
        self.poll_timeout = poll_timeout
        own = context.profiles[profile].labels
        self.labels = list(labels) or scaleset.wanted_labels(name, own)
        self._pace = pace or Pace()
        self._waits = Waits(context, profile, self._pace)
        self._alarms = alarms
        self._delivery = Delivery(context, profile, scope.web, self._waits, self._pace, alarms)
        self._backoff = Backoff(self._pace.first, self._pace.largest)
        self._scale_set: ScaleSet | None = None
        self._known = trio.Event()
        self._told: tuple[str, int] | None = None  # the session whose statistics were delivered
        self._heard = 0.0
        self._trouble: tuple[Kind, int] | None = None
        self._quick = 0  # steps since the last good poll that waited for nothing
        self._leftover = Leftover(context, profile, scope.place)
        self._answered = time.time()  # when GitHub did last, or listening began
        self._kept = Kept(context, profile)

    def end(self) -> None:
        """Have `run` end, as when the scaler stops."""
        self._waits.end()

    def close(self) -> None:
        """Have GitHub assign nothing more; what is assigned already is listened for."""
        self._waits.close()

    def sign_in_again(self) -> None:
        """The credential is another one: if the last one was refused, try this one at once."""
        if self._backoff.refused:
            self._backoff.reset()
            self._waits.hurry()

    async def scale_set_id(self) -> int:
        """The scale set's id, as soon as it is known. Raises Unavailable where it takes long."""
        with trio.move_on_after(self._pace.request):
            await self._known.wait()
        if self._scale_set is None:
            raise Unavailable(f"the scale set {self._name} is not known yet", self._pace.request)
        return self._scale_set.id

    async def run(self, actions: Actions) -> None:
        """Listen until it is ended or the scaler stops, then close the session."""
        self._answered = time.time()
        async with trio.open_nursery() as watchers:
            watchers.start_soon(self._waits.watch_stopping)
            watchers.start_soon(self._waits.watch_ceiling)
            async with trio.open_nursery() as deletions:
                while not self._waits.stopping:
                    await self._waits.pause(await self._step(actions, deletions))
                deletions.cancel_scope.deadline = trio.current_time() + self._pace.farewell / 3
            await self._close(actions)
            watchers.cancel_scope.cancel()

    async def _step(self, actions: Actions, deletions: trio.Nursery) -> float:
        """Do the next thing; answer the pause after it. Nothing but a cancellation gets out."""
        try:
            if self._scale_set is None:
                await self._find_scale_set(actions)
            elif (session := self.state.session) is None:
                await self._open(actions, self._scale_set)
            else:
                return await self._listen(session, deletions)
        except GitHubError as error:
            return self._failed(error)
        except (Unhandled, Unavailable) as error:
            self._report(str(error), ok=False)
            return random.uniform(*self._pace.garbage)
        except Exception as error:
            self._context.log.exception("%s: the listener failed, and goes on", self._profile)
            self._report(f"{type(error).__name__}: {error}", ok=False)
            return self._pace.largest / 6
        return 0

    def _failed(self, error: GitHubError) -> float:
        lost = isinstance(error, SessionLost)
        if lost:
            self.state.lost()
        elif isinstance(error, Unreadable):
            if self._backoff.failures == 0:
                self._context.log.warning("%s: %s", self._profile, error)
            self._backoff.failures += 1
            return random.uniform(*self._pace.garbage)
        if (lost or isinstance(error, ScaleSetLost)) and self._quick < QUICK_STEPS:
            # GitHub answers, and what to do next is clear: what went wrong before is over
            self._quick += 1
            self._context.log.warning("%s: %s; going on at once", self._profile, error)
            return error.wait
        pause = self._backoff.after(error)
        if isinstance(error, Foreign):
            pause = self._pace.person
            self._alarms.tell(self._profile, FOREIGN, str(error))
        broken = error.kind is Kind.RETRY and not error.verdict.status
        if self._backoff.failures == 1 and broken:
            pause = error.wait  # a lost connection: again at once, the first time
        first = self._backoff.failures == 1
        seen, self._trouble = self._trouble, (error.kind, error.verdict.status)
        log = (
            self._context.log.warning if first or seen != self._trouble else self._context.log.info
        )
        log("%s: %s; again in %.1f s", self._profile, error, pause)
        self._report(str(error), ok=False, failures=self._backoff.failures)
        return pause

    def _went_well(self) -> None:
        self._backoff.reset()
        self._quick = 0

    async def _find_scale_set(self, actions: Actions) -> None:
        labels = self.labels
        found = await self._waits.until_stopping(lambda: self._ensure(actions, labels))
        if found is None:
            return
        self._alarms.over(self._profile, FOREIGN)
        if missing := scaleset.missing_labels(labels, found):
            text = (
                f"GitHub did not take the labels {', '.join(missing)} of scale set {self._name}: "
                "jobs that ask for them do not come here (GHES before 3.21 takes one label only)"
            )
            if self._alarms.tell(self._profile, LABELS, text):
                self._context.log.warning("%s: %s", self._profile, text)
        else:
            self._alarms.over(self._profile, LABELS)
        self._scale_set = found
        self.state.scale_set = found.id
        self._known.set()

    async def _ensure(self, actions: Actions, labels: list[str]) -> ScaleSet:
        wanted = Sought(
            profile=self._profile,
            setting=f"profiles.{self._profile}.{self._context.name}",
            scope=self._scope.place,
            name=self._name,
            group=await scaleset.group_id(actions, self._group),
            labels=tuple(labels),
            adopt=self._adopt,
        )
        return await scaleset.ensure(actions, wanted, self._kept)

    async def _open(self, actions: Actions, scale_set: ScaleSet) -> None:
        owner = f"scaler-{self._context.scaler}"
        await self._leftover.opening(scale_set.id)
        try:
            # Left in the middle, a session would be open that nobody knows
            session = await self._waits.until_stopping(
                lambda: QueueSession.open(actions, scale_set.id, owner),
                grace=self._pace.farewell / 2,
            )
        except GitHubError as error:
            if error.kind is Kind.RETRY:  # it may be open
                self._leftover.unanswered()
            else:
                await self._leftover.refused(scale_set.id)
            if error.kind is Kind.GONE:
                self._forget_scale_set()
                raise ScaleSetLost(error.verdict) from None
            if error.kind is not Kind.CONFLICT:
                raise
            if await self._leftover.close(actions, scale_set.id):
                return
            self.state.refused(left=self._leftover.may_be_ours())
            if not self.state.rival:
                text = f"waiting for the session that a crash left at scale set {self._name} to end"
                self._report(text, ok=False)
                await self._waits.pause(self._pace.leftover)
                return
            text = (
                f"another scaler listens to scale set {self._name}, "
                "or its session has not ended yet"
            )
            raise GitHubError(replace(error.verdict, text=text)) from None
        if session is not None:
            self.state.opened(session)
            self._heard = trio.current_time()
            await self._leftover.opened(scale_set.id, session.id)

    def _forget_scale_set(self) -> None:
        self._context.log.warning("%s: the scale set %s is gone", self._profile, self._name)
        self._scale_set = self.state.scale_set = None
        self._known = trio.Event()

    async def _listen(self, session: QueueSession, deletions: trio.Nursery) -> float:
        await self._tell_statistics(session)
        place = self._place(session)
        after = (await self._delivery.cursor(place)).message
        if self._told != (session.id, session.renewals):
            return 0  # renewed meanwhile: its place may be another one
        capacity = self._waits.capacity()
        started = trio.current_time()
        ended, message = await self._waits.poll(
            capacity, lambda: session.poll(after, capacity, self.poll_timeout)
        )
        if not ended:
            return 0
        if message is None:
            self._went_well()
            self._nothing_came(session)
            return max(0.0, started + self._pace.idle - trio.current_time())
        if session.host != place.host:
            # The session was renewed meanwhile, with another queue: asked again with its cursor
            return 0
        return await self._received(session, place, message, deletions)

    async def _received(
        self, session: QueueSession, place: Place, message: QueueMessage, deletions: trio.Nursery
    ) -> float:
        self.state.came()
        news = await self._delivery.deliver(place, message)
        if message.statistics is not None:
            self.state.count(message.statistics, self.state.heard)
        self._went_well()
        deletions.start_soon(self._delete, session, message.id)
        if not news:
            return self._pace.idle
        self._heard = trio.current_time()
        if not message.faults:
            self._listening()
        return 0

    def _nothing_came(self, session: QueueSession) -> None:
        now = trio.current_time()
        counts = self.state.counts or session.statistics
        if not counts.waiting:
            self._heard = now
        since = min(self._heard, now if (odd := self.state.unexplained) is None else odd)
        if now - since >= self._pace.unheard:
            # Message numbers may have started again below our cursor. Asking for everything costs
            # nothing otherwise: what was delivered is deleted.
            text = "%s: there are jobs, but no message came for %.0f s: the cursor starts again"
            self._context.log.warning(text, self._profile, now - since)
            self._delivery.start_again()
            self._heard, self.state.unexplained = now, None
        self._listening()

    async def _tell_statistics(self, session: QueueSession) -> None:
        """Deliver what the session itself told, once for each time that it did."""
        now = (session.id, session.renewals)
        if self._told == now:
            return
        place = self._place(session)
        moved = await self._delivery.moved(place)
        if moved:
            self._context.log.info("%s: its jobs come from a new place: %s", self._profile, place)
        counts, told = session.statistics, session.told
        if moved or told >= self.state.counted:  # else the core knows what is newer
            record = to_statistics_message(self._profile, place, *now, counts, moved=moved)
            await self._delivery.hand_over(record, "what GitHub told with the session")
            self.state.count(counts, told)
        self._told = now
        self.state.introduce()
        self._listening()

    def _place(self, session: QueueSession) -> Place:
        return Place(session.scale_set_id, session.host, self._scope.place)

    async def _delete(self, session: QueueSession, message_id: int) -> None:
        try:
            backoff = Backoff(self._pace.first)
            await repeat(lambda: session.delete_message(message_id), backoff=backoff)
        except GitHubError as error:
            # It comes again then, and is recognised
            self._context.log.info("%s: %s", self._profile, error)
        except Exception:
            self._context.log.exception("%s: message %d stays", self._profile, message_id)

    async def _close(self, actions: Actions) -> None:
        session = self.state.session
        if session is None:
            return
        self.state.lost()
        try:
            with trio.fail_after(self._pace.farewell):
                backoff = Backoff(self._pace.first)
                close = partial(actions.delete_session, session.scale_set_id, session.id)
                await repeat(close, backoff=backoff)
                await self._leftover.closed()
        except (GitHubError, trio.TooSlowError) as error:
            text = "%s: the session stays open until it expires: %s"
            self._context.log.warning(text, self._profile, str(error) or "no answer")
        self._report("stopped")

    def _listening(self) -> None:
        counts = self.state.counts
        self._answered = time.time()
        self._report(
            "listening",
            scale_set=0 if self._scale_set is None else self._scale_set.id,
            last_poll=self._answered,
            assigned=counts.total_assigned_jobs if counts else None,
            available=counts.total_available_jobs if counts else None,
        )

    def _report(self, text: str, *, ok: bool = True, **facts: Any) -> None:
        if not ok:  # whoever watches is to see how long it has been so
            facts["last_poll"] = self._answered
        self._context.report(text, ok=ok, profile=self._profile, **facts)
