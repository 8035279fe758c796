"""What is done to one runner at a time: make it, or retire it. One task a runner, never two."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from scaler.errors import Busy, HookFault, Outcome, Unavailable
from scaler.hooks import SPEC
from scaler.ledger.ledger import LedgerError
from scaler.model.lifecycle import ASK_AGAIN
from scaler.model.row import Destroyed, Provisioned, Refused, Registered, Retire, Row, Unregistered
from scaler.records import RunnerState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from scaler.engine.endings import Endings
    from scaler.engine.state import State

log = logging.getLogger("scaler.steps")

LONGEST = 60.0  # seconds between two tries, at most
# While runners are being made, those that are to be retired wait for so many seconds at most: jobs
# that wait for a runner come first
WAIT = 2.0


class Steps:
    """The tasks of runners. `nursery` is the engine's own."""

    def __init__(self, state: State, nursery: trio.Nursery, endings: Endings) -> None:
        self._state = state
        self._endings = endings
        self._nursery = nursery
        self._making: dict[int, trio.CancelScope] = {}
        self._retiring: set[int] = set()
        self._line: dict[int, float] = {}  # who is to be retired when there is time, since when
        self._tries: dict[int, int] = {}
        # of whom no machine was asked for; of what a run before this one did nothing is known
        self._bare: set[int] = set()
        self.retry_at: dict[int, float] = {}
        self.troubles: dict[int, str] = {}  # why a runner that is retired is not gone yet
        # how often a source was asked to unregister it: what a run before this one did is not known
        self._asked = {i: 1 for i in state.leaving if not state.rows[i].unregistered}

    def is_making(self, runner_id: int) -> bool:
        """Whether this runner is being registered or provisioned right now."""
        return runner_id in self._making

    def may_have_removed(self, runner_id: int) -> bool:
        """Whether its registration may be gone because it was unregistered from here.

        A source that is asked for the first time looks before it removes, and can tell.
        """
        first = 1 if runner_id in self._retiring else 0
        return self._asked.get(runner_id, 0) > first

    def claim(self, runner_id: int) -> None:
        """This runner is about to be made, as soon as its row is durable."""
        self._making[runner_id] = trio.CancelScope()
        self._bare.add(runner_id)

    def unclaim(self, runner_id: int) -> None:
        """It will not be made after all."""
        del self._making[runner_id]
        self._bare.discard(runner_id)

    def make(self, runner_id: int) -> None:
        """Begin to register and provision a runner that was claimed and whose row is durable."""
        scope = self._making[runner_id]
        self._nursery.start_soon(self._make, runner_id, scope, name=f"make runner {runner_id}")

    def retire(self, row: Row) -> None:
        """Begin (or go on, when it is time) to unregister and destroy a retiring runner."""
        runner_id = row.runner.id
        making = self._making.get(runner_id)
        if making is not None:
            making.cancel()  # its outcome is unknown then, and made good by what follows
            return
        if runner_id in self._retiring:
            return
        if self.retry_at.get(runner_id, 0.0) > self._state.clock.now():
            return
        self.retry_at.pop(runner_id, None)
        self._line.setdefault(runner_id, self._state.clock.now())
        self._next()

    def _next(self) -> None:
        """Begin with those in line, as far as there is time for them.

        Where the plan wants more than it may make, what is retired makes room for it: no waiting.
        """
        if self._nursery.cancel_scope.cancel_called:
            return
        rush = bool(self._making) and not self._state.plan.short
        latest = self._state.clock.now() - WAIT
        while self._line:
            runner_id, since = next(iter(self._line.items()))
            if rush and since > latest:
                return
            del self._line[runner_id]
            self._retiring.add(runner_id)
            self._nursery.start_soon(self._retire, runner_id, name=f"retire runner {runner_id}")

    def wake(self) -> float | None:
        """When the next retry is due, or who is in line has waited long enough."""
        times = list(self.retry_at.values())
        times += [since + WAIT for since in list(self._line.values())[:1]]
        return min(times, default=None)

    async def settled(self) -> None:
        """Wait until no runner is being made."""
        while self._making:
            await self._state.news.wait()

    def abandon(self) -> None:
        """Break off everything that is being made."""
        for scope in self._making.values():
            scope.cancel()

    # -- make

    async def _make(self, runner_id: int, scope: trio.CancelScope) -> None:
        try:
            with scope:
                await self._register_and_provision(runner_id)
        except (Outcome, HookFault, LedgerError) as error:
            text = str(error) or type(error).__name__
            self._state.start_failed(self._state.rows[runner_id], text, error)
            row = self._state.apply(runner_id, Retire(f"it could not be made: {text}", failed=True))
            if runner_id in self._bare and row and row.runner.registration is None:
                # it takes no room, however long the source does not answer
                self._state.apply(runner_id, Destroyed())
        finally:
            del self._making[runner_id]
            if not self._making:
                self._next()
            self._state.changed()

    async def _register_and_provision(self, runner_id: int) -> None:
        state = self._state
        row = state.rows[runner_id]
        registration = await state.hooks.route(
            row.runner.source, None, SPEC.register_runner, runner=row.runner
        )
        row = self._apply(runner_id, Registered(registration))
        await state.keep(row)
        if row.runner.state is RunnerState.RETIRING or state.stopping:
            return
        if registration.expires is not None and registration.expires <= state.clock.wall():
            text = "its config has expired"
            state.start_failed(row, text)  # of the profile alone: no room is to blame
            state.apply(runner_id, Retire(text, failed=True))
            return
        profile = state.profiles.get(row.runner.profile)  # it may be gone meanwhile
        self._bare.discard(runner_id)
        machine = await state.hooks.route(
            row.runner.provisioner,
            row.start_timeout if profile is None else row.patience(profile),
            SPEC.provision_runner,
            runner=row.runner,
            registration=registration,
        )
        # Not waited for: a crash finds the machine by its list, and the next look writes the row
        self._apply(runner_id, Provisioned(machine))

    def _apply(self, runner_id: int, fact: Registered | Provisioned) -> Row:
        row = self._state.apply(runner_id, fact)
        assert row is not None, "a row stays while its runner is being made"
        return row

    # -- retire

    async def _retire(self, runner_id: int) -> None:
        state = self._state
        self.retry_at.pop(runner_id, None)
        try:
            await self._unregister_and_destroy(runner_id)
        except (Outcome, HookFault, LedgerError) as error:
            tries = self._tries.get(runner_id, 0)
            self._tries[runner_id] = tries + 1
            wait = ASK_AGAIN if isinstance(error, Busy) else min(LONGEST, 2.0**tries)
            if isinstance(error, Unavailable) and error.retry_after is not None:
                wait = max(wait, error.retry_after)
            self.retry_at[runner_id] = state.clock.now() + wait
            self.troubles[runner_id] = str(error) or type(error).__name__
            log.warning(
                "retiring runner %d: %s; again in %g s",
                runner_id,
                error,
                wait,
                extra={"runner": runner_id},
            )
        finally:
            self._retiring.discard(runner_id)
            self._next()
            state.changed()

    async def _unregister_and_destroy(self, runner_id: int) -> None:
        state = self._state
        row = state.rows[runner_id]
        busy: Busy | None = None
        if not row.unregistered:
            self._asked[runner_id] = self._asked.get(runner_id, 0) + 1
            try:
                await self._ask(row.runner.source, SPEC.unregister_runner, row)
            except Busy as said:
                del self._asked[runner_id]  # it is there, for certain
                row = state.apply(runner_id, Refused()) or row
                await self._note(row)
                if row.runner.state is not RunnerState.RETIRING:
                    self._tries.pop(runner_id, None)
                    self.troubles.pop(runner_id, None)
                    return
                busy = said  # stopped, or too old: its machine goes all the same
            else:
                row = state.apply(runner_id, Unregistered()) or row
                await self._note(row)
                if row.runner.state is not RunnerState.RETIRING:  # its job's result may come yet
                    self._tries.pop(runner_id, None)
                    return
        if not row.destroyed:
            await self._endings.keep(row)
            row = state.rows[runner_id]
            if row.runner.machine is not None or runner_id not in self._bare:
                await self._ask(row.runner.provisioner, SPEC.destroy_runner, row)
            row = state.apply(runner_id, Destroyed()) or row
        if busy is not None:
            await self._note(row)
            raise busy
        await state.keep(row)
        self._tries.pop(runner_id, None)
        self.troubles.pop(runner_id, None)
        self._asked.pop(runner_id, None)
        self._bare.discard(runner_id)
        state.drop(row)

    async def _ask(self, plugin: str, hook: Callable[..., Awaitable[None]], row: Row) -> None:
        """Ask the plugin that the row names; a row without one has nothing there."""
        if plugin:
            await self._state.hooks.route(plugin, None, hook, runner=row.runner)

    async def _note(self, row: Row) -> None:
        """Keep a row where possible: a full disk must not stop machines from being destroyed."""
        try:
            await self._state.keep(row)
        except LedgerError as error:
            log.error("%s", error, extra={"runner": row.runner.id})
