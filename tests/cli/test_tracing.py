"""`--trace-hooks`: each call of a hook is one line, without secrets, of 300 characters at most."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from tests.cli.toys import GOOD

from scaler import Finding, Job, Machine, Message, Registration, Runner, Secret
from scaler.cli.main import main
from scaler.cli.tracing import line, trace
from scaler.dispatch.tracing import HookCall, Verdict
from scaler.records import RunnerState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RUNNER = Runner(
    id=7, name="linux.7@host", profile="linux", state=RunnerState.PLANNED, reason="x" * 500
)
REGISTRATION = Registration(name="linux.7@host", ref="1", config=Secret("do-not-tell"))


@pytest.fixture(autouse=True)
def _unheard() -> Iterator[None]:
    """The option opens the logger for the rest of the process."""
    logger = logging.getLogger("scaler.trace")
    yield
    logger.setLevel(logging.NOTSET)


def call(
    hook: str,
    outcome: Verdict = "answered",
    text: str = "None",
    seconds: float = 0.0123,
    answer: object = None,
    **arguments: object,
) -> HookCall:
    return HookCall(
        plugin="box",
        hook=hook,
        arguments=arguments,
        began=1.0,
        seconds=seconds,
        outcome=outcome,
        text=text,
        answer=answer,
    )


def job(number: int) -> Job:
    return Job(id=f"j{number}", state="offered")


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (
            call(
                "provision_runner",
                answer=Machine(runner=7, id="m7", room="vm1"),
                runner=RUNNER,
                registration=REGISTRATION,
            ),
            "box.provision_runner(runner=linux.7@host, registration=linux.7@host) → "
            "Machine(runner=7, id='m7', room='vm1') 12.3 ms",
        ),
        (
            call("register_runner", answer=REGISTRATION, runner=RUNNER, seconds=1.5),
            "box.register_runner(runner=linux.7@host) → "
            "Registration(name='linux.7@host', ref='1', config=Secret('***')) 1.50 s",
        ),
        (
            call("destroy_runner", runner=RUNNER),
            "box.destroy_runner(runner=linux.7@host) → None 12",
        ),
        (
            call("provision_runner", "said", "NoRoom: it is full", runner=RUNNER),
            "box.provision_runner(runner=linux.7@host) said NoRoom: it is full 12.3 ms",
        ),
        (
            call("destroy_runner", "failed", "took longer than 120 s", 120.0, runner=RUNNER),
            "box.destroy_runner(runner=linux.7@host) failed: took longer than 120 s 120 s",
        ),
        (
            call("check", answer=[Finding(ok=True, text="a"), Finding(ok=False, text="b")]),
            "box.check() → [Finding(ok=True, text='a'), Finding(ok=False, text='b')] 12.3 ms",
        ),
        (call("list_machines", text="[]", answer=[]), "box.list_machines() → [] 12.3 ms"),
        (
            call(
                "acquire_jobs", answer=[job(n) for n in range(5)], jobs=[job(n) for n in range(5)]
            ),
            "box.acquire_jobs(jobs=[j0, j1, j2, … 5 in all]) → [Job(id='j0', ",
        ),
        (call("run_service", text="ready", task_status=object()), "box.run_service() → ready 12.3"),
        (
            call("on_message", message=Message(id="m1", profile="linux", raw={"a": "b"})),
            "box.on_message(message=m1) → None",
        ),
        (
            call("on_job_changed", job=job(1), before=None),
            "box.on_job_changed(job=j1, before=None) → None",
        ),
        (call("screenshot", text="9 bytes", answer=b"123456789"), "box.screenshot() → 9 bytes 12"),
    ],
)
def test_a_call_is_told_in_a_line(seen: HookCall, told: str) -> None:
    assert line(seen).startswith(told)


@pytest.mark.parametrize(
    "seen",
    [
        call("check", answer=[Finding(ok=True, text="x\n" * 400)]),
        call("check", "failed", "raised ValueError: " + "\x1b[31m\n" * 400, runner="y" * 900),
        call("check", text="z" * 200, answer=object(), a="b" * 50, c="d" * 50, e="f" * 50),
    ],
)
def test_however_much_there_is_it_is_one_line_that_ends_with_the_time(seen: HookCall) -> None:
    told = line(seen)
    assert len(told) == 300
    assert told.endswith("… 12.3 ms")
    assert "\n" not in told
    assert "\x1b" not in told


class Hostile:
    def __repr__(self) -> str:
        raise ValueError("nothing is told")


def test_what_cannot_be_printed_is_told_by_its_type() -> None:
    machine = Machine(runner=7, id="m7", facts={"a": Hostile()})
    told = line(call("x", text="Machine (which cannot be printed)", answer=machine, a=Hostile()))
    assert told == "box.x(a=Hostile) → Machine (which cannot be printed) 12.3 ms"


def test_faults_stand_out_and_what_was_cancelled_does_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", logger="scaler.trace")
    for outcome, text in (
        ("answered", "None"),
        ("said", "Busy"),
        ("failed", "raised KeyError: 1"),
        ("failed", "was cancelled"),
    ):
        trace(call("check", outcome, text))  # type: ignore[arg-type]
    assert [record.levelname for record in caplog.records] == ["INFO", "INFO", "ERROR", "INFO"]


@pytest.mark.parametrize("command", ["run", "check"])
def test_the_commands_have_calls_followed_where_it_is_asked_for(
    command: str,
    write: Callable[[str], str],
    app: SimpleNamespace,
    capsys: pytest.CaptureFixture[str],
) -> None:
    followed: list[Any] = []

    def start(*_: Any, trace: Any, **_more: Any) -> list[Any]:
        followed.append(trace)
        if trace is not None:
            trace(call("check", runner=RUNNER))
        return []

    app.main = app.check = start
    path = write(GOOD.replace('state_dir = "state"', 'state_dir = "state"\n    log = "error"'))
    assert main([command, "-c", path]) == 0
    assert followed == [None]
    assert "scaler.trace" not in capsys.readouterr().err
    assert main([command, "-c", path, "--trace-hooks"]) == 0
    said = capsys.readouterr().err
    assert '"logger": "scaler.trace", "message": "box.check(runner=linux.7@host)' in said
