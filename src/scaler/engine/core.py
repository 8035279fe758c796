"""The engine as plugins reach it through Context, and as the app runs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import trio

from scaler.engine.intake import Intake
from scaler.engine.reconciler import Reconciler
from scaler.engine.steps import Steps
from scaler.engine.survey import Survey
from scaler.engine.view import build
from scaler.ledger.ledger import Transaction
from scaler.model.lifecycle import Provisioned, Retire, Seen
from scaler.records import Machine, Message, Registration, Report, RunnerState, View

if TYPE_CHECKING:
    from scaler.engine.state import State

VIEWS = 0.1  # seconds between two views for one watcher, at least


class Engine:
    """Everything between the hooks and the ledger.

    Args:
        state: The world as the ledger remembers it.
        tick: Seconds between two looks at everything.
        nursery: Where the tasks of runners live.
        facts: What plugins have saved, by plugin and key.
    """

    def __init__(
        self,
        state: State,
        tick: float,
        nursery: trio.Nursery,
        facts: dict[tuple[str, str], Any],
    ) -> None:
        self.state = state
        self.steps = Steps(state, nursery)
        self.intake = Intake(state)
        self.survey = Survey(state, self.steps, tick)
        self.reconciler = Reconciler(state, self.steps, self.intake, tick)
        self._facts = facts
        self._siblings: dict[str, dict[type[Any], Any]] = {}
        self._view: View | None = None

    # -- Context's side

    async def deliver(self, plugin: str, message: Message) -> None:
        """See `Context.deliver`."""
        await self.intake.deliver(plugin, message)
        if message.cursor is not None and message.profile is not None:
            self._facts[plugin, f"cursor/{message.profile}"] = message.cursor

    async def load(self, plugin: str, key: str) -> Any:
        """See `Context.load`."""
        await trio.lowlevel.checkpoint()
        return self._facts.get((plugin, key))

    async def save(self, plugin: str, key: str, value: Any) -> None:
        """See `Context.save`."""
        transaction = Transaction()
        transaction.fact(plugin, key, value)
        await self.state.ledger.write(transaction)
        self._facts[plugin, key] = value

    def report(
        self, plugin: str, text: str, ok: bool, profile: str, facts: Mapping[str, Any]
    ) -> None:
        """See `Context.report`."""
        self.state.reports[plugin, profile] = Report(
            plugin=plugin,
            profile=profile,
            ok=ok,
            text=text,
            time=self.state.clock.wall(),
            facts=dict(facts),
        )
        self.state.shown()

    def match(self, labels: tuple[str, ...]) -> str | None:
        """See `Context.match`."""
        return self.intake.match(labels)

    def ceiling(self, profile: str) -> int:
        """See `Context.ceiling`."""
        return 0 if self.state.stopping else self.state.plan.ceilings.get(profile, 0)

    async def ceiling_changed(self, profile: str, seen: int) -> int:
        """See `Context.ceiling_changed`."""
        while (ceiling := self.ceiling(profile)) == seen:
            await self.state.planned.wait()
        return ceiling

    def registration_changed(self, plugin: str, registration: Registration) -> None:
        """See `Context.registration_changed`."""
        row = self.state.by_name(registration.name)
        if row is not None and row.runner.source == plugin:
            self.state.apply(row.runner.id, Seen(registration))

    def machine_changed(self, plugin: str, machine: Machine) -> None:
        """See `Context.machine_changed`."""
        row = self.state.rows.get(machine.runner) if machine.runner is not None else None
        if row is None:
            strange = machine.runner is not None and machine.runner not in self.state.gone
            if strange and machine.state == "running":
                self.survey.ask()  # something of ours that has no row
        elif row.runner.provisioner == plugin:
            if machine.state == "running" and self.steps.is_making(row.runner.id):
                return  # provision_runner is about to say so itself
            self.state.apply(row.runner.id, Provisioned(machine))

    def capacity_changed(self, plugin: str) -> None:
        """See `Context.capacity_changed`."""
        del plugin
        self.survey.ask_rooms()

    def view(self) -> View:
        """See `Context.view`."""
        if self._view is None or self._view.version != self.state.version:
            self._view = build(self.state)
        return self._view

    async def next_view(self, after: View) -> View:
        """See `Context.next_view`."""
        await trio.sleep(VIEWS)
        while self.state.version == after.version:
            await self.state.watched.wait()
        return self.view()

    def sibling(self, plugin: str, cls: type[Any]) -> Any:
        """See `Context.plugin`."""
        try:
            return self._siblings[plugin][cls]
        except KeyError:
            raise LookupError(
                f"{plugin} needs {cls.__name__}, which is not enabled or not of its distribution"
            ) from None

    def introduce(self, siblings: dict[str, dict[type[Any], Any]]) -> None:
        """Say which plugins may reach which, by name and class."""
        self._siblings = siblings

    # -- the app's side

    def stop(self) -> None:
        """Stage one: ceilings fall to 0 and nothing new is planned."""
        self.state.stopping = True
        self.state.changed()
        self.state.plan_changed()

    async def wind_down(self) -> None:
        """Let what is being made finish, then unregister every runner that has no machine."""
        await self.steps.settled()
        waiting = [
            row.runner.id
            for row in self.state.rows.values()
            if row.runner.state in (RunnerState.PLANNED, RunnerState.REGISTERED)
        ]
        for runner_id in waiting:
            self.state.apply(runner_id, Retire("stopping, and it has no machine yet"))
        while any(runner_id in self.state.rows for runner_id in waiting):
            await self.state.news.wait()

    async def remember(self) -> None:
        """Write what is only in memory, at the very end."""
        await self.state.keep(*self.state.unkept())
