"""Provisioners that break one promise each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import trio
from tests.testing.machines import InMemory, World

from scaler import Context, Machine, Registration, Runner, hookimpl

#: For each promise, plugins that break it and no other.
BROKEN: dict[str, list[type[InMemory]]] = {}


def breaks(promise: str) -> Any:
    def mark(cls: type[InMemory]) -> type[InMemory]:
        BROKEN.setdefault(promise, []).append(cls)
        return cls

    return mark


class Remembers(InMemory):
    """Knows what this instance made."""

    def __init__(self, context: Context[Any, Any], world: World | None = None) -> None:
        super().__init__(context, world)
        self.mine: dict[int, Machine] = {}

    @hookimpl
    async def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
        self.mine[runner.id] = await super().provision_runner(runner, registration)
        return self.mine[runner.id]


@breaks("answers-its-machine")
class AnswersAnother(InMemory):
    @hookimpl
    async def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
        made = await super().provision_runner(runner, registration)
        return replace(made, runner=runner.id + 1)


@breaks("answers-its-machine")
class ForgetsTheRoom(InMemory):
    @hookimpl
    async def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
        return replace(await super().provision_runner(runner, registration), room="")


@breaks("answers-its-machine")
class HasNoId(InMemory):
    @hookimpl
    async def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
        return replace(await super().provision_runner(runner, registration), id="")


@breaks("exists-when-answered")
class AnswersTooSoon(Remembers):
    @hookimpl
    async def list_machines(self) -> list[Machine]:
        listed = await super().list_machines()
        fresh = self.mine
        self.mine = {}
        return [each for each in listed if each.runner not in fresh]


@breaks("one-machine")
class MakesAnother(InMemory):
    @hookimpl
    async def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
        await trio.sleep(0.01)
        made = self.world.machines[self.key(runner)] = self.world.machine(runner)
        return made


@breaks("one-machine-at-once")
class LooksThenMakes(InMemory):
    @hookimpl
    async def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
        found = self.world.machines.get(self.key(runner))
        await trio.sleep(0.01)
        if found is None:
            found = self.world.machines[self.key(runner)] = self.world.machine(runner)
        return found


@breaks("one-machine-after-a-crash")
class KnowsOnlyItsOwn(Remembers):
    @hookimpl
    async def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
        if runner.id not in self.mine:
            self.world.machines.pop(self.key(runner), None)
        return await super().provision_runner(runner, registration)


@breaks("tagged")
class TagsNoName(InMemory):
    @hookimpl
    async def list_machines(self) -> list[Machine]:
        return [replace(each, runner_name="") for each in await super().list_machines()]


@breaks("tagged")
class TagsNoProfile(InMemory):
    @hookimpl
    async def list_machines(self) -> list[Machine]:
        return [replace(each, profile="") for each in await super().list_machines()]


@breaks("tagged")
class ListsAnotherRoom(InMemory):
    @hookimpl
    async def list_machines(self) -> list[Machine]:
        return [replace(each, room="elsewhere") for each in await super().list_machines()]


@breaks("exists-when-answered")
class ListsItStopped(InMemory):
    @hookimpl
    async def list_machines(self) -> list[Machine]:
        return [replace(each, state="stopped") for each in await super().list_machines()]


@breaks("no-fault")
class StumblesOverAFailedOne(InMemory):
    @hookimpl
    async def destroy_runner(self, runner: Runner) -> None:
        if runner.failed:
            raise AttributeError("no log of it")
        await super().destroy_runner(runner)


@breaks("another-machine-another-id")
class AllTheSame(InMemory):
    @hookimpl
    async def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
        made = replace(await super().provision_runner(runner, registration), id="machine")
        self.world.machines[self.key(runner)] = made
        return made


@breaks("any-config")
class ShellsOut(InMemory):
    @hookimpl
    async def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
        assert registration.config is not None
        if "'" in registration.config.reveal():
            raise ValueError("unterminated quote")
        return await super().provision_runner(runner, registration)


@breaks("many-at-once")
class OneAtATime(InMemory):
    busy: int | None = None

    @hookimpl
    async def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
        if self.busy not in (None, runner.id):
            raise RuntimeError("another one is being made")
        self.busy = runner.id
        try:
            return await super().provision_runner(runner, registration)
        finally:
            self.busy = None


@breaks("many-at-once")
class ForgetsSome(InMemory):
    busy: int | None = None

    @hookimpl
    async def destroy_runner(self, runner: Runner) -> None:
        if self.busy not in (None, runner.id):
            return
        self.busy = runner.id
        try:
            await super().destroy_runner(runner)
        finally:
            self.busy = None


class Orders(InMemory):
    """Makes machines in its service."""

    def __init__(self, context: Context[Any, Any], world: World | None = None) -> None:
        super().__init__(context, world)
        self.work: trio.Nursery

    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        async with trio.open_nursery() as self.work:
            task_status.started()
            await self.context.stopping.wait()
            self.work.cancel_scope.cancel()


@breaks("cancelled-leaves-none")
class MakesItAllTheSame(Orders):
    @hookimpl
    async def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
        made = trio.Event()

        async def make() -> None:
            await trio.sleep(0.1)
            if self.key(runner) not in self.world.machines:
                self.world.machines[self.key(runner)] = self.world.machine(runner)
            made.set()

        if runner.room and self.key(runner) not in self.world.machines:
            self.work.start_soon(make)
            await made.wait()
        return self.world.machines[self.key(runner)]


@breaks("cancelled-leaves-none")
class StumblesOverHalf(InMemory):
    @hookimpl
    async def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
        made = await super().provision_runner(runner, registration)
        self.world.machines[self.key(runner)] = replace(made, facts={"whole": True})
        return self.world.machines[self.key(runner)]

    @hookimpl
    async def destroy_runner(self, runner: Runner) -> None:
        found = self.world.machines.get(self.key(runner))
        if found is not None and not found.facts:
            raise KeyError("whole")
        await super().destroy_runner(runner)


@breaks("crashed-leaves-none")
class CleansUpItsOwn(InMemory):
    def __init__(self, context: Context[Any, Any], world: World | None = None) -> None:
        super().__init__(context, world)
        self.half: set[int] = set()

    @hookimpl
    async def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
        self.half.add(runner.id)
        made = await super().provision_runner(runner, registration)
        self.world.machines[self.key(runner)] = replace(made, facts={"whole": True})
        return self.world.machines[self.key(runner)]

    @hookimpl
    async def destroy_runner(self, runner: Runner) -> None:
        found = self.world.machines.get(self.key(runner))
        if found is not None and (found.facts or runner.id in self.half):
            await super().destroy_runner(runner)


@breaks("leaves-none")
class Idle(InMemory):
    @hookimpl
    async def destroy_runner(self, runner: Runner) -> None:
        await trio.sleep(0.01)


@breaks("leaves-none")
class NeedsTheAnswer(InMemory):
    @hookimpl
    async def destroy_runner(self, runner: Runner) -> None:
        if runner.machine is None or runner.machine.room != "here":
            await super().destroy_runner(runner)


@breaks("never-was")
class MissesIt(Remembers):
    @hookimpl
    async def destroy_runner(self, runner: Runner) -> None:
        if runner.id not in self.mine and self.key(runner) not in self.world.machines:
            raise LookupError(f"no machine of {runner.name}")
        await super().destroy_runner(runner)


@breaks("destroyed-twice")
class Once(InMemory):
    @hookimpl
    async def destroy_runner(self, runner: Runner) -> None:
        await trio.sleep(0.01)
        del self.world.machines[self.key(runner)]


@breaks("destroyed-by-id")
class DestroysItsOwn(Remembers):
    @hookimpl
    async def destroy_runner(self, runner: Runner) -> None:
        if runner.id in self.mine:
            await super().destroy_runner(runner)


@breaks("destroyed-by-id")
class LooksInTheRoom(InMemory):
    @hookimpl
    async def destroy_runner(self, runner: Runner) -> None:
        if runner.room:
            await super().destroy_runner(runner)


@breaks("destroys-no-other")
class DestroysAll(InMemory):
    @hookimpl
    async def destroy_runner(self, runner: Runner) -> None:
        await trio.sleep(0.01)
        for key, machine in [*self.world.machines.items()]:
            if key[0] == self.context.scaler and machine.profile == runner.profile:
                del self.world.machines[key]


@breaks("strangers-left-alone")
class ById(InMemory):
    @hookimpl
    async def destroy_runner(self, runner: Runner) -> None:
        await trio.sleep(0.01)
        for key in [*self.world.machines]:
            if key[1] == runner.id:
                del self.world.machines[key]


@breaks("strangers-left-alone")
class ByTheBeginning(InMemory):
    @hookimpl
    async def destroy_runner(self, runner: Runner) -> None:
        await trio.sleep(0.01)
        for key in [*self.world.machines]:
            if key[1] == runner.id and key[0].startswith(self.context.scaler):
                del self.world.machines[key]


@breaks("strangers-left-alone")
class ByTheEnd(InMemory):
    @hookimpl
    async def destroy_runner(self, runner: Runner) -> None:
        await trio.sleep(0.01)
        for key in [*self.world.machines]:
            if key[1] == runner.id and key[0].endswith(self.context.scaler):
                del self.world.machines[key]


@breaks("leaves-none")
class ComesBack(InMemory):
    """Lists it again a moment after it was destroyed."""

    gone: dict[int, tuple[float, Machine]]

    @hookimpl
    async def destroy_runner(self, runner: Runner) -> None:
        found = self.world.machines.get(self.key(runner))
        await super().destroy_runner(runner)
        if found is not None:
            self.gone = {**getattr(self, "gone", {}), runner.id: (trio.current_time(), found)}

    @hookimpl
    async def list_machines(self) -> list[Machine]:
        late = trio.current_time() - 0.3
        gone = getattr(self, "gone", {}).values()
        return [*await super().list_machines(), *(each for at, each in gone if at < late)]


@breaks("cancelled-destroy")
class BelievesItIsBeingDone(InMemory):
    def __init__(self, context: Context[Any, Any], world: World | None = None) -> None:
        super().__init__(context, world)
        self.begun: set[int] = set()

    @hookimpl
    async def destroy_runner(self, runner: Runner) -> None:
        if runner.id not in self.begun:
            self.begun.add(runner.id)
            await super().destroy_runner(runner)
            self.begun.discard(runner.id)


@breaks("destroyed-while-made")
class BelievesItWasDone(InMemory):
    def __init__(self, context: Context[Any, Any], world: World | None = None) -> None:
        super().__init__(context, world)
        self.done: set[int] = set()

    @hookimpl
    async def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
        await trio.sleep(0.05)
        return await super().provision_runner(runner, registration)

    @hookimpl
    async def destroy_runner(self, runner: Runner) -> None:
        if runner.id not in self.done:
            await super().destroy_runner(runner)
            self.done.add(runner.id)
