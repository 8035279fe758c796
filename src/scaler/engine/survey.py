"""Asking everyone what there is, and folding the answers in. A failure changes nothing."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import trio

from scaler.engine.building import Building
from scaler.errors import Outcome
from scaler.hooks import SPEC
from scaler.model.names import parse_runner_name
from scaler.model.row import Provisioned, Retire, Row, Seen, Unlisted, Unseen
from scaler.records import Machine, Profile, Registration, Room, RunnerState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from scaler.dispatch.dispatcher import Gathered
    from scaler.engine.state import State
    from scaler.engine.steps import Steps

log = logging.getLogger("scaler.survey")

SOON = 1.0  # seconds until a survey that was incomplete is done again, doubling up to the tick

TURN = 200  # rows that are looked at until others have their turn

STRAYS = 10.0  # seconds after the start in which half-made runners wait for complete lists

LARGEST_ID = 10**15  # ids go on above what is found: a larger one was made up by someone


class Survey:
    """Registrations, machines and rooms, at start, on every tick and when asked.

    Attributes:
        building: Of the machines those that make images.
    """

    def __init__(self, state: State, steps: Steps, tick: Callable[[], float]) -> None:
        self._state = state
        self._steps = steps
        self._tick = tick
        self.building = Building(state)
        self._asked = trio.Event()
        self._rooms_asked = trio.Event()
        self._rooms_lock = trio.Lock()
        self._complete = {"registrations": False, "machines": False}
        self._registered: set[int] = set()  # the runners in the last list of registrations
        self._failing: dict[tuple[str, str], int] = {}  # how often in a row
        self._patient_until = state.clock.now() + STRAYS

    def ask(self) -> None:
        """Have everything looked at soon."""
        self._asked.set()

    def ask_rooms(self) -> None:
        """Have the rooms looked at soon."""
        self._rooms_asked.set()

    async def run(self) -> None:
        """Survey for ever."""
        wait = SOON
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._run_rooms, name="rooms")
            nursery.start_soon(self._lose_patience, name="strays")
            while not self._state.stopping:
                with trio.move_on_after(wait):
                    await self._asked.wait()
                self._asked = trio.Event()
                complete = await self.once()
                wait = self._tick() if complete else min(self._tick(), max(SOON, wait * 2))

    async def once(self) -> bool:
        """Survey now; whether every answer was complete."""
        results: list[bool] = []

        async def part(function: Any) -> None:
            results.append(await function())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(part, self._registrations, name="list_registrations")
            nursery.start_soon(part, self._machines, name="list_machines")
            nursery.start_soon(part, self.rooms, name="capacity")
        self._settle_strays()
        if all(self._complete.values()) and not self._state.ids_known:
            self._state.ids_known = True
            self._state.changed()
        return all(results)

    async def _run_rooms(self) -> None:
        while True:
            await self._rooms_asked.wait()
            self._rooms_asked = trio.Event()
            await self.rooms()

    async def _lose_patience(self) -> None:
        await trio.sleep_until(self._state.clock.deadline(self._patient_until))
        self._settle_strays()

    # -- rooms

    async def rooms(self) -> bool:
        """Ask for the rooms; a provisioner that does not tell has one without bounds."""
        async with self._rooms_lock:  # an older answer must not come after a newer one
            return await self._look_at_rooms()

    async def _look_at_rooms(self) -> bool:
        state = self._state
        gathered = await state.hooks.gather(SPEC.capacity)
        tellers = state.hooks.implementers(SPEC.capacity)
        before = dict(state.rooms)
        for plugin in state.hooks.implementers(SPEC.provision_runner):
            if plugin not in tellers:
                state.rooms[plugin] = (Room(name=""),)
            elif plugin in gathered.answers:
                # (copies: who made them may go on to count in its own)
                state.rooms[plugin] = tuple(
                    replace(room, total=dict(room.total), refuses=dict(room.refuses))
                    for room in gathered.answers[plugin]
                )
        if state.rooms != before:
            state.changed()
        return not gathered.failures

    # -- registrations

    async def _registrations(self) -> bool:
        state = self._state
        began = state.clock.now()
        gathered = await state.hooks.gather(SPEC.list_registrations)
        names = [each.name for listed in gathered.answers.values() for each in listed]
        parsed = [parse_runner_name(name, state.scaler) for name in names]
        self._registered = {each[1] for each in parsed if each}
        for plugin, listed in gathered.answers.items():
            await self._fold_registrations(plugin, listed, began)
        for plugin, listed in gathered.partial.items():
            await self._fold_registrations(plugin, listed, began, whole=False)
        self._complete["registrations"] = not gathered.failures
        self._note("list_registrations", gathered)
        return not gathered.failures

    async def _fold_registrations(
        self, plugin: str, listed: list[Registration], began: float, *, whole: bool = True
    ) -> None:
        state = self._state
        by_name = {registration.name: registration for registration in listed}
        async for row in self._rows():
            registration = by_name.pop(row.runner.name, None)
            if row.runner.source != plugin or row.told >= began:
                continue
            if registration is not None:
                state.apply(row.runner.id, Seen(registration, listed=True))
            elif whole:
                state.apply(row.runner.id, Unlisted())
        for name, registration in by_name.items():
            parsed = parse_runner_name(name, state.scaler)
            if parsed and state.gone.get(parsed[1], -math.inf) < began:
                row_found = self._adopt(*parsed, source=plugin)
                if row_found is not None:
                    state.apply(row_found.runner.id, Seen(registration, listed=True))

    # -- machines

    async def _machines(self) -> bool:
        state = self._state
        began = state.clock.now()
        gathered = await state.hooks.gather(SPEC.list_machines)
        for plugin, listed in gathered.answers.items():
            self.building.listed(plugin, listed, began, whole=True)
            await self._fold_machines(plugin, listed, began)
        for plugin, listed in gathered.partial.items():
            self.building.listed(plugin, listed, began, whole=False)
            await self._fold_machines(plugin, listed, began, whole=False)
        self._complete["machines"] = not gathered.failures
        self._note("list_machines", gathered)
        return not gathered.failures

    async def _fold_machines(
        self, plugin: str, listed: list[Machine], began: float, *, whole: bool = True
    ) -> None:
        state = self._state
        by_id = {machine.runner: machine for machine in listed if machine.runner is not None}
        async for row in self._rows():
            machine = by_id.pop(row.runner.id, None)
            if row.runner.provisioner != plugin or self._steps.is_making(row.runner.id):
                continue
            if row.told >= began:
                continue
            if machine is None:
                if whole:
                    state.apply(row.runner.id, Unseen())
            elif machine != row.runner.machine or row.unseen is not None:
                state.apply(row.runner.id, Provisioned(machine, listed=True))
        for runner_id, machine in by_id.items():
            if state.gone.get(runner_id, -math.inf) < began:
                parsed = parse_runner_name(machine.runner_name, state.scaler)
                profile = parsed[0] if parsed else machine.profile
                if profile not in state.profiles and not self._is_orphan(runner_id):
                    continue
                row_found = self._adopt(profile, runner_id, provisioner=plugin, room=machine.room)
                if row_found is not None:
                    state.apply(runner_id, Provisioned(machine, listed=True))

    def _note(self, hook: str, gathered: Gathered[Any]) -> None:
        """Say once what keeps a list from being complete, when it was so twice in a row."""
        unlisted = self._state.unlisted
        for plugin, error in gathered.failures.items():
            text = str(error) or type(error).__name__
            if unlisted.get((plugin, hook)) != text:
                unlisted[plugin, hook] = text
                if not self._state.ids_known:
                    self._state.changed()  # it is what holds everything back
            times = self._failing.get((plugin, hook), 0) + 1
            self._failing[plugin, hook] = times
            if times == 2 and isinstance(error, Outcome):  # (faults are told by the dispatcher)
                log.warning("%s.%s: what there is is not known: %s", plugin, hook, error)
        for plugin in gathered.answers:
            unlisted.pop((plugin, hook), None)
            if self._failing.pop((plugin, hook), 0) > 1:
                log.info("%s.%s is complete again", plugin, hook)

    async def _rows(self) -> AsyncIterator[Row]:
        """Every row that is there, as it is when it comes; others have their turn in between."""
        rows = self._state.rows
        for number, runner_id in enumerate(list(rows), 1):
            if number % TURN == 0:
                await trio.lowlevel.checkpoint()
            if (row := rows.get(runner_id)) is not None:
                yield row

    # -- what has no row

    def _adopt(
        self,
        profile_name: str,
        runner_id: int,
        *,
        source: str = "",
        provisioner: str = "",
        room: str = "",
    ) -> Row | None:
        """A row for something of ours that has none: the ledger was lost, or a call came late."""
        state = self._state
        if not 0 < runner_id < LARGEST_ID:
            log.error("%s.%d was found, which no scaler made: ignored", profile_name, runner_id)
            return None
        row = state.rows.get(runner_id)
        if row is not None:  # its name says another profile than its row: leave it to people
            log.error("runner %d is known as %s, found again", runner_id, row.runner.name)
            return None
        # One whose profile is not in the settings any more is nobody's but ours all the same: it is
        # taken over to be retired. What it may have on the other side, its row does not name; see
        # `_is_orphan`.
        profile = state.profiles.get(profile_name) or Profile(name=profile_name, source=source)
        provisioner = provisioner or next(iter(profile.provisioners), "")
        state.event(
            f"{profile_name}.{runner_id} was found without a row, and is taken over",
            profile=profile_name,
            runner=runner_id,
            level=logging.WARNING,
        )
        row = state.new_row(profile, provisioner, room, runner_id)
        state.announce(row)
        return row

    def _is_orphan(self, runner_id: int) -> bool:
        """Whether the machine of a profile that is gone has no registration: it can have no job.

        One that is registered is left alone until its registration has been taken over and is gone.
        """
        state = self._state
        state.next_id = max(state.next_id, runner_id + 1)
        return self._complete["registrations"] and runner_id not in self._registered

    def _settle_strays(self) -> None:
        """Retire what a crash left half-made, once complete lists show that it is.

        A list that does not come would keep it as a promise that nobody fulfils; so it goes after a
        while all the same. Retiring asks first, and does no harm to one that is whole after all.
        """
        impatient = self._state.clock.now() >= self._patient_until
        for row in list(self._state.rows.values()):
            if self._steps.is_making(row.runner.id):
                continue
            state = row.runner.state
            if state is RunnerState.REGISTERED and (self._complete["machines"] or impatient):
                self._state.apply(row.runner.id, Retire("it has no machine"))
            elif state is RunnerState.PLANNED and (self._complete["registrations"] or impatient):
                self._state.apply(row.runner.id, Retire("it was never registered"))
