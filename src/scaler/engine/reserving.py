"""Reservations: idle runners promised to someone, all or none, and the same answer again."""

from __future__ import annotations

import logging
from collections import deque
from copy import copy
from typing import TYPE_CHECKING

import trio

from scaler.engine.asking import Asking, ShortError
from scaler.engine.closed import AGAIN, refusal
from scaler.engine.grants import forget_old
from scaler.engine.releasing import Releasing
from scaler.engine.selecting import Selecting
from scaler.errors import Busy, Gone, HookFault, Outcome, Refused, Unavailable
from scaler.hooks import SPEC
from scaler.ledger.ledger import LedgerError, Transaction
from scaler.model.evolve import evolve
from scaler.model.grant import Grant
from scaler.model.row import Reserve, Seen
from scaler.records import Registration, RunnerState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaler.engine.state import State
    from scaler.model.row import Row
    from scaler.records import Reservation, Runner, Selection, SelectionRequest

log = logging.getLogger("scaler.reserving")

ROUNDS = 4  # tries with other runners, where some turn out to be busy
ANSWER = 60.0  # seconds for what was begun to come to its end: more than all rounds take
RETRY = 1.0  # seconds until a ledger that cannot be written is tried again


_PROMISED = (RunnerState.RESERVED, RunnerState.BUSY)


class Reserving:
    """Reserves, and answers again what was answered.

    What was begun is brought to its end in the engine's nursery, whatever becomes of who asked.

    Attributes:
        releasing: Takes back.
    """

    def __init__(self, state: State, nursery: trio.Nursery) -> None:
        self._state = state
        self._nursery = nursery
        self._shut: dict[str, tuple[float, str]] = {}  # by source: until when, and why
        self._making: set[int] = set()  # runners that are marked, and not given yet
        self.releasing = Releasing(state, nursery, self._making)
        self._selecting = Selecting(state, nursery, self._known)
        self._asking: dict[str, Asking] = {}  # by unique_id: what is not answered yet
        self._lines: dict[str, deque[Asking]] = {}  # by profile: who waits for runners
        self._queued = trio.Event()
        # (found out now: others may be marked before `run` has its turn)
        self._left = [each for each in state.index.reserved if not self._is_given(each)]

    def _is_given(self, runner_id: int) -> bool:
        reservation = self._state.rows[runner_id].runner.reservation
        return reservation is not None and reservation.unique_id in self._state.grants

    async def run(self) -> None:
        """Take back what a crash left half done; then what is not used, and serve those in line."""
        for runner_id in self._left:
            self.releasing.begin(runner_id, "its reservation was not completed")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.releasing.run, name="reservations lapse")
            nursery.start_soon(forget_old, self._state, name="old grants")
            nursery.start_soon(self._serve_lines, name="lines of reservations")

    # -- who may

    async def select(self, request: SelectionRequest) -> Selection:
        """See `Context.select`."""
        return await self._selecting.select(request)

    def _known(self, unique_id: str) -> Grant | None:
        """What was answered, or is about to be, to this one."""
        asking = self._asking.get(unique_id)
        return asking.grant if asking is not None else self._state.grants.get(unique_id)

    # -- take

    async def take(
        self, selection: Selection, reservation: Reservation, wait: float
    ) -> tuple[Runner, ...]:
        """See `Context.take`."""
        profile = self._state.profiles.get(selection.profile)
        if profile is None:
            raise LookupError(f"there is no profile {selection.profile!r}")
        if selection.count < 1:
            raise ValueError(f"count is {selection.count}, wanted 1 or more")
        known = self._known(reservation.unique_id)
        if known is not None and not known.is_of(selection, reservation):
            raise Refused(
                "unique-id-used",
                f"runners of {known.profile} were asked for with this unique_id already, by"
                f" {known.qualified_repo}, run {known.run_id}",
            )
        asking = self._asking.get(reservation.unique_id)
        if known is not None and asking is None:
            await trio.lowlevel.checkpoint()
            return known.runners
        if asking is None:
            self._check(selection)
            asking = self._ask(selection, reservation, wait)
            if asking is None:
                await trio.lowlevel.checkpoint()
                return ()
        return await self._answer(asking, wait)

    def _check(self, selection: Selection) -> None:
        state = self._state
        if (error := refusal(state, selection.profile)) is not None:
            raise error
        profile = state.profiles[selection.profile]
        if profile.source not in state.hooks.implementers(SPEC.reserve_runner):
            why = f"{profile.source} gives its jobs to any of its runners"
            raise Refused("not-reservable", f"{profile.name} cannot be reserved: {why}")
        until, text = self._shut.get(profile.source, (0.0, ""))
        if until > trio.current_time():
            raise Unavailable(text, until - trio.current_time())
        override = state.override
        most = max(profile.max_count, override.targets.get(profile.name, 0) if override else 0)
        if selection.count > most:
            raise Refused("too-many", f"{profile.name} never has more than {most} runners")

    def _ask(self, selection: Selection, reservation: Reservation, wait: float) -> Asking | None:
        """Begin, or stand in line; None where there is neither enough nor a wait."""
        asking = Asking(selection, reservation)
        line = self._lines.get(selection.profile)
        if line or not self._begin(asking):
            if wait <= 0:
                return None
            self._line_up(asking)
        self._asking[reservation.unique_id] = asking
        return asking

    async def _answer(self, asking: Asking, wait: float) -> tuple[Runner, ...]:
        """Wait for what was begun; who stands in line alone leaves it when the wait is over."""
        until = trio.current_time() + max(0.0, wait)
        asking.until = max(asking.until, until)
        asking.callers += 1
        try:
            while not asking.done:
                with trio.move_on_at(until + ANSWER if asking.begun else until) as late:
                    await asking.news.wait()
                if late.cancelled_caught:
                    break
        finally:
            asking.callers -= 1
            if not asking.callers and asking.waits:
                self._leave(asking)
        if asking.error is not None:
            raise copy(asking.error)  # each caller its own: it collects where it went through
        if asking.done:
            return asking.runners
        if asking.begun:
            raise Unavailable("it took too long", AGAIN)
        if wait <= 0:
            return ()
        raise Unavailable(f"not so many runners of {asking.selection.profile} are idle", AGAIN)

    def _leave(self, asking: Asking) -> None:
        profile = asking.selection.profile
        self._lines[profile].remove(asking)
        self._asking.pop(asking.reservation.unique_id, None)
        self._serve(profile)  # it may have been all that held up the others

    # -- lines

    async def _serve_lines(self) -> None:
        """First come, first served, in each profile; nobody is overtaken."""
        while True:
            news = self._state.news
            for profile in list(self._lines):
                self._serve(profile)
            if self._lines:
                await news.wait()
            else:
                self._queued = trio.Event()
                await self._queued.wait()

    def _serve(self, profile: str) -> None:
        line = self._lines[profile]
        while line and self._begin(line[0]):
            line.popleft()
        if (error := refusal(self._state, profile)) is not None:
            for asking in line:
                self._end(asking, error)
            line.clear()
        if not line:
            del self._lines[profile]

    def _line_up(self, asking: Asking, *, first: bool = False) -> None:
        line = self._lines.setdefault(asking.selection.profile, deque())
        if first:
            line.appendleft(asking)
        else:
            line.append(asking)
        asking.waits = True
        self._queued.set()

    # -- from marking to the answer

    def _begin(self, asking: Asking) -> bool:
        """Mark so many idle runners, now, and go on beside; whether there are so many."""
        if refusal(self._state, asking.selection.profile) is not None:
            return False
        chosen = self._choose(asking, asking.selection.count)
        if chosen is None:
            return False
        asking.begun, asking.waits = True, False
        asking.tell()
        self._making.update(chosen)
        self._nursery.start_soon(self._reserve, asking, chosen, name="reserve")
        return True

    def _choose(self, asking: Asking, count: int) -> list[int] | None:
        """Mark this many, whoever has been idle for longest first."""
        state = self._state
        idle = state.index.idle.get(asking.selection.profile, {})
        chosen: list[int] = []
        if len(idle) < count:
            return None
        for runner_id in idle:
            if len(chosen) == count:
                break
            if state.rows[runner_id].offline is None:
                chosen.append(runner_id)
        if len(chosen) < count:
            return None
        for runner_id in chosen:
            state.apply(runner_id, Reserve(asking.reservation))
        self.releasing.look()
        return chosen

    async def _reserve(self, asking: Asking, chosen: list[int]) -> None:
        """Make what was marked durable, then seen; or take all of it back."""
        marked = set(chosen)
        unique_id = asking.reservation.unique_id
        error: Exception | None = Unavailable("it was broken off", AGAIN)
        try:
            asking.runners = await self._made(asking, marked)
            error = None
        except ShortError:
            error = None
        except Outcome as outcome:
            error = outcome
        except LedgerError as trouble:
            error = Unavailable(str(trouble), AGAIN)
            if asking.written:  # or not: it must not be found by the next start
                await self._forget(unique_id)
        finally:
            self._making.difference_update(chosen, marked)
            if not asking.runners:
                for runner_id in marked:
                    self.releasing.begin(runner_id, "it could not be reserved")
            waited_for = asking.callers and asking.until > trio.current_time()
            if error is None and not asking.runners:
                error = refusal(self._state, asking.selection.profile)
            if error is None and not asking.runners and waited_for:
                asking.begun = False
                self._line_up(asking, first=True)
                asking.tell()
            else:
                self._end(asking, error)
        if error is not None:
            self._state.event(
                f"runners of {asking.selection.profile} could not be reserved for {unique_id}:"
                f" {error}",
                profile=asking.selection.profile,
                level=logging.WARNING,
            )

    def _end(self, asking: Asking, error: Exception | None) -> None:
        asking.error, asking.done, asking.waits = error, True, False
        self._asking.pop(asking.reservation.unique_id, None)
        asking.tell()

    async def _forget(self, unique_id: str) -> None:
        """See that no answer is kept that nobody got, before its runners are anybody else's."""
        transaction = Transaction()
        transaction.grant(unique_id, None)
        while True:
            try:
                return await self._state.keep(transaction=transaction)
            except LedgerError as error:
                log.error("%s", error)
                await trio.sleep(RETRY)

    async def _made(self, asking: Asking, marked: set[int]) -> tuple[Runner, ...]:
        """Reserve what is marked; what turns out to be busy is replaced, while others are idle.

        Raises:
            Outcome: Some could not be reserved; it is not known of any whether it looks so.
            LedgerError: It could not be written down.
            ShortError: Some are busy, and not so many others are idle.
        """
        fresh = sorted(marked)
        for _ in range(ROUNDS):
            rows = [self._row(each) for each in fresh]
            await self._state.keep(*rows)
            busy = await self._show(asking.reservation, fresh)
            if not busy:
                return await self._given(asking, marked)
            marked.difference_update(busy)
            others = self._choose(asking, len(busy))
            if others is None:
                raise ShortError
            marked.update(others)
            self._making.update(others)
            fresh = others
        raise Unavailable("runners turned out to be busy, again and again", AGAIN)

    def _row(self, runner_id: int) -> Row:
        row = self._state.rows.get(runner_id)
        if row is None:
            raise Unavailable("a runner went while it was being reserved", AGAIN)
        return row

    async def _show(self, reservation: Reservation, chosen: Sequence[int]) -> list[int]:
        """Have their source show the reservation on all at once; those that are busy or gone.

        Raises:
            Outcome: Some could not be.
        """
        state = self._state
        busy: list[int] = []
        errors: list[Exception] = []

        async def one(runner_id: int) -> None:
            runner = self._row(runner_id).runner
            try:
                await state.hooks.route(
                    runner.source,
                    None,
                    SPEC.reserve_runner,
                    runner=runner,
                    reservation=reservation,
                )
            except Busy:
                working = Registration(name=runner.name, online=True, busy=True)
                state.apply(runner_id, Seen(working))
                busy.append(runner_id)
            except Gone:
                state.apply(runner_id, Seen(Registration(name=runner.name, gone=True)))
                busy.append(runner_id)
            except (Outcome, HookFault) as error:
                errors.append(error)
                if isinstance(error, Unavailable) and error.retry_after:
                    until = trio.current_time() + error.retry_after
                    self._shut[runner.source] = until, str(error)

        if len(chosen) == 1:  # (a task more is a tenth of all that this costs)
            await one(chosen[0])
        else:
            async with trio.open_nursery() as nursery:
                for runner_id in chosen:
                    nursery.start_soon(one, runner_id, name=f"reserve runner {runner_id}")
        for error in errors:
            raise error if isinstance(error, Outcome) else Unavailable(str(error), AGAIN)
        return busy

    async def _given(self, asking: Asking, marked: set[int]) -> tuple[Runner, ...]:
        """The answer, once it is durable.

        Raises:
            Unavailable: A runner went meanwhile.
            LedgerError: It is not durable.
        """
        state = self._state
        runners = []
        for runner_id in sorted(marked):
            runner = self._row(runner_id).runner
            if runner.reservation != asking.reservation or runner.state not in _PROMISED:
                raise Unavailable("a runner went while it was being reserved", AGAIN)
            runners.append(runner)
        selected = self._selecting.passed(asking.grant)
        grant = evolve(asking.grant, runners=tuple(runners), selected=selected)
        transaction = Transaction()
        transaction.grant(grant.unique_id, grant)
        asking.written = True
        await state.keep(transaction=transaction)
        state.grants[grant.unique_id] = grant
        return grant.runners
