"""Reservations: idle runners promised to someone, all or none, and the same answer again."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

import trio

from scaler.engine.releasing import Releasing
from scaler.engine.selecting import Selecting
from scaler.errors import Busy, HookFault, Outcome, Refused, Unavailable
from scaler.hooks import SPEC
from scaler.ledger.ledger import LedgerError, Transaction
from scaler.model.evolve import evolve
from scaler.model.grant import KEPT, Grant, begun
from scaler.model.row import Reserve, Seen
from scaler.records import Registration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaler.engine.state import State
    from scaler.records import Reservation, Runner, Selection, SelectionRequest

log = logging.getLogger("scaler.reserving")

ROUNDS = 4  # tries with other runners, where some turn out to be busy
ANSWER = 60.0  # seconds for what was begun to come to its end: more than all rounds take
AGAIN = 5.0  # seconds after which it may be worth asking again
SWEEP = 3600.0  # seconds between two looks for answers that need not be kept any longer


class Reserving:
    """Reserves, and answers again what was answered.

    What was begun is brought to its end in the engine's nursery, whatever becomes of who asked.
    """

    def __init__(self, state: State, nursery: trio.Nursery) -> None:
        self._state = state
        self._nursery = nursery
        self._releasing = Releasing(state, nursery)
        self._selecting = Selecting(state, nursery, self._known)
        self._asking: dict[str, _Asking] = {}  # by unique_id: what is not answered yet
        self._lines: dict[str, deque[_Asking]] = {}  # by profile: who waits for runners
        self._queued = trio.Event()

    async def run(self) -> None:
        """Take back what a crash left half done; then what is not used, and serve those in line."""
        for runner_id in list(self._state.index.reserved):
            reservation = self._state.rows[runner_id].runner.reservation
            if reservation is None or reservation.unique_id not in self._state.grants:
                self._releasing.begin(runner_id, "its reservation was not completed")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._releasing.run, name="reservations lapse")
            nursery.start_soon(self._sweep, name="old grants")
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
        if state.stopping:
            raise Unavailable("this scaler is stopping", AGAIN)
        profile = state.profiles[selection.profile]
        if profile.source not in state.hooks.implementers(SPEC.reserve_runner):
            raise Refused(
                "not-reservable",
                f"runners of {profile.name} cannot be reserved: {profile.source} gives its jobs to"
                " any of its runners",
            )
        override = state.override
        most = max(profile.max_count, override.targets.get(profile.name, 0) if override else 0)
        if selection.count > most:
            raise Refused("too-many", f"{profile.name} never has more than {most} runners")

    def _ask(self, selection: Selection, reservation: Reservation, wait: float) -> _Asking | None:
        """Begin, or stand in line; None where there is neither enough nor a wait."""
        asking = _Asking(selection, reservation)
        line = self._lines.get(selection.profile)
        if line or not self._begin(asking):
            if wait <= 0:
                return None
            self._lines.setdefault(selection.profile, deque()).append(asking)
            self._queued.set()
        self._asking[reservation.unique_id] = asking
        return asking

    async def _answer(self, asking: _Asking, wait: float) -> tuple[Runner, ...]:
        """Wait for what was begun; who stands in line alone leaves it when the wait is over."""
        asking.callers += 1
        try:
            if not asking.begun:
                with trio.move_on_after(max(0.0, wait)):
                    await asking.turn.wait()
            if asking.begun:
                with trio.move_on_after(ANSWER):
                    await asking.done.wait()
        finally:
            asking.callers -= 1
            if not asking.callers and not asking.begun:
                self._leave(asking)
        if asking.error is not None:
            raise asking.error
        if asking.done.is_set():
            return asking.runners
        if asking.begun:
            raise Unavailable("it took too long", AGAIN)
        if wait <= 0:
            return ()
        raise Unavailable(f"not so many runners of {asking.selection.profile} are idle", AGAIN)

    def _leave(self, asking: _Asking) -> None:
        self._lines[asking.selection.profile].remove(asking)
        self._asking.pop(asking.reservation.unique_id, None)

    # -- lines

    async def _serve_lines(self) -> None:
        """First come, first served, in each profile; nobody is overtaken."""
        while True:
            news = self._state.news
            for profile, line in list(self._lines.items()):
                while line and self._begin(line[0]):
                    line.popleft()
                if not line:
                    del self._lines[profile]
            if self._lines:
                await news.wait()
            else:
                self._queued = trio.Event()
                await self._queued.wait()

    # -- from marking to the answer

    def _begin(self, asking: _Asking) -> bool:
        """Mark so many idle runners, now, and go on beside; whether there are so many."""
        if self._state.stopping:
            return False
        chosen = self._choose(asking, asking.selection.count)
        if chosen is None:
            return False
        asking.begun = True
        asking.turn.set()
        self._nursery.start_soon(self._reserve, asking, chosen, name="reserve")
        return True

    def _choose(self, asking: _Asking, count: int) -> list[int] | None:
        """Mark this many, whoever has been idle for longest first."""
        state = self._state
        chosen: list[int] = []
        for runner_id in state.index.idle.get(asking.selection.profile, ()):
            if len(chosen) == count:
                break
            if state.rows[runner_id].offline is None:
                chosen.append(runner_id)
        if len(chosen) < count:
            return None
        for runner_id in chosen:
            state.apply(runner_id, Reserve(asking.reservation))
        return chosen

    async def _reserve(self, asking: _Asking, chosen: list[int]) -> None:
        """Make what was marked durable, then seen; or take all of it back."""
        marked = set(chosen)
        try:
            asking.runners = await self._made(asking, marked)
        except (Outcome, LedgerError) as error:
            asking.error = error if isinstance(error, Outcome) else Unavailable(str(error), AGAIN)
            text = f"{asking.reservation.unique_id}: {error}"
            self._state.event(
                f"runners of {asking.selection.profile} could not be reserved for {text}",
                profile=asking.selection.profile,
                level=logging.WARNING,
            )
        finally:
            if not asking.runners:
                for runner_id in marked:
                    self._releasing.begin(runner_id, "it could not be reserved")
            if not asking.done.is_set() and asking.error is None and not asking.runners:
                asking.error = None if asking.short else Unavailable("stopping", AGAIN)
            self._asking.pop(asking.reservation.unique_id, None)
            asking.done.set()

    async def _made(self, asking: _Asking, marked: set[int]) -> tuple[Runner, ...]:
        """Reserve what is marked; what turns out to be busy is replaced, while others are idle.

        Raises:
            Outcome: Some could not be reserved; it is not known of any whether it looks so.
            LedgerError: It could not be written down.
        """
        state = self._state
        fresh = sorted(marked)
        for _ in range(ROUNDS):
            await state.keep(*(state.rows[each] for each in fresh))
            busy = await self._show(asking.reservation, fresh)
            if not busy:
                return await self._given(asking, marked)
            marked.difference_update(busy)
            others = self._choose(asking, len(busy))
            if others is None:
                asking.short = True
                break
            marked.update(others)
            fresh = others
        return ()

    async def _show(self, reservation: Reservation, chosen: Sequence[int]) -> list[int]:
        """Have their source show the reservation on all of them at once; those that are busy.

        Raises:
            Outcome: Some could not be.
        """
        state = self._state
        busy: list[int] = []
        errors: list[Exception] = []

        async def one(runner_id: int) -> None:
            runner = state.rows[runner_id].runner
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
            except (Outcome, HookFault) as error:
                errors.append(error)

        if len(chosen) == 1:  # (a task more is a tenth of all that this costs)
            await one(chosen[0])
        else:
            async with trio.open_nursery() as nursery:
                for runner_id in chosen:
                    nursery.start_soon(one, runner_id, name=f"reserve runner {runner_id}")
        for error in errors:
            raise error if isinstance(error, Outcome) else Unavailable(str(error), AGAIN)
        return busy

    async def _given(self, asking: _Asking, marked: set[int]) -> tuple[Runner, ...]:
        """The answer, once it is durable.

        Raises:
            Unavailable: A runner went meanwhile.
            LedgerError: It is not durable.
        """
        state = self._state
        runners = []
        for runner_id in sorted(marked):
            row = state.rows.get(runner_id)
            if row is None or row.runner.reservation != asking.reservation:
                raise Unavailable("a runner went while it was being reserved", AGAIN)
            runners.append(row.runner)
        grant = evolve(asking.grant, runners=tuple(runners))
        transaction = Transaction()
        transaction.grant(grant.unique_id, grant)
        await state.keep(transaction=transaction)
        state.grants[grant.unique_id] = grant
        return grant.runners

    # -- what need not be kept

    async def _sweep(self) -> None:
        while True:
            state = self._state
            transaction, old = Transaction(), []
            for unique_id, grant in state.grants.items():
                if state.clock.wall() - grant.since < KEPT:
                    break
                old.append(unique_id)
                transaction.grant(unique_id, None)
            try:
                await state.keep(transaction=transaction)
            except LedgerError as error:
                log.error("%s", error)
            else:
                for unique_id in old:
                    del state.grants[unique_id]
            await trio.sleep(SWEEP)


class _Asking:
    """A request for runners that is not answered yet; all who ask the same share it."""

    def __init__(self, selection: Selection, reservation: Reservation) -> None:
        self.selection = selection
        self.reservation = reservation
        self.grant = begun(selection, reservation)
        self.callers = 0
        self.begun = False
        self.short = False  # some were busy, and there are no others
        self.turn = trio.Event()
        self.done = trio.Event()
        self.runners: tuple[Runner, ...] = ()
        self.error: Exception | None = None
