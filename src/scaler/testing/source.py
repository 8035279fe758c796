"""The check of a source: what it registers, lists and removes, reserves and delivers."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import trio

from scaler.hooks import SPEC
from scaler.testing.cutting import cut_short
from scaler.testing.outside import Unreachable, lists_while_away
from scaler.testing.promises import promised, told_in_short
from scaler.testing.promises_plugin import CHECK_CHANGES_NOTHING
from scaler.testing.promises_source import (
    AFTER_CRASH,
    AWAY,
    BY_NAME,
    GONE_IS_GONE,
    LEFTOVER,
    ONLY_OURS,
    REGISTER_CUT,
    THAT_ONE,
    UNREGISTER_CUT,
    UNREGISTERS,
)
from scaler.testing.source_jobs import Jobs, Send
from scaler.testing.source_reserving import check_reserving
from scaler.testing.source_runners import Desk, runner_of
from scaler.testing.trial import HERE, OTHERS, check_what_all_have, open_trial

if TYPE_CHECKING:
    from scaler.records import Runner
    from scaler.testing.memory import Memory
    from scaler.testing.promises import Promise
    from scaler.testing.site import Make
    from scaler.testing.trial import Trial

# One is the beginning of another: what is told apart by the beginning of a name is mixed up
_IDS = (1, 11, 111)
_NEVER = 900  # an id that is never registered
_RESERVED = 910  # ids from here on are for reservations
_LATE = 0.5  # seconds within which it may say wrongly that one went by itself
_CUT = 1000  # ids from here on are for calls that are cut short


@told_in_short
async def check_source(
    make: Make,
    *,
    settings: str = "",
    plugin: type[Any] | None = None,
    send: Send | None = None,
    environ: Mapping[str, str] | None = None,
    runners: int = 3,
    points: int = 40,
    settle: float = 0.0,
    unreachable: Unreachable | None = None,
) -> None:
    """See that a plugin keeps what a source promises.

    It registers runners named `<profile>.<id>@here`, `@here-2` and `@not-here` and removes them
    all; whatever else is registered on the other side is left alone. It makes instances of the
    plugin one after another, never two at once.

    Not tried: that a runner at work cannot be unregistered (`Busy`), for nothing here runs a job.
    A list while the other side cannot be reached is tried only with `unreachable`.

    Args:
        make: The plugin's class, or a function (also a coroutine function) that makes the plugin
            of a context. Each instance must see the same other side.
        settings: TOML, as a site writes it; what is not the plugin's own may be left out.
        plugin: The plugin's class, where `make` is a function.
        send: Lets a job appear on the other side, for a profile's runners. Left out, it is not
            looked at what the plugin delivers.
        environ: Where secrets that the settings give by `env` come from.
        runners: How many are registered at a time, at most; 2 or more.
        points: At how many awaits a hook is cancelled, at most, spread evenly.
        settle: Seconds within which a list must come right after a change.
        unreachable: Makes a context manager, plain or `async`, within which the other side cannot
            be reached. Left out, it is not tried what is listed then.

    Raises:
        PromiseBroken: It breaks a promise; the first that was seen.
        ValueError: It is the source of none of the profiles.
        SettingsError: The settings are wrong.
        PluginError: The plugin's class cannot be used.
    """
    async with open_trial(
        make, settings=settings, plugin=plugin, environ=environ, runners=runners
    ) as trial:
        check = _Check(trial, max(2, runners), points, settle)
        async with check.strangers():
            await check.registering()
            if unreachable is not None:
                await check.away(unreachable)
            await check.after_a_crash()
            await check.cut_short()
            await check.reserving()
        if send is not None:
            await Jobs(trial, check.profiles, send, settle).check()


class _Check:
    """The part about runners."""

    def __init__(self, trial: Trial, runners: int, points: int, settle: float) -> None:
        self._trial = trial
        self._points = points
        self._settle = settle
        self._ids = (*_IDS, *range(200, 200 + runners))[:runners]
        self._held: list[Runner] = []
        name = trial.site.name
        everyone = trial.site.settings.profiles
        self.profiles = [key for key, each in everyone.items() if each.source == name]
        if not self.profiles:
            raise ValueError(
                f"settings: {name} is the source of no profile: give one a table "
                f"[profiles.X.{name}], and see that the class has register_runner"
            )

    @asynccontextmanager
    async def _desk(self, scaler: str = HERE, memory: Memory | None = None) -> AsyncIterator[Desk]:
        async with self._trial.stage(scaler, memory) as stage:
            yield Desk(self._trial, stage, self._settle)

    def _runner(self, number: int, scaler: str = HERE) -> Runner:
        profile = self.profiles[number % len(self.profiles)]
        return runner_of(self._trial, profile, number, scaler)

    @asynccontextmanager
    async def strangers(self) -> AsyncIterator[None]:
        """Another scaler's registrations: there before, and there afterwards."""
        memories: dict[str, Memory] = {}
        for scaler in OTHERS:
            theirs = [self._runner(number, scaler) for number in self._ids[:2]]
            async with self._desk(scaler) as desk:
                memories[scaler] = desk.stage.memory
                for runner in theirs:
                    await desk.register(runner)
                await desk.sees(there=theirs, doing="registering them")
        yield
        for scaler in OTHERS:
            theirs = [self._runner(number, scaler) for number in self._ids[:2]]
            async with self._desk(scaler, memories[scaler]) as desk:
                doing = "all that was asked of it was for other scalers"
                await desk.sees(there=theirs, lost=ONLY_OURS, doing=doing)
                for runner in theirs:
                    await desk.unregister(runner, UNREGISTERS, "unregistering it")

    async def registering(self) -> None:
        """Register, list, remove one, remove it again, register one again; then crash."""
        runners = [self._runner(number) for number in self._ids]
        first, others = runners[0], runners[1:]
        async with self._desk() as desk:
            before = await desk.names()
            await check_what_all_have(desk.stage)
            if await desk.names() != before:
                raise CHECK_CHANGES_NOTHING.broken("another list of registrations after `check`")
            made = await desk.register(first)
            await desk.sees(there=[first], doing="registering it")
            async with trio.open_nursery() as nursery:
                for runner in others:
                    nursery.start_soon(desk.register, runner)
            await desk.sees(there=runners, doing="registering them, all at once")
            known = replace(first, registration=replace(made, config=None))
            await desk.unregister(known, UNREGISTERS, "unregistering it")
            doing = f"unregistering {first.name}"
            await desk.sees(gone=[first], left=UNREGISTERS, doing=doing)
            await desk.sees(there=others, lost=THAT_ONE, doing=doing)
            desk.no_gone([first])
            await desk.unregister(known, GONE_IS_GONE, "unregistering it again")
            never = self._runner(_NEVER)
            await desk.unregister(never, GONE_IS_GONE, "unregistering what never was registered")
            await desk.sees(there=others, lost=THAT_ONE, doing="unregistering what is not there")
            await desk.register(others[0], LEFTOVER)
            doing = f"registering {others[0].name} once more"
            await desk.sees(there=others, lost=LEFTOVER, doing=doing)
            await trio.sleep(_LATE)
            desk.no_gone([first])
            desk.stage.crash()
        self._held = others

    async def away(self, unreachable: Unreachable) -> None:
        """What is listed while the other side cannot be reached."""
        name = self._held[0].name
        await lists_while_away(self._trial, unreachable, SPEC.list_registrations, name, AWAY)

    async def after_a_crash(self) -> None:
        """What was registered is there, and goes by its name alone; all at once."""
        async with self._desk() as desk:
            doing = "a crash, in a new instance"
            await desk.sees(there=self._held, lost=AFTER_CRASH, doing=doing)
            doing = "unregistering it by its name alone, after a crash"
            async with trio.open_nursery() as nursery:
                for runner in self._held:
                    nursery.start_soon(desk.unregister, runner, BY_NAME, doing)
            await desk.sees(gone=self._held[1:], left=BY_NAME, doing=doing)
            doing = f"{doing}, where it was registered twice"
            await desk.sees(gone=self._held[:1], left=LEFTOVER, doing=doing)
            desk.no_gone(self._held[1:])

    async def cut_short(self) -> None:
        """Break registering and unregistering off wherever they wait."""
        async with self._desk() as desk:
            numbers = itertools.count(_CUT)
            at_work: list[Runner] = []

            async def fresh(_number: int) -> Mapping[str, Any]:
                at_work[:] = [self._runner(next(numbers))]
                return {"runner": at_work[0]}

            async def registered(number: int) -> Mapping[str, Any]:
                given = await fresh(number)
                await desk.register(at_work[0])
                return given

            async def clean(promise: Promise, _number: int) -> None:
                doing = "unregistering what was broken off"
                await desk.unregister_at_last(at_work[0], promise, doing)
                for _ in range(2):
                    await desk.sees(gone=at_work, left=promise, doing=doing)

            for promise, hook, arguments, again in (
                (REGISTER_CUT, SPEC.register_runner, fresh, False),
                (UNREGISTER_CUT, SPEC.unregister_runner, registered, True),
            ):
                with promised(promise, f"calling {hook.__name__}"):
                    after = partial(clean, promise)
                    await cut_short(desk.stage, hook, self._points, arguments, after, again=again)

    async def reserving(self) -> None:
        """See `check_reserving`."""
        async with self._desk() as desk:
            await check_reserving(
                desk, lambda number: self._runner(_RESERVED + number), self._points
            )
