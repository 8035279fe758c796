"""The engine as plugins reach it through Context, and as the app runs it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import trio

from scaler.engine.endings import Endings
from scaler.engine.evidence import Evidence
from scaler.engine.guests import Guests
from scaler.engine.intake import Intake
from scaler.engine.orders import Orders
from scaler.engine.overrides import Overrides
from scaler.engine.panels import Panels
from scaler.engine.pictures import Pictures
from scaler.engine.reconciler import Reconciler
from scaler.engine.reserving import Reserving
from scaler.engine.steps import Steps
from scaler.engine.survey import Survey
from scaler.engine.view import build
from scaler.errors import Unavailable
from scaler.hiding import hidden
from scaler.ledger.ledger import LedgerError, Transaction
from scaler.model.row import Provisioned, Removed, Retire, Seen
from scaler.records import (
    Kept,
    Machine,
    Message,
    Panel,
    Picture,
    Registration,
    Report,
    Reservation,
    Runner,
    RunnerState,
    Selection,
    SelectionRequest,
    View,
)
from scaler.sound import unsound, unsound_report

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler.context import Guest
    from scaler.engine.state import State
    from scaler.evidence.files import Files
    from scaler.model.row import Row

log = logging.getLogger("scaler")

VIEWS = 0.1  # seconds between two views for one watcher, at least


class Engine:
    """Everything between the hooks and the ledger.

    Args:
        state: The world as the ledger remembers it.
        tick: Seconds between two looks at everything.
        nursery: Where the tasks of runners live.
        override: The policy override that an earlier run left in the ledger.
        files: Where evidence is kept; None: nowhere.
        hide: Puts `***` in place of the settings' secrets.

    Attributes:
        tick: Seconds between two looks at everything; what is set counts from the next on.
    """

    def __init__(
        self,
        state: State,
        tick: float,
        nursery: trio.Nursery,
        override: Any = None,
        *,
        files: Files | None = None,
        hide: Callable[[str], str] = str,
    ) -> None:
        self.state = state
        self.tick = tick
        self._hide = hide
        self.evidence = Evidence(state, files)
        self.pictures = Pictures(state, self.evidence)
        self.steps = Steps(state, nursery, Endings(state, self.evidence, self.pictures, hide))
        self.intake = Intake(state)
        self.survey = Survey(state, self.steps, lambda: self.tick)
        self.overrides = Overrides(state, override)
        self.reserving = Reserving(state, nursery)
        self.orders = Orders(
            state, nursery, self.steps, self.reserving.releasing, lambda: self.reconciler
        )
        self.reconciler = Reconciler(
            *(state, self.steps, self.intake, self.overrides, self.orders, lambda: self.tick)
        )
        self.guests = Guests(state)
        self.board = Panels(state, self.view, hide)
        self._siblings: dict[str, dict[type[Any], Any]] = {}
        self._kin: dict[str, set[str]] = {}
        self._view: View | None = None

    # -- Context's side

    async def deliver(self, plugin: str, message: Message) -> None:
        """See `Context.deliver`."""
        if trouble := unsound(message):
            raise TypeError(trouble)
        profile = self.state.profiles.get(message.profile or "")
        if profile is not None and profile.source not in self._kin.get(plugin, {plugin}):
            raise LookupError(f"profile {profile.name} is of {profile.source}, not of {plugin}")
        try:
            await self.intake.deliver(plugin, message)
        except LedgerError as error:
            raise Unavailable(str(error), 1.0) from error

    async def load(self, plugin: str, key: str) -> Any:
        """See `Context.load`."""
        await trio.lowlevel.checkpoint()
        return self.state.facts.get((plugin, key))

    async def save(self, plugin: str, key: str, value: Any) -> None:
        """See `Context.save`."""
        transaction = Transaction()
        transaction.fact(plugin, key, value)
        try:
            await self.state.ledger.write(transaction)
        except LedgerError as error:
            raise Unavailable(str(error), 1.0) from error
        self.state.facts[plugin, key] = value

    def report(
        self, plugin: str, text: str, ok: bool, profile: str, facts: Mapping[str, Any]
    ) -> None:
        """See `Context.report`. What changes between well and not well is also logged."""
        if trouble := unsound_report(text, profile, facts):
            raise TypeError(trouble)
        if profile and profile not in self.state.profiles:
            return  # it has left: a late word of it would stand there for ever
        text, facts = self._hide(text), hidden(facts, self._hide)
        before = self.state.reports.get((plugin, profile))
        if before is None or before.ok != ok:
            level = logging.INFO if ok else logging.WARNING
            where = f"{plugin} ({profile})" if profile else plugin
            extra = {"plugin": plugin, "profile": profile}
            log.log(level, "%s: %s", where, text, extra=extra)
        self.state.reports[plugin, profile] = Report(
            plugin=plugin,
            profile=profile,
            ok=bool(ok),
            text=text,
            time=self.state.clock.wall(),
            facts=facts,
        )
        self.state.shown()

    def fault(self, plugin: str, hook: str, text: str) -> None:
        """A plugin broke its contract: shown beside its own lines until it works again."""
        self.state.faults[plugin, hook] = Report(
            plugin=plugin,
            profile="",
            ok=False,
            text=self._hide(f"{hook}: {text}"),
            time=self.state.clock.wall(),
        )
        self.state.shown()

    def recovered(self, plugin: str, hook: str) -> None:
        """What had failed works again."""
        if self.state.faults.pop((plugin, hook), None) is not None:
            self.state.shown()

    def match(self, labels: tuple[str, ...]) -> str | None:
        """See `Context.match`."""
        return self.intake.match(labels)

    def ceiling(self, profile: str) -> int:
        """See `Context.ceiling`."""
        if self.state.stopping or self.state.shut(profile):
            return 0
        return self.state.plan.ceilings.get(profile, 0)

    async def ceiling_changed(self, profile: str, seen: int) -> int:
        """See `Context.ceiling_changed`."""
        while (ceiling := self.ceiling(profile)) == seen:
            await self.state.planned.wait()
        return ceiling

    def registration_changed(self, plugin: str, registration: Registration) -> None:
        """See `Context.registration_changed`."""
        if trouble := unsound(registration):
            raise TypeError(trouble)
        row = self.state.by_name(registration.name)
        if row is not None and row.runner.source == plugin:
            removed = registration.gone and not self.steps.may_have_removed(row.runner.id)
            self.state.apply(row.runner.id, Removed() if removed else Seen(registration))

    def machine_changed(self, plugin: str, machine: Machine) -> None:
        """See `Context.machine_changed`."""
        runs = isinstance(machine, Machine) and machine.state == "running"
        if runs and machine.runner is not None and self.steps.is_making(machine.runner):
            return  # provision_runner is about to say so itself
        if trouble := unsound(machine):
            raise TypeError(trouble)
        if machine.runner is None:
            self.survey.building.told(plugin, machine)
            return
        row = self.state.rows.get(machine.runner)
        if row is None:
            if machine.state == "running":
                self.survey.ask()  # something of ours that has no row, perhaps any more
        elif row.runner.provisioner == plugin:
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

    async def select(self, request: SelectionRequest) -> Selection:
        """See `Context.select`."""
        return await self.reserving.select(request)

    async def take(
        self, selection: Selection, reservation: Reservation, wait: float
    ) -> tuple[Runner, ...]:
        """See `Context.take`."""
        return await self.reserving.take(selection, reservation, wait)

    def guest(self, address: str, secret: str | None) -> Guest:
        """See `Context.guest`."""
        return self.guests.find(address, secret)

    async def override(self, counts: Mapping[str, int] | None, by: str) -> Mapping[str, int] | None:
        """See `Context.override`."""
        if counts is None:
            return await self.overrides.end(by)
        return await self.overrides.begin(counts, by)

    async def screenshot(self, machine: Machine) -> Picture:
        """See `Context.screenshot`."""
        return await self.pictures.take(machine)

    def picture(self, subject: int | str) -> Picture | None:
        """See `Context.picture`."""
        return self.pictures.last(subject)

    async def panels(self) -> Mapping[str, Panel | None]:
        """See `Context.panels`."""
        return await self.board.ask()

    async def keep(self, subject: int | str, name: str, data: bytes) -> bool:
        """See `Context.keep`."""
        return await self.evidence.keep(subject, name, data)

    def kept(self, subject: int | str) -> tuple[Kept, ...]:
        """See `Context.kept`."""
        return self.evidence.kept(subject)

    async def read_kept(self, subject: int | str, name: str) -> bytes | None:
        """See `Context.evidence`."""
        return await self.evidence.read(subject, name)

    def introduce(
        self, siblings: dict[str, dict[type[Any], Any]], kin: dict[str, set[str]]
    ) -> None:
        """Say which plugins are of one distribution: their instances by class, and their names."""
        self._siblings = siblings
        self._kin = kin

    # -- the app's side

    def stop(self) -> None:
        """Stage one: ceilings fall to 0 and nothing new is planned."""
        self.state.stopping = True
        self.state.changed()
        self.state.plan_changed()

    async def wind_down(self, patience: float) -> None:
        """Let what is being made finish, then unregister every runner that has no machine.

        Args:
            patience: Seconds after which what is still being made is broken off.
        """
        with trio.move_on_after(patience):
            await self.steps.settled()
        self.steps.abandon()
        await self.steps.settled()
        for row in list(self.state.rows.values()):
            if row.runner.state in (RunnerState.PLANNED, RunnerState.REGISTERED):
                self.state.apply(row.runner.id, Retire("stopping, and it has no machine yet"))
        while any(_unborn(row) for row in self.state.rows.values()):
            await self.state.news.wait()
        await self.evidence.write_stories()

    async def remember(self) -> None:
        """Write what is only in memory, at the very end."""
        transaction = Transaction()
        self.state.stamp(transaction)
        await self.state.keep(*self.state.unkept(), transaction=transaction)


def _unborn(row: Row) -> bool:
    """Whether it is on its way out without ever having had a machine."""
    return row.runner.machine is None and row.runner.state in (
        RunnerState.RETIRING,
        RunnerState.GONE,
    )
