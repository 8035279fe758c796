"""Services of plugins: started, started again, and shown as degraded meanwhile."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing
from tests.dispatch.toys import around

from scaler.dispatch import Dispatcher
from scaler.errors import Unavailable
from scaler.hooks import SPEC, hookimpl
from scaler.loading import register
from scaler.records import Room
from scaler.services import Services

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Plugin:
    """A plugin whose service is what it is given; `began` are the times it was started at."""

    def __init__(self, service: Callable[[trio.TaskStatus[None]], Awaitable[None]]) -> None:
        self.service = service
        self.began: list[float] = []

    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        self.began.append(trio.current_time())
        await self.service(task_status)

    @hookimpl
    async def capacity(self) -> list[Room]:
        return [Room(name="a")]


@dataclass
class Stage:
    dispatcher: Dispatcher
    services: Services
    stopping: trio.Event
    reports: list[tuple[object, ...]] = field(default_factory=list)
    ready: list[float] = field(default_factory=list)


def stage(**plugins: object) -> Stage:
    dispatcher, stopping = Dispatcher(register(plugins), around()), trio.Event()
    reports: list[tuple[object, ...]] = []
    ready: list[float] = []
    services = Services(
        dispatcher,
        lambda *line: reports.append(line),
        lambda *_: ready.append(trio.current_time()),
        stopping,
    )
    return Stage(dispatcher, services, stopping, reports, ready)


async def ready(on: Stage) -> set[str]:
    """The plugins whose hooks can be called."""
    return set((await on.dispatcher.gather(SPEC.capacity)).answers)


async def runs(task_status: trio.TaskStatus[None]) -> None:
    task_status.started()
    await trio.sleep_forever()


def fails(
    error: BaseException, *, after: float = 0.0, started: bool = True
) -> Callable[[trio.TaskStatus[None]], Awaitable[None]]:
    async def service(task_status: trio.TaskStatus[None]) -> None:
        if started:
            task_status.started()
        await trio.sleep(after)
        raise error

    return service


async def test_hooks_can_be_called_once_it_has_started(autojump_clock: object) -> None:
    async def slow(task_status: trio.TaskStatus[None]) -> None:
        await trio.sleep(20)
        task_status.started()
        task_status.started()  # twice is harmless
        await trio.sleep_forever()

    class Bare:
        @hookimpl
        async def capacity(self) -> list[Room]:
            return []

    on = stage(slow=Plugin(slow), bare=Bare())
    async with trio.open_nursery() as nursery:
        await nursery.start(on.services.run)
        await trio.sleep(19)
        assert await ready(on) == {"bare"}
        assert set((await on.dispatcher.gather(SPEC.capacity)).failures) == {"slow"}
        await on.services.attempted()
        assert on.ready == [pytest.approx(20, abs=0.1)]
        assert await ready(on) == {"slow", "bare"}
        nursery.cancel_scope.cancel()
    assert on.reports == []


async def test_returning_ends_it_for_good(autojump_clock: object) -> None:
    async def nothing_to_run(task_status: trio.TaskStatus[None]) -> None:
        del task_status

    async def once(task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        await trio.sleep(5)

    quick, slow = Plugin(nothing_to_run), Plugin(once)
    on = stage(quick=quick, slow=slow)
    with trio.fail_after(10):
        await on.services.run()
        await on.services.attempted()
    assert await ready(on) == {"quick", "slow"}
    assert len(quick.began) == len(slow.began) == 1


@pytest.mark.parametrize("started", [True, False])
@pytest.mark.parametrize(
    "error",
    [ValueError("no"), SystemExit(1), BaseExceptionGroup("all", [SystemExit(1), OSError()])],
    ids=["error", "exit", "group"],
)
async def test_an_error_starts_it_again_ever_more_slowly(
    autojump_clock: object, caplog: pytest.LogCaptureFixture, started: bool, error: BaseException
) -> None:
    plugin, other = Plugin(fails(error, started=started)), Plugin(runs)
    on = stage(p=plugin, q=other)
    async with trio.open_nursery() as nursery:
        await nursery.start(on.services.run)
        await on.services.attempted()
        await trio.sleep(250)
        nursery.cancel_scope.cancel()
    waits = [round(b - a) for a, b in zip(plugin.began, plugin.began[1:], strict=False)]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert await ready(on) == {"q"}
    assert len(other.began) == 1
    assert {line[0] for line in on.reports} == {"p"}
    assert "its service failed, next try in 1 s: " in str(on.reports[0][1])
    assert all(record.__dict__["plugin"] == "p" for record in caplog.records)
    assert any(record.levelno == logging.ERROR and record.exc_info for record in caplog.records)


@pytest.mark.parametrize("started", [True, False])
async def test_what_is_missing_around_it_is_one_line_until_it_is_something_else(
    autojump_clock: object, caplog: pytest.LogCaptureFixture, started: bool
) -> None:
    plugin = Plugin(fails(Unavailable("port 8000 is in use"), started=started))
    on = stage(p=plugin)
    async with trio.open_nursery() as nursery:
        await nursery.start(on.services.run)
        await trio.sleep(120)
        plugin.service = fails(Unavailable("port 8001 is in use"), started=started)
        await trio.sleep(300)
        nursery.cancel_scope.cancel()
    told = [record.getMessage() for record in caplog.records]
    assert told == [f"p: port {port} is in use; it is tried again" for port in (8000, 8001)]
    assert not any(record.exc_info for record in caplog.records)
    assert "port 8001 is in use" in str(on.reports[-1][1])


async def test_it_recovers(autojump_clock: object) -> None:
    plugin = Plugin(fails(ValueError("no")))
    on = stage(p=plugin)
    async with trio.open_nursery() as nursery:
        await nursery.start(on.services.run)
        await trio.sleep(0.5)
        assert await ready(on) == set()
        plugin.service = runs
        await trio.sleep(1)
        assert await ready(on) == {"p"}
        nursery.cancel_scope.cancel()


async def test_a_long_steady_run_is_forgiven(autojump_clock: object) -> None:
    plugin = Plugin(fails(ValueError("no"), after=301))
    on = stage(p=plugin)
    async with trio.open_nursery() as nursery:
        await nursery.start(on.services.run)
        await trio.sleep(1000)
        nursery.cancel_scope.cancel()
    waits = [round(b - a) for a, b in zip(plugin.began, plugin.began[1:], strict=False)]
    assert waits == [302, 302, 302]


async def test_started_must_come_in_time(autojump_clock: object) -> None:
    async def never(task_status: trio.TaskStatus[None]) -> None:
        await trio.sleep_forever()

    on, began = stage(p=Plugin(never)), trio.current_time()
    async with trio.open_nursery() as nursery:
        await nursery.start(on.services.run)
        await on.services.attempted()
        assert trio.current_time() - began == pytest.approx(30, abs=0.5)
        await trio.testing.wait_all_tasks_blocked()
        [line] = on.reports
        assert "did not call started() within 30 s" in str(line[1])
        nursery.cancel_scope.cancel()


async def test_nothing_is_started_again_while_stopping(autojump_clock: object) -> None:
    failing = Plugin(fails(ValueError("no"), after=10))
    waiting = Plugin(fails(ValueError("no")))
    on = stage(failing=failing, waiting=waiting)
    with trio.fail_after(13):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(on.services.run)
            await trio.sleep(8)  # the one runs, the other waits for its next try
            on.stopping.set()
    assert len(failing.began) == 1
    assert len(waiting.began) == 4
