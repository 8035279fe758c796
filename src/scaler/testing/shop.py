"""One provisioner's instance, as `check_provisioner` deals with it: runners, machines, lists."""

from __future__ import annotations

import itertools
import secrets
import string
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from scaler.errors import HookFault, Outcome
from scaler.hooks import SPEC, contract
from scaler.records import Machine, Profile, Registration, Runner, RunnerState
from scaler.testing.promises import promised, repeated
from scaler.testing.promises_plugin import NO_FAULT
from scaler.testing.promises_provisioner import EXISTS, LEAVES_NONE, ROOM_NAMES
from scaler.units import Secret

if TYPE_CHECKING:
    from scaler.testing.outside import Outside
    from scaler.testing.promises import Promise
    from scaler.testing.stage import Stage
    from scaler.testing.trial import Trial

PATIENCE = contract(SPEC.destroy_runner).deadline + 60.0  # seconds for one that is repeated
MAKES_ROOM = 60.0  # seconds for a room to take machines
AGAIN = 0.02  # seconds between two lists that have to say the same
LASTS = " (if it ended by itself, have the check make one that lasts)"
_HOSTILE = "".join(sorted(string.printable[:94])) + " "


class Book:
    """What a check's shops share: ids that nobody had before, and what was registered.

    What an earlier check left is none of this one's.

    Attributes:
        outside: The world that the machines are in.
        last: What was done last, in words.
    """

    def __init__(self, outside: Outside) -> None:
        self.outside = outside
        self.last = ""
        self._next = itertools.count(time.time_ns() // 1_000_000)
        self._registrations: dict[str, Registration] = {}

    def number(self) -> int:
        """The next runner's id."""
        return next(self._next)

    def registration(self, runner: Runner, *, harmless: bool) -> Registration:
        """What its source answered once, with a config of any printable character or of none."""
        found = self._registrations.get(runner.name)
        if found is None:
            token = secrets.token_hex(8)
            config = Secret(f"{token}{'' if harmless else _HOSTILE}{token}")
            found = Registration(name=runner.name, ref=str(runner.id), config=config)
            self._registrations[runner.name] = found
        return found


class Shop:
    """A provisioner at work.

    Args:
        trial: The check.
        stage: The instance.
        book: What the shops of a check share.
        settle: Seconds within which a list comes right.
    """

    def __init__(self, trial: Trial, stage: Stage, book: Book, settle: float) -> None:
        self.stage = stage
        self.settle = settle
        self._trial = trial
        self._book = book
        self._rooms: dict[str, str] = {}

    # -- runners

    def runner(self, profile: str = "", number: int | None = None) -> Runner:
        """A runner that was registered a moment ago."""
        profile = profile or next(iter(self._trial.site.profiles))
        number = self._book.number() if number is None else number
        kind: Profile = self._trial.site.profiles[profile]
        now = time.time()
        runner = Runner(
            id=number,
            name=f"{profile}.{number}@{self.stage.scaler}",
            profile=profile,
            state=RunnerState.REGISTERED,
            created=now,
            since=now,
            source=kind.source,
            provisioner=self.stage.name,
            room=self._rooms.get(profile, ""),
            resources=kind.resources,
            registration=Registration(name=f"{profile}.{number}@{self.stage.scaler}", ref="1"),
        )
        self.stage.core.runners.append(runner)
        return runner

    def registration(self, runner: Runner, *, harmless: bool = False) -> Registration:
        """What its source answered."""
        found = self._book.registration(runner, harmless=harmless)
        if found.config is not None:
            secret = found.config.reveal()[:16]
            self._trial.secrets[secret] = f"the config of {runner.name}"
        return found

    async def find_rooms(self) -> None:
        """Learn where each profile's machines can stand.

        Raises:
            RuntimeError: A profile's machines can stand nowhere, also after a minute.
        """
        if not self.stage.has(SPEC.capacity):
            return
        waiting = set(self._trial.site.profiles)
        said = "there is no room"
        with trio.move_on_after(MAKES_ROOM):
            while True:
                rooms = await self.stage.answer(SPEC.capacity)
                names = [room.name for room in rooms]
                if len(set(names)) < len(names):
                    raise ROOM_NAMES.broken(f"rooms {names}")
                for room in rooms:
                    for profile in [*waiting]:
                        if room.state == "up" and profile not in room.refuses:
                            self._rooms[profile] = room.name
                            waiting.discard(profile)
                        else:
                            said = f"{room.name!r}: {room.refuses.get(profile, room.state)}"
                if not waiting:
                    return
                await trio.sleep(0.2)
        raise RuntimeError(
            f"found no room that takes machines of {', '.join(sorted(waiting))} ({said}), wanted "
            "one: nothing can be checked"
        )

    # -- its hooks

    async def make(
        self, runner: Runner, promise: Promise = NO_FAULT, *, harmless: bool = False
    ) -> Machine:
        """Have its machine made."""
        given = self.registration(runner, harmless=harmless)
        with promised(promise, f"making the machine of {runner.name}"):
            made = await self.stage.call(SPEC.provision_runner, runner=runner, registration=given)
        self._did(SPEC.provision_runner, runner)
        self._trial.said.append(("what provision_runner answered", made))
        return made

    async def destroy(
        self, runner: Runner, promise: Promise = LEAVES_NONE, machine: Machine | None = None
    ) -> None:
        """Have its machine destroyed: it may say that it is not done yet, but not fail."""
        retiring = replace(runner, state=RunnerState.RETIRING, machine=machine)
        with promised(promise, f"destroying the machine of {runner.name}"):
            await repeated(lambda: self.stage.call(SPEC.destroy_runner, runner=retiring), PATIENCE)
        self._did(SPEC.destroy_runner, runner)

    def _did(self, hook: Callable[..., object], runner: Runner) -> None:
        self._book.last = f"{hook.__name__} of {self.stage.scaler} for {runner.name} returned"

    async def destroy_at_last(self, runner: Runner, promise: Promise) -> None:
        """Destroy it as the core does after an outcome that is not known: until that returns."""
        retiring = replace(runner, state=RunnerState.RETIRING)
        error: Exception | None = None
        pause = 0.05
        with trio.move_on_after(PATIENCE):
            while True:
                try:
                    await self.stage.call(SPEC.destroy_runner, runner=retiring)
                    return self._did(SPEC.destroy_runner, runner)
                except (HookFault, Outcome) as failure:
                    error = failure
                await trio.sleep(pause)
                pause = min(pause * 2, 2.0)
        last = "did not return" if error is None else f"last said {type(error).__name__}: {error}"
        raise promise.broken(f"destroy_runner was repeated for {PATIENCE:g} s, and {last}")

    async def machines(self) -> list[Machine]:
        """Whatever it lists now; it may say that it cannot, for the time to settle."""
        doing = f"calling list_machines, with settle={self.settle:g}"
        with promised(NO_FAULT, doing):
            listed = await repeated(lambda: self.stage.call(SPEC.list_machines), self.settle)
        self._trial.said.append(("what list_machines answered", listed))
        return listed

    # -- what must be true of its lists

    async def shows(self, runners: Iterable[Runner], promise: Promise) -> dict[int, Machine]:
        """See that each of these runners has exactly one machine; answer them by runner.

        Raises:
            PromiseBroken: One has none, or several.
        """
        wanted = [runner.id for runner in runners]
        listed = await self._until(
            lambda found: all(len(found.get(each, ())) == 1 for each in wanted)
        )
        for number in wanted:
            have = listed.get(number, [])
            if len(have) != 1:
                ids = ", ".join(machine.id for machine in have)
                hint = "" if have or promise is not EXISTS else LASTS
                raise promise.broken(
                    f"for runner {number} {len(have)} machines are listed"
                    f"{f' ({ids})' if ids else ''}, wanted one; just before: {self._book.last}"
                    f"{hint}"
                )
        return {number: listed[number][0] for number in wanted}

    async def clean(
        self, runners: Iterable[Runner], promise: Promise, notes: Mapping[int, str] | None = None
    ) -> None:
        """The same as `lacks`, where no other runner has one: nor is anything left outside."""
        await self.lacks(runners, promise, notes)
        await self._book.outside.clean(promise)

    async def lacks(
        self, runners: Iterable[Runner], promise: Promise, notes: Mapping[int, str] | None = None
    ) -> None:
        """See that none of these runners has a machine any more, in two lists.

        Args:
            runners: Which.
            promise: The promise that is broken where one has.
            notes: What was done to a runner, by its id.

        Raises:
            PromiseBroken: One has.
        """
        gone = [runner.id for runner in runners]
        for pause, since in ((AGAIN, ""), (0.0, f"; {AGAIN:g} s before, none was listed")):
            listed = await self._until(lambda found: not any(found.get(each) for each in gone))
            for number in gone:
                if have := listed.get(number):
                    note = (notes or {}).get(number, "")
                    raise promise.broken(
                        f"{note}{': ' if note else ''}runner {number} still has "
                        f"{', '.join(each.id for each in have)}{since}"
                    )
            await trio.sleep(pause)

    async def listed(self) -> Counter[tuple[int | None, str]]:
        """Every machine that it lists: its runner and its id."""
        return Counter((each.runner, each.id) for each in await self.machines())

    async def lists(self, before: Counter[tuple[int | None, str]], promise: Promise) -> None:
        """See that it lists what it listed before.

        Raises:
            PromiseBroken: It lists more, or less.
        """
        late = trio.current_time() + self.settle
        while (now := await self.listed()) != before:
            if trio.current_time() >= late:
                more = ", ".join(name for _, name in now - before) or "none"
                less = ", ".join(name for _, name in before - now) or "none"
                raise promise.broken(f"more machines are listed: {more}; and less: {less}")
            await trio.sleep(min(0.2, self.settle))

    async def _until(
        self, right: Callable[[Mapping[int, list[Machine]]], bool]
    ) -> Mapping[int, list[Machine]]:
        """Its machines by runner, as soon as they are right, or else after the time to settle."""
        late = trio.current_time() + self.settle
        while True:
            found: dict[int, list[Machine]] = {}
            for machine in await self.machines():
                if machine.runner is not None:
                    found.setdefault(machine.runner, []).append(machine)
            if right(found) or trio.current_time() >= late:
                return found
            await trio.sleep(min(0.2, self.settle))
