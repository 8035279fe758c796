"""What people tell a scaler that runs: pause, drain, and what is done to one runner by hand."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal

import trio

from scaler.engine.byhand import ByHand
from scaler.errors import Refused, Unavailable
from scaler.ledger.ledger import LedgerError, Transaction
from scaler.model.orders import named, parted, place
from scaler.model.row import Retire
from scaler.records import Order, RoomState, RunnerState

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from scaler.engine.reconciler import Reconciler
    from scaler.engine.releasing import Releasing
    from scaler.engine.state import State
    from scaler.engine.steps import Steps
    from scaler.records import Runner

log = logging.getLogger("scaler.orders")

PATIENCE = 4.0  # seconds for the ledger, and as many for the next plan: who asked waits for both
ENDED = (RunnerState.BUSY, RunnerState.RESERVED, RunnerState.HELD)  # what --now ends
KNOWN = 20  # names that are told to whoever gave another


class Ambiguous(LookupError):
    """More than one thing has the name that was told."""


class Orders:
    """Takes orders, keeps them, and takes them back. `state.orders` is what holds.

    What holds back counts even where it cannot be written: that is when it is needed most. What
    lets go again must be written first.

    Attributes:
        unwritten: Orders that count, and that the ledger may not have; a restart may lose them.
    """

    def __init__(
        self,
        state: State,
        nursery: trio.Nursery,
        steps: Steps,
        releasing: Releasing,
        reconciler: Callable[[], Reconciler],
    ) -> None:
        self._state = state
        self._nursery = nursery
        self._reconciler = reconciler
        self._by_hand = ByHand(state, steps, releasing)
        self._lock = trio.Lock()
        self._stamp = 0
        self.unwritten: dict[tuple[str, str], int] = {}
        self._putting: dict[tuple[str, str], int] = {}

    # -- profiles

    async def pause(self, profiles: Sequence[str] | None, by: str) -> list[Order]:
        """Have profiles start no job; `None`: all. What works goes on.

        Answers the order of each, also of those that were paused already.

        Raises:
            LookupError: There is no such profile.
        """
        known = [each for each in self._state.profiles if each not in self._state.leaving_profiles]
        if profiles is not None:
            self._must_know(profiles, known)
        wanted = known if profiles is None else list(dict.fromkeys(profiles))
        return await self._give([self._order("pause", name, by) for name in wanted])

    async def resume(self, profiles: Sequence[str] | None, by: str) -> list[str]:
        """Take pauses back; `None`: all. Answers the names of those that were paused.

        Raises:
            LookupError: There is neither such a profile nor such an order.
            Unavailable: It could not be written: they are paused still.
        """
        state = self._state
        paused = [name for kind, name in state.orders if kind == "pause"]
        if profiles is None:
            profiles = paused
        else:
            self._must_know(profiles, [*state.profiles, *paused])
        taken = await self._take_back([("pause", name) for name in dict.fromkeys(profiles)], by)
        return [name for _, name in taken]

    def _must_know(self, names: Sequence[str], known: Collection[str]) -> None:
        for name in names:
            if name not in known:
                others = "; nothing was done with the others" if len(names) > 1 else ""
                raise LookupError(f"there is no profile {name!r}; {_there_are(known)}{others}")

    # -- rooms

    async def drain(self, room: str, by: str, *, now: bool = False) -> tuple[Order, list[Runner]]:
        """Have nothing new made in a room, and its spare runners go; what works goes on.

        Args:
            room: Its name, as `vm1` or `plugin/vm1`.
            by: Who says so, for people.
            now: End what works there, too, with its jobs.

        Returns:
            The order, and the runners that are ended with their jobs, reservations or what is kept
            of a failure.

        Raises:
            LookupError: There is no such room.
            Ambiguous: There is more than one.
        """
        name = self._found(room)
        (order,) = await self._give([self._order("drain", name, by)])
        if not now:
            return order, []
        ended = self._end_all(name, by)
        if ended and (trouble := await self._written(ended)):
            self._mark([("drain", name)])  # so that who gave it is told
            log.error("runners of %s end, and that is not written yet: %s", name, trouble)
        return order, ended

    async def _written(self, runners: Iterable[Runner]) -> str:
        """Make it durable that they end; why it is not."""
        transaction = Transaction()
        for runner in runners:
            if (row := self._state.rows.get(runner.id)) is not None:
                transaction.row(row)
        return await self._write(transaction)

    def _end_all(self, name: str, by: str) -> list[Runner]:
        state = self._state
        ended: list[Runner] = []
        for row in list(state.rows.values()):
            runner = row.runner
            going = runner.state is RunnerState.RETIRING and runner.job and not row.done
            if (runner.provisioner, runner.room) == parted(name) and (
                runner.state in ENDED or (going and not row.forced)
            ):
                ended.append(runner)
                reason = f"{_room(name)} is drained at once by {named(by)}"
                state.event(
                    f"{runner.name} is ended {_while(runner)}: {reason}",
                    profile=runner.profile,
                    runner=runner.id,
                    job=runner.job,
                    level=logging.WARNING,
                )
                state.apply(runner.id, Retire(reason, forced=True))
        return ended

    async def undrain(self, room: str, by: str) -> tuple[str, bool]:
        """Have a room take machines again.

        Returns:
            Which, as `plugin/room`, and whether it was drained.

        Raises:
            LookupError: There is neither such a room nor such an order.
            Ambiguous: There is more than one.
            Refused: Its plugin says by itself that it is draining.
            Unavailable: It could not be written: it is drained still.
        """
        drained = [name for kind, name in self._state.orders if kind == "drain"]
        name = self._found(room, drained)
        plugin, its = parted(name)
        for each in self._state.rooms.get(plugin) or ():
            if each.name == its and each.state is RoomState.DRAINING:
                raise Refused(
                    "drained-by-settings",
                    f"{_room(name)} is draining, says {plugin} by itself, and not by an order:"
                    f" see scaler why {name.rstrip('/')}",
                )
        return name, bool(await self._take_back([("drain", name)], by))

    def _found(self, room: str, also: Iterable[str] = ()) -> str:
        """What the room is called in an order; those that have not answered yet are known, too."""
        state = self._state
        places = dict.fromkeys(
            place(plugin, each.name)
            for plugin, answered in state.rooms.items()
            for each in answered or ()
        )
        places |= dict.fromkeys(
            place(row.runner.provisioner, row.runner.room)
            for row in state.rows.values()
            if row.runner.provisioner
        )
        places |= dict.fromkeys(also)
        if room in places:
            return room
        # (a provisioner that tells of no rooms has one without a name: it is called by its own)
        called = [name for name in places if parted(name)[1] == room or name == f"{room}/"]
        if len(called) == 1:
            return called[0]
        if called:
            raise Ambiguous(f"there is more than one host {room!r}: say {' or '.join(called)}")
        raise LookupError(f"there is no host {room!r}; {_there_are(map(_room, places))}")

    # -- runners

    async def release(self, runner: int | str, by: str) -> Runner:
        """Take a runner's reservation back, or let go of the machine of a failed job.

        Raises:
            LookupError: There is no such runner.
            Refused: It is neither reserved nor held.
            Unavailable: It could not be taken back in time.
        """
        return await self._by_hand.release(runner, by)

    async def destroy(self, runner: int | str, by: str, *, busy: bool = False) -> Runner:
        """Retire a runner, and say how far that has come after a while.

        Args:
            runner: Its id or name.
            by: Who says so, for people.
            busy: Also where it has a job, which ends.

        Raises:
            LookupError: There is no such runner.
            Busy: It has a job, and goes on.
        """
        return await self._by_hand.destroy(runner, by, busy=busy)

    # -- giving and taking back

    def _order(self, kind: Literal["pause", "drain"], name: str, by: str) -> Order:
        since, by = self._state.clock.wall(), named(by, "")
        return Order(kind=kind, name=name, since=since, by=by)

    async def _give(self, orders: list[Order]) -> list[Order]:
        """Write them, then go by them: also where they could not be written."""
        state = self._state
        async with self._lock:
            new = [each for each in orders if (each.kind, each.name) not in state.orders]
            transaction = Transaction()
            for each in new:
                transaction.order(each.kind, each.name, each)
            trouble = await self._write(transaction) if new else ""
            for each in new:
                state.orders[each.kind, each.name] = each
                self._tell(each)
            if trouble:
                self._mark((each.kind, each.name) for each in new)
                log.error("orders count, and are not written yet: %s", trouble)
        await self._acted()
        return [state.orders.get((each.kind, each.name), each) for each in orders]

    def _tell(self, order: Order) -> None:
        by = named(order.by)
        if order.kind == "pause":
            self._state.event(f"{order.name} is paused by {by}", profile=order.name)
        else:
            self._state.event(f"{_room(order.name)} is drained by {by}")

    async def _take_back(self, keys: list[tuple[str, str]], by: str) -> list[tuple[str, str]]:
        """Write that they hold no more, and only then let go; those that held."""
        state = self._state
        async with self._lock:
            held = [key for key in keys if key in state.orders]
            transaction = Transaction()
            for kind, name in held:
                transaction.order(kind, name, None)
            if held and (trouble := await self._write(transaction)):
                self._mark(held)  # it is not known what the ledger has now
                raise Unavailable(f"it holds still, since that cannot be written: {trouble}", 1.0)
            for key in held:
                del state.orders[key]
                self.unwritten.pop(key, None)
                kind, name = key
                if kind == "pause":
                    state.event(f"{name} is resumed by {named(by)}", profile=name)
                else:
                    state.event(f"{_room(name)} takes machines again, says {named(by)}")
        await self._acted()
        return held

    async def _write(self, transaction: Transaction) -> str:
        """Make it durable; why it is not, or may not be.

        Whoever asked may be gone meanwhile, and the disk may hang: neither may part what is written
        from what is gone by.
        """
        trouble: list[str] = []
        done = trio.Event()

        async def write() -> None:
            try:
                await self._state.keep(transaction=transaction)
            except LedgerError as error:
                trouble.append(str(error))
            else:
                trouble.append("")
            done.set()

        self._nursery.start_soon(write, name="write orders")
        with trio.CancelScope(shield=True, deadline=trio.current_time() + PATIENCE):
            await done.wait()
        return trouble[0] if trouble else f"the ledger took more than {PATIENCE:g} s"

    def _mark(self, keys: Iterable[tuple[str, str]]) -> None:
        for key in keys:
            self._stamp += 1
            self.unwritten[key] = self._stamp

    async def _acted(self) -> None:
        """Let a plan be made that goes by it; what is promised falls at once."""
        state = self._state
        state.plan_changed()
        state.changed()
        with trio.move_on_after(PATIENCE):
            await self._reconciler().planned()

    # -- the reconciler's side

    def look(self, transaction: Transaction) -> None:
        """Put into the transaction what the ledger may not have."""
        self._putting = {}
        if self._lock.locked():
            return  # it is just being written, or taken back
        for kind, name in self.unwritten:
            transaction.order(kind, name, self._state.orders.get((kind, name)))
        self._putting = dict(self.unwritten)

    def written(self) -> None:
        """The transaction that was looked at last is in the ledger."""
        for key, stamp in self._putting.items():
            if self.unwritten.get(key) == stamp:
                del self.unwritten[key]


def _room(name: str) -> str:
    """A room for people: by its own name, or by its provisioner's where it has none."""
    plugin, room = parted(name)
    return room or plugin


def _while(runner: Runner) -> str:
    if runner.state is RunnerState.RESERVED:
        return "while it is reserved"
    if runner.state is RunnerState.HELD:
        return "while it is held"
    return f"with its job {runner.job}" if runner.job else "with its job"


def _there_are(names: Iterable[str]) -> str:
    known = list(dict.fromkeys(names))
    if not known:
        return "there is none yet"
    more = f" and {len(known) - KNOWN} more" if len(known) > KNOWN else ""
    return f"there are: {', '.join(known[:KNOWN])}{more}"
