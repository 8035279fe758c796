"""Plugins that break what every plugin promises; here, as it happens, provisioners."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

import trio
from tests.testing.machines import InMemory, World

from scaler import Context, Machine, Registration, Room, Runner, hookimpl

BROKEN: dict[str, list[type[InMemory]]] = {}


def breaks(promise: str) -> Any:
    def mark(cls: type[InMemory]) -> type[InMemory]:
        BROKEN.setdefault(promise, []).append(cls)
        return cls

    return mark


@breaks("built-from-its-context")
class WantsMore(InMemory):
    def __init__(self, context: Context[Any, Any], world: World | None = None) -> None:
        super().__init__(context, world)
        self.nursery = context.nursery  # type: ignore[attr-defined]


@breaks("starts")
class NeverReady(InMemory):
    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        await self.context.stopping.wait()


@breaks("stays-up")
class FallsOver(InMemory):
    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        await trio.sleep(0.1)
        raise ConnectionError("the other side hung up")


@breaks("stops")
class GoesOn(InMemory):
    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        await trio.sleep_forever()


@breaks("ends-when-cancelled")
class FinishesFirst(InMemory):
    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        try:
            await self.context.stopping.wait()
        except trio.Cancelled:
            with trio.CancelScope(shield=True):
                await trio.sleep(60)
            raise


@breaks("no-fault")
class FailsNow(InMemory):
    @hookimpl
    async def capacity(self) -> list[Room]:
        raise RuntimeError("out of order")


@breaks("no-fault")
class AnswersSomethingElse(InMemory):
    @hookimpl
    async def list_machines(self) -> list[Machine]:
        return {each.id: each for each in await super().list_machines()}  # type: ignore[return-value]


@breaks("no-fault")
class TakesTooLong(InMemory):
    @hookimpl
    async def list_machines(self) -> list[Machine]:
        await trio.sleep(600)
        return []


@breaks("secrets-kept")
class Logs(InMemory):
    @hookimpl
    async def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
        assert registration.config is not None
        self.context.log.debug("making %s with %s", runner.name, registration.config.reveal())
        return await super().provision_runner(runner, registration)


@breaks("secrets-kept")
class ShowsFacts(InMemory):
    @hookimpl
    async def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
        assert registration.config is not None
        made = await super().provision_runner(runner, registration)
        return replace(made, facts={"config": registration.config.reveal()})


@breaks("secrets-kept")
class Reports(InMemory):
    @hookimpl
    async def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
        assert registration.config is not None
        self.context.report("making one", command=["run", registration.config.reveal()])
        return await super().provision_runner(runner, registration)


@breaks("secrets-kept")
class Keeps(InMemory):
    @hookimpl
    async def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
        assert registration.config is not None
        await self.context.keep(runner.id, "seed.txt", registration.config.reveal().encode())
        return await super().provision_runner(runner, registration)


class SpinningService(InMemory):
    """Caught by `ends-when-cancelled`, on the real clock: it never lets go of the loop's time."""

    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        while not self.context.stopping.is_set():
            with suppress(BaseException):
                await trio.sleep(0.05)


class SpinningHook(InMemory):
    """The same in a hook."""

    @hookimpl
    async def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
        while True:
            with suppress(BaseException):
                await trio.sleep(0.01)
                return await super().provision_runner(runner, registration)


class BlocksTheLoop(InMemory):
    """Caught by `loop-free`, on the real clock."""

    @hookimpl
    async def list_machines(self) -> list[Machine]:
        time.sleep(0.1)  # noqa: ASYNC251 - that is what it does wrong
        return await super().list_machines()
