"""Whatever is logged while a plugin works says of what: plugin, profile, runner and job."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import trio
from tests.dispatch.toys import hooks

from scaler import HookFault, Machine, Registration, Runner, RunnerState, hookimpl, log
from scaler.hooks import SPEC

LIBRARY = logging.getLogger("some.library")
RUNNER = Runner(id=7, name="linux.7@here", profile="linux", state=RunnerState.BOOTING, job="4711")
WHOLE = {"plugin": "box", "runner": 7, "profile": "linux", "job": "4711"}


class Box:
    """Logs by the root, from a task of its own and from a thread."""

    @hookimpl
    async def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
        LIBRARY.warning("from the hook")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._beside)
        await trio.to_thread.run_sync(LIBRARY.warning, "from a thread")
        return Machine(id="m", runner=runner.id)

    async def _beside(self) -> None:
        LIBRARY.warning("from a task")

    @hookimpl
    def destroy_runner(self, runner: Runner) -> None:
        LIBRARY.warning("from a plain hook")
        raise ValueError("it does not work")


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    """What is written, once the test looks."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    log.setup("info", stream=stream)

    class Lines(list[dict[str, Any]]):
        def __iter__(self) -> Iterator[dict[str, Any]]:
            return iter([json.loads(line) for line in stream.getvalue().splitlines()])

    yield Lines()
    root.handlers[:] = before
    root.setLevel(level)


def facts(line: dict[str, Any]) -> dict[str, Any]:
    return {name: line[name] for name in WHOLE if name in line}


async def test_every_record_within_a_call_says_of_what(lines: list[dict[str, Any]]) -> None:
    dispatcher, _ = hooks(box=Box())
    await dispatcher.route(
        "box", None, SPEC.provision_runner, runner=RUNNER, registration=Registration(name="x")
    )
    assert [(line["message"], facts(line)) for line in lines] == [
        ("from the hook", WHOLE),
        ("from a task", WHOLE),
        ("from a thread", WHOLE),
    ]


async def test_so_does_the_record_of_its_fault(lines: list[dict[str, Any]]) -> None:
    dispatcher, _ = hooks(box=Box())
    with pytest.raises(HookFault):
        await dispatcher.route("box", None, SPEC.destroy_runner, runner=RUNNER)
    told = list(lines)
    assert len(told) == 2
    assert [facts(line) for line in told] == [WHOLE, WHOLE]
    assert "it does not work" in told[1]["message"]


async def test_what_is_logged_beside_a_call_is_about_nothing(lines: list[dict[str, Any]]) -> None:
    dispatcher, _ = hooks(box=Box())
    await dispatcher.route(
        "box", None, SPEC.provision_runner, runner=RUNNER, registration=Registration(name="x")
    )
    LIBRARY.warning("afterwards")
    assert facts(list(lines)[-1]) == {}


async def test_what_a_record_says_itself_counts_more(lines: list[dict[str, Any]]) -> None:
    class Other:
        @hookimpl
        def destroy_runner(self, runner: Runner) -> None:
            LIBRARY.warning("of another", extra={"runner": 8})

    dispatcher, _ = hooks(box=Other())
    await dispatcher.route("box", None, SPEC.destroy_runner, runner=RUNNER)
    assert facts(next(iter(lines))) == {**WHOLE, "runner": 8}


async def test_the_core_speaks_for_itself(lines: list[dict[str, Any]]) -> None:
    class Asks:
        @hookimpl
        async def destroy_runner(self, runner: Runner) -> None:
            logging.getLogger("scaler").warning("an event", extra={"profile": "other"})
            logging.getLogger("scaler.plugins.box").warning("a plugin's own")

    dispatcher, _ = hooks(box=Asks())
    await dispatcher.route("box", None, SPEC.destroy_runner, runner=RUNNER)
    assert [facts(line) for line in lines] == [{"profile": "other"}, WHOLE]
