"""Sources that break a promise about the runners that they register, list and remove."""

from __future__ import annotations

from typing import Any

import trio
from tests.testing.broken.sources import Source

from scaler import (
    Busy,
    Context,
    Registration,
    Runner,
    Secret,
    Unavailable,
    hookimpl,
)
from scaler.testing import promises_source
from scaler.testing.promises import Promise


class NoConfig(Source):
    @hookimpl
    async def register_runner(self, runner: Runner) -> Registration:
        self.forge.registered.append(runner.name)
        return Registration(name=runner.name, ref=runner.name)


class AnotherName(Source):
    @hookimpl
    async def register_runner(self, runner: Runner) -> Registration:
        return Registration(name=f"scaler-{runner.id}", ref="1", config=Secret("config"))


class LeavesLeftovers(Source):
    """Registers a name beside the one that is there."""

    @hookimpl
    async def register_runner(self, runner: Runner) -> Registration:
        self.forge.registered.append(runner.name)
        return Registration(name=runner.name, ref=runner.name, config=Secret("config"))


class RefusesLeftovers(Source):
    """Leaves a name that is taken to somebody else."""

    @hookimpl
    async def register_runner(self, runner: Runner) -> Registration:
        if runner.name in self.forge.registered:
            raise Unavailable(f"{runner.name} is registered already")
        return await super().register_runner(runner)


class NotesTooLate(Source):
    """Knows what it registered from a note that is made afterwards."""

    @hookimpl
    async def register_runner(self, runner: Runner) -> Registration:
        made = await super().register_runner(runner)
        await self.context.save(runner.name, True)
        return made

    @hookimpl
    async def unregister_runner(self, runner: Runner) -> None:
        if await self.context.load(runner.name):
            await super().unregister_runner(runner)


class RemovesNothing(Source):
    @hookimpl
    async def unregister_runner(self, runner: Runner) -> None:
        await trio.lowlevel.checkpoint()


class RemovesByTheBeginning(Source):
    @hookimpl
    async def unregister_runner(self, runner: Runner) -> None:
        beginning = runner.name.partition("@")[0]
        for name in self.ours():
            if name.startswith(beginning):
                self.forge.forget(name)


class RemovesOnce(Source):
    @hookimpl
    async def unregister_runner(self, runner: Runner) -> None:
        self.forge.registered.remove(runner.name)


class BusyWhereUnknown(Source):
    @hookimpl
    async def unregister_runner(self, runner: Runner) -> None:
        if runner.name not in self.forge.registered:
            raise Busy("it may be at work")
        await super().unregister_runner(runner)


class RemembersInstead(Source):
    """Knows what it registered for as long as it lives."""

    def __init__(self, context: Context[Any, Any]) -> None:
        super().__init__(context)
        self.mine: set[str] = set()

    @hookimpl
    async def register_runner(self, runner: Runner) -> Registration:
        self.mine.add(runner.name)
        return await super().register_runner(runner)

    @hookimpl
    async def unregister_runner(self, runner: Runner) -> None:
        if runner.name in self.mine:
            await super().unregister_runner(runner)


class BelievesItsNote(Source):
    """Notes that it has removed something before it has."""

    @hookimpl
    async def unregister_runner(self, runner: Runner) -> None:
        if await self.context.load(runner.name) and runner.id >= 1000:
            return
        await self.context.save(runner.name, True)
        await super().unregister_runner(runner)

    @hookimpl
    async def register_runner(self, runner: Runner) -> Registration:
        await self.context.save(runner.name, None)
        return await super().register_runner(runner)


class SaysGone(Source):
    @hookimpl
    async def unregister_runner(self, runner: Runner) -> None:
        await super().unregister_runner(runner)
        self.context.registration_changed(Registration(name=runner.name, gone=True))


class OnePage(Source):
    def ours(self) -> list[str]:
        return super().ours()[:2]


class AnybodyAlike(Source):
    def ours(self) -> list[str]:
        tag = f"@{self.context.scaler}"
        return [name for name in self.forge.registered if tag in name]


class RemovesByNumber(Source):
    """Takes another scaler's runner for its own, since it has the same number."""

    @hookimpl
    async def unregister_runner(self, runner: Runner) -> None:
        beginning = f"{runner.name.partition('@')[0]}@"
        for name in list(self.forge.registered):
            if name.startswith(beginning):
                self.forge.forget(name)


class ListsWhatItMade(Source):
    def __init__(self, context: Context[Any, Any]) -> None:
        super().__init__(context)
        self.mine: list[str] = []

    @hookimpl
    async def register_runner(self, runner: Runner) -> Registration:
        self.mine.append(runner.name)
        return await super().register_runner(runner)

    def ours(self) -> list[str]:
        if self.context.scaler != "here":
            return super().ours()
        return [name for name in super().ours() if name in self.mine]


BROKEN: tuple[tuple[type[Any], Promise], ...] = (
    (NoConfig, promises_source.REGISTERS),
    (AnotherName, promises_source.REGISTERS),
    (LeavesLeftovers, promises_source.LEFTOVER),
    (RefusesLeftovers, promises_source.LEFTOVER),
    (NotesTooLate, promises_source.REGISTER_CUT),
    (RemovesNothing, promises_source.UNREGISTERS),
    (RemovesByTheBeginning, promises_source.THAT_ONE),
    (RemovesOnce, promises_source.GONE_IS_GONE),
    (BusyWhereUnknown, promises_source.GONE_IS_GONE),
    (RemembersInstead, promises_source.BY_NAME),
    (BelievesItsNote, promises_source.UNREGISTER_CUT),
    (SaysGone, promises_source.NOT_OURS_TO_SAY),
    (OnePage, promises_source.LISTS),
    (AnybodyAlike, promises_source.ONLY_OURS),
    (RemovesByNumber, promises_source.ONLY_OURS),
    (ListsWhatItMade, promises_source.AFTER_CRASH),
)
