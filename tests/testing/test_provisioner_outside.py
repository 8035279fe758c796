"""What the outside world says of a provisioner, and how a failure is told."""

from __future__ import annotations

import itertools
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import trio
from tests.testing.machines import InMemory, World

from scaler import Context, Finding, Machine, Registration, Runner, Unavailable, hookimpl
from scaler.testing import PromiseBroken, check_provisioner, stepping

if TYPE_CHECKING:
    from trio.testing import MockClock


class Cluster(World):
    """Machines, processes beside them that no list shows, and a way to it that can be cut."""

    def __init__(self) -> None:
        super().__init__()
        self.processes: dict[tuple[str, int], str] = {}
        self.numbered = itertools.count(1)
        self.away = False

    def left(self) -> list[str]:
        return [f"process {name}" for name in self.processes.values()]

    async def left_slowly(self) -> list[str]:
        await trio.sleep(0.01)
        return self.left()

    @contextmanager
    def cut(self) -> Iterator[None]:
        self.away = True
        yield
        self.away = False

    @asynccontextmanager
    async def cut_slowly(self) -> AsyncIterator[None]:
        with self.cut():
            await trio.sleep(0.01)
            yield


class Runs(InMemory):
    """Starts a process, and then writes down that it did: all is well if nothing comes between."""

    world: Cluster
    between = False

    @hookimpl
    async def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
        if self.key(runner) not in self.world.machines:
            self.world.processes[self.key(runner)] = f"of {runner.id}"
            if self.between:
                await trio.sleep(0.01)
        return await super().provision_runner(runner, registration)

    @hookimpl
    async def destroy_runner(self, runner: Runner) -> None:
        if not self.between or self.key(runner) in self.world.machines:
            self.world.processes.pop(self.key(runner), None)
        await super().destroy_runner(runner)


class Forgets(Runs):
    between = True


class Leaves(Runs):
    @hookimpl
    async def destroy_runner(self, runner: Runner) -> None:
        await InMemory.destroy_runner(self, runner)


class Cuttable(InMemory):
    """Says that its world is away, while it is; its service as well, which scaler starts again."""

    world: Cluster

    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        if self.world.away:
            raise Unavailable("the cluster is away")
        task_status.started()
        await self.context.stopping.wait()

    @hookimpl
    async def list_machines(self) -> list[Machine]:
        if self.world.away:
            raise Unavailable("the cluster is away")
        return await super().list_machines()


class SaysNone(InMemory):
    world: Cluster

    @hookimpl
    async def list_machines(self) -> list[Machine]:
        return [] if self.world.away else await super().list_machines()


class SaysNoneAtFirst(Cuttable):
    """Answers from what it knows while its world is away; a new instance knows nothing."""

    def __init__(self, context: Context[Any, Any], world: World | None = None) -> None:
        super().__init__(context, world)
        self.known: list[Machine] = []

    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        await self.context.stopping.wait()

    @hookimpl
    async def list_machines(self) -> list[Machine]:
        if not self.world.away:
            self.known = await super().list_machines()
        return self.known


class FallsOnce(InMemory):
    """Its service says for a moment that the other side is away."""

    fell = 0

    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        if not type(self).fell:
            type(self).fell += 1
            raise Unavailable("hung up")
        await self.context.stopping.wait()


class FallsAlways(InMemory):
    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        raise Unavailable("hung up")


class Misspelt(InMemory):
    @hookimpl
    async def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
        return self.made(runner)

    def made(self, runner: Runner) -> Machine:
        return nam  # type: ignore[name-defined, no-any-return]  # noqa: F821 - its mistake


class Answers(InMemory):
    @hookimpl
    async def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
        await trio.lowlevel.checkpoint()
        return f"machine {runner.id}"  # type: ignore[return-value]


class MakesInCheck(InMemory):
    """Makes a machine when it is checked, with the service running or without."""

    running = False
    when = False

    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        self.running = True
        await super().run_service(task_status)

    @hookimpl
    async def check(self) -> list[Finding]:
        await trio.lowlevel.checkpoint()
        if self.running == self.when:
            machine = Machine(runner=99, id="99", runner_name="linux.99@here", profile="linux")
            self.world.machines["here", 99] = machine
        return []


class MakesInCheckBeside(MakesInCheck):
    when = True


class SavesInCheck(InMemory):
    @hookimpl
    async def check(self) -> list[Finding]:
        await self.context.save("checked", {"times": 1})
        return []


async def broken(cls: type[InMemory], **more: Any) -> PromiseBroken:
    world = Cluster()
    make = partial(cls, world=world)
    for name in ("left", "unreachable"):
        if name in more:
            more[name] = getattr(world, more[name])
    with pytest.raises(PromiseBroken) as caught:
        await check_provisioner(make, plugin=cls, **{"points": 6, **more})
    return caught.value


@pytest.mark.parametrize("left", ["left", "left_slowly"])
async def test_what_no_list_shows_is_seen_by_asking_the_world(
    left: str, autojump_clock: MockClock
) -> None:
    world = Cluster()
    await check_provisioner(
        partial(Forgets, world=world), plugin=Forgets, points=6
    )  # nobody asked the world
    assert world.processes
    error = await broken(Forgets, left=left)
    assert error.promise.name == "cancelled-leaves-none"
    assert "cancelled at await 1 of 3, " in error.seen
    assert "in provision_runner" in error.seen
    assert "process of " in error.seen
    error = await broken(Leaves, left=left)
    assert error.promise.name == "leaves-none"


async def test_what_was_there_before_is_not_left(autojump_clock: MockClock) -> None:
    world = Cluster()
    world.processes["there", 1] = "of somebody's"
    await check_provisioner(partial(Runs, world=world), plugin=Runs, points=6, left=world.left)
    assert list(world.processes.values()) == ["of somebody's"]


async def test_left_is_a_list(autojump_clock: MockClock) -> None:
    with pytest.raises(TypeError, match="wanted a list of texts"):
        await check_provisioner(partial(Runs, world=Cluster()), plugin=Runs, left=lambda: "none")


@pytest.mark.parametrize("unreachable", ["cut", "cut_slowly"])
@pytest.mark.parametrize("cls", [SaysNone, SaysNoneAtFirst])
async def test_less_than_there_is_is_no_answer(
    cls: type[InMemory], unreachable: str, autojump_clock: MockClock
) -> None:
    error = await broken(cls, unreachable=unreachable)
    assert error.promise.name == "complete-or-raises"
    assert "list_machines answered nothing, without linux." in error.seen


async def test_one_that_says_that_its_world_is_away_is_good(autojump_clock: MockClock) -> None:
    world = Cluster()
    make = partial(Cuttable, world=world)
    await check_provisioner(make, plugin=Cuttable, points=2, unreachable=world.cut)
    assert world.machines == {}


async def test_a_service_that_says_unavailable_is_started_again(autojump_clock: MockClock) -> None:
    FallsOnce.fell = 0
    await check_provisioner(partial(FallsOnce, world=World()), plugin=FallsOnce, points=2)
    assert FallsOnce.fell
    error = await broken(FallsAlways)
    assert error.promise.name == "stays-up"
    assert "raised 6 times Unavailable: hung up (" in error.seen


@pytest.mark.parametrize("cls", [Misspelt, Answers])
async def test_a_plain_mistake_is_told_as_one(
    cls: type[InMemory], autojump_clock: MockClock
) -> None:
    error = await broken(cls)
    assert error.promise.name == "no-fault"


async def test_a_failure_shows_the_plugins_lines_alone(autojump_clock: MockClock) -> None:
    error = await broken(Misspelt)
    assert "NameError: name 'nam' is not defined (" in error.seen
    assert "in made < " in error.seen
    assert "in provision_runner" in error.seen
    shown = "".join(traceback.format_exception(error))
    assert shown.count("\n") < 20
    assert "During handling" not in shown


async def test_the_log_shows_no_lines_but_the_plugins(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    await broken(Misspelt)
    assert "NameError: name 'nam' is not defined (" in caplog.text
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("cls", [MakesInCheck, MakesInCheckBeside, SavesInCheck])
async def test_a_check_changes_no_machine_and_no_fact(
    cls: type[InMemory], autojump_clock: MockClock
) -> None:
    error = await broken(cls)
    assert error.promise.name == "check-changes-nothing"


async def test_one_that_holds_the_loop_up_is_told_the_third_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stepping, "BLOCKED", -1.0)  # (whatever it does, it takes longer)
    error = await broken(InMemory)
    assert error.promise.name == "loop-free"
    assert "held the loop up 3 times" in error.seen or "held the loop up 4 times" in error.seen
