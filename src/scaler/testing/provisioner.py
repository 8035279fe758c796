"""`check_provisioner`: every promise of a provisioner's hooks, put to the test."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import trio

from scaler.hooks import SPEC
from scaler.testing.cutting import spread
from scaler.testing.memory import Memory
from scaler.testing.outside import Left, Outside, Unreachable, lists_while_away
from scaler.testing.promises import noted, told_in_short
from scaler.testing.promises_plugin import CHECK_CHANGES_NOTHING
from scaler.testing.promises_provisioner import (
    AWAY,
    BY_ID,
    CUT_BY_CRASH,
    LISTS_AFTER_CRASH,
    LISTS_ALL,
    LISTS_OURS,
    ONE_AFTER_CRASH,
    STRANGERS,
)
from scaler.testing.provisioner_life import each_profile, several
from scaler.testing.provisioner_times import LATE, broken_off, races
from scaler.testing.shop import Book, Shop
from scaler.testing.trial import HERE, OTHERS, check_what_all_have, open_trial

if TYPE_CHECKING:
    from scaler.records import Runner
    from scaler.testing.site import Make
    from scaler.testing.trial import Trial

CRASHES = 4  # places at which making a machine is broken off by a crash
_TIDYING = 20.0  # seconds for what a check that failed has left


@told_in_short
async def check_provisioner(
    make: Make,
    *,
    settings: str = "",
    plugin: type[Any] | None = None,
    runners: int = 3,
    points: int = 40,
    settle: float = 0.0,
    environ: Mapping[str, str] | None = None,
    left: Left | None = None,
    unreachable: Unreachable | None = None,
) -> None:
    """See that a provisioner keeps every promise of its hooks.

    Machines are made and destroyed, by several instances one after another, as for scalers named
    `here`, `here-2` and `not-here`; the instances are called as a scaler calls them. Whatever was
    made is destroyed at the end, also when a promise was broken. Run it with the real clock where
    the plugin waits for the real world.

    A crash is played by ending an instance without a word; the next one is left the facts and the
    folder as they were at that moment. What a process leaves besides, such as connections that
    hang, is not seen.

    Whether a machine is there is what `list_machines` says: give `left` to have the outside world
    itself asked. A list while the other side cannot be reached is tried only with `unreachable`.

    Args:
        make: The plugin's class, or a function that makes the plugin from its context. What its
            instances share beside the context is the outside world.
        settings: TOML, as a site would write it: `[plugins.NAME]`, `[profiles.X]` and
            `[profiles.X.NAME]`. What is missing is filled in: left out, the plugin has no settings
            and one profile, `linux`.
        plugin: The plugin's class, where `make` is a function.
        runners: How many machines there are at the same time at most. With 1, nothing is seen of
            what needs two.
        points: How many times each hook is cancelled at most, at other awaits each time.
        settle: Seconds within which a list comes right after something was made or destroyed;
            nothing else is given time.
        environ: Where secrets that the settings give by `env` come from.
        left: What is really left outside, however it came there: a function, plain or `async`, that
            answers a text for each process, file, disk and whatever else a machine is made of, for
            any scaler; not from the plugin's notes. A thing has the same text each time. It is
            asked before anything is made, after each time that everything was destroyed, and at
            the end: there must be nothing then that was not there before. Left out, what is not
            listed is not seen.
        unreachable: Makes a context manager, plain or `async`, within which the other side cannot
            be reached. Left out, it is not tried what is listed then.

    Raises:
        PromiseBroken: It does not keep one; which one, what was seen, and where it is written.
        SettingsError: The settings are wrong.
        PluginError: The class is no plugin.
    """
    async with open_trial(
        make, settings=settings, plugin=plugin, environ=environ, runners=runners
    ) as trial:
        outside = Outside(left, settle)
        await outside.begin()
        check = _Check(trial, runners, points, settle, outside, unreachable)
        try:
            await check.run()
        except BaseException:
            await check.tidy()
            raise


class _Check:
    """One check of a provisioner."""

    def __init__(
        self,
        trial: Trial,
        runners: int,
        points: int,
        settle: float,
        outside: Outside,
        unreachable: Unreachable | None,
    ) -> None:
        self._trial = trial
        self._runners = runners
        self._points = points
        self._settle = settle
        self._outside = outside
        self._unreachable = unreachable
        self._book = Book(outside)
        self._first = self._book.number()

    async def run(self) -> None:
        """All of it, one promise after another."""
        async with self._trial.stage(memory=Memory()) as stage:
            if not stage.has(SPEC.list_machines):
                raise LISTS_ALL.broken("it has no list_machines: after a crash nothing is found")
            before = await Shop(self._trial, stage, self._book, self._settle).listed()
        await self._check_without_service()
        async with self._shop() as shop:
            with noted("`check` without the service"):
                await shop.lists(before, CHECK_CHANGES_NOTHING)
            await each_profile(shop, self._trial.site.profiles)
            if self._runners > 1:
                await several(shop, self._runners)
                for scaler in OTHERS:
                    await self._strangers(shop, scaler)
        await self._crash()
        async with self._shop() as shop:
            awaits = await broken_off(shop, self._points)
            await races(shop)
        await self._crash_while_making(awaits)
        if self._unreachable is not None:
            await self._away(self._unreachable)
        if self._outside.known:
            await trio.sleep(LATE)
            await self._outside.clean(CUT_BY_CRASH)

    async def _check_without_service(self) -> None:
        """Call `check` as `scaler check` does, which runs no service."""
        async with self._trial.stage(service=False) as stage:
            facts = copy.deepcopy(stage.memory.facts)
            await check_what_all_have(stage)
            if stage.memory.facts != facts:
                raise CHECK_CHANGES_NOTHING.broken(
                    f"the facts saved are {sorted(stage.memory.facts)}, and were {sorted(facts)}"
                )

    async def tidy(self) -> None:
        """Destroy what is left, as well as it goes."""
        for scaler in (HERE, *OTHERS):
            with (
                trio.CancelScope(shield=True, deadline=trio.current_time() + _TIDYING),
                suppress(Exception),
            ):
                async with self._trial.stage(scaler) as stage:
                    shop = Shop(self._trial, stage, self._book, self._settle)
                    for machine in await shop.machines():
                        if machine.runner is not None and machine.runner >= self._first:
                            await shop.destroy(shop.runner(number=machine.runner))

    @asynccontextmanager
    async def _shop(self, scaler: str = HERE) -> AsyncIterator[Shop]:
        async with self._trial.stage(scaler) as stage:
            shop = Shop(self._trial, stage, self._book, self._settle)
            await shop.find_rooms()
            yield shop

    async def _strangers(self, shop: Shop, scaler: str) -> None:
        """Two scalers in one world, with runners of the same ids."""
        ours = shop.runner()
        made = await shop.make(ours)
        async with self._shop(scaler) as other:
            theirs = other.runner(number=ours.id)
            await _unseen(other, {made.id})
            await other.destroy(theirs, STRANGERS)
            await shop.shows([ours], STRANGERS)
            await shop.destroy(ours)
            ours = shop.runner()
            theirs = other.runner(number=ours.id)
            made = await shop.make(ours)
            their_machine = await other.make(theirs)
            await other.shows([theirs], STRANGERS)
            await _unseen(other, {made.id} - {their_machine.id})
            await _unseen(shop, {their_machine.id} - {made.id})
            await shop.destroy(ours)
            await other.shows([theirs], STRANGERS)
            await other.destroy(theirs)
            await other.clean([theirs], STRANGERS)

    async def _crash(self) -> None:
        """What one instance made, the next one finds, keeps and destroys."""
        async with self._shop() as shop:
            runner = shop.runner()
            made = await shop.make(runner)
            shop.stage.crash()
        self._book.last = "it crashed, and another instance began"
        async with self._shop() as shop:
            shop.stage.core.runners.append(runner)
            seen = await shop.shows([runner], LISTS_AFTER_CRASH)
            if seen[runner.id].id != made.id:
                raise LISTS_AFTER_CRASH.broken(
                    f"the machine {made.id} of {runner.name} is listed as {seen[runner.id].id}"
                )
            again = await shop.make(runner, ONE_AFTER_CRASH)
            await shop.shows([runner], ONE_AFTER_CRASH)
            if again.id != made.id:
                raise ONE_AFTER_CRASH.broken(f"{made.id} is there, and {again.id} was answered")
            shop.stage.crash()
        async with self._shop() as shop:
            bare = shop.runner(runner.profile, runner.id)
            await shop.destroy(_without_room(bare), BY_ID)
            await shop.clean([runner], BY_ID)

    async def _crash_while_making(self, awaits: int) -> None:
        for at in spread(awaits, min(CRASHES, self._points)):
            async with self._shop() as shop:
                runner = shop.runner()
                await shop.stage.cut(
                    at,
                    SPEC.provision_runner,
                    runner=runner,
                    registration=shop.registration(runner),
                )
                place = shop.stage.steps.place
                shop.stage.crash()
            async with self._shop() as shop:
                with noted(f"it crashed at await {at} of {awaits} of making it, {place}"):
                    await shop.destroy_at_last(shop.runner(runner.profile, runner.id), CUT_BY_CRASH)
                    await shop.clean([runner], CUT_BY_CRASH)

    async def _away(self, unreachable: Unreachable) -> None:
        """What is listed while the other side cannot be reached."""
        async with self._shop() as shop:
            runner = shop.runner()
            await shop.make(runner)
        await lists_while_away(self._trial, unreachable, SPEC.list_machines, runner.name, AWAY)
        async with self._shop() as shop:
            await shop.shows([runner], AWAY)
            await shop.destroy_at_last(runner, AWAY)
            await shop.clean([runner], AWAY)


async def _unseen(shop: Shop, machines: set[str]) -> None:
    """See that another scaler's machines are not listed."""
    for machine in await shop.machines():
        if machine.id in machines:
            raise LISTS_OURS.broken(
                f"the scaler {shop.stage.scaler} lists {machine.id}, which another one made"
            )


def _without_room(runner: Runner) -> Runner:
    return replace(runner, room="")
