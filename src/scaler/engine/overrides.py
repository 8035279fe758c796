"""The policy override: asked for, kept, ended. At most one is active."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from scaler.errors import Refused, Unavailable
from scaler.ledger.ledger import LedgerError, Transaction
from scaler.model import orders, override
from scaler.model.override import Active, Ended

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler.engine.state import State

META = "override"  # its key in the ledger
LONGEST = 60.0  # seconds for the ledger; it gives up by itself before that


class Overrides:
    """Begins and ends the override; `state.override` is what is active."""

    def __init__(self, state: State, left: Any = None) -> None:
        """`left`: what an earlier run had in the ledger, or None."""
        self._state = state
        self._lock = trio.Lock()
        self._kept: Active | None = None  # what the ledger has
        self._sure = True  # that it has that
        self._put: Active | None = None  # what the reconciler's transaction makes of it
        self._putting = False  # whether that transaction is the last word
        if left is not None:
            self._resume(left)

    def _resume(self, left: Any) -> None:
        self._sure = False  # until it is seen to be what goes on
        try:
            found: Active | Ended = msgspec.convert(left, Active)
        except msgspec.ValidationError as error:
            found = Ended(f"what the ledger holds of it cannot be read: {error}")
        if isinstance(found, Active):
            found = override.resumed(found, self._state.profiles, self._state.clock.wall())
        if isinstance(found, Active):
            self._kept = self._state.override = found
            self._sure = True
        else:
            self._state.event(
                f"the override that was active has ended: {found.reason}", level=logging.WARNING
            )

    async def begin(self, counts: Mapping[str, int], by: str) -> Mapping[str, int]:
        """See `Context.override`."""
        state = self._state
        async with self._lock:
            if state.override is not None:
                since = state.clock.wall() - state.override.since
                raise Refused(
                    "override-active",
                    f"an override is active since {since:.0f} s, begun by"
                    f" {orders.named(state.override.by)}; end it first",
                )
            if state.stopping:
                raise Unavailable("this scaler is stopping")
            active = override.begin(
                counts,
                profiles=state.profiles,
                rows=state.rows.values(),
                rooms=orders.applied(state.rooms, orders.drained(state.orders)),
                paused=[name for name in state.profiles if state.shut(name)],
                first=state.next_id,
                now=state.clock.now(),
                wall=state.clock.wall(),
                by=by,
            )
            await self._keep(active)
            added = ", ".join(f"{name} {count}" for name, count in active.counts.items())
            targets = ", ".join(f"{name} {count}" for name, count in active.targets.items())
            state.event(
                f"override begun by {orders.named(by)}: {added} are added; targets are {targets}"
            )
            return active.counts

    async def end(self, by: str) -> Mapping[str, int] | None:
        """See `Context.override`."""
        async with self._lock:
            active = self._state.override
            if active is None:
                return None
            await self._keep(None)
            self._state.event(f"override ended by {orders.named(by)}")
            return active.counts

    async def _keep(self, active: Active | None) -> None:
        """Make it durable, and only then so.

        Also where whoever asked is gone meanwhile: broken off between the ledger and what is so
        here, it would be begun by the one and ended by the other. That ends in time by itself.
        """
        transaction = Transaction()
        transaction.meta(META, active)
        self._sure = self._putting = False
        try:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + LONGEST) as patience:
                await self._state.keep(transaction=transaction)
        except LedgerError as error:
            raise Unavailable(str(error), 1.0) from error
        if patience.cancelled_caught:
            raise Unavailable(f"the ledger took more than {LONGEST:g} s", 1.0)
        self._kept = self._state.override = active
        self._sure = True
        self._state.changed()

    # -- the reconciler's side

    def look(self, transaction: Transaction) -> None:
        """See what has come of it; what the ledger does not know goes into the transaction."""
        state = self._state
        self._putting = not self._lock.locked()
        if not self._putting:
            return  # it is just being written
        if state.override is not None:
            after = override.step(state.override, state.rows.values(), state.clock.now())
            if isinstance(after, Ended):
                by = orders.named(state.override.by)
                state.event(f"override begun by {by} has ended: {after.reason}")
                state.override = None
                state.changed()
            else:
                state.override = after
        self._put = state.override
        if not self._sure or self._kept is not self._put:
            transaction.meta(META, self._put)

    def written(self) -> None:
        """The transaction that was looked at last is in the ledger."""
        if self._putting:
            self._kept, self._sure = self._put, True
