"""What a person orders that ends jobs: it is asked before, and told after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.cli.canned import job, room, runner, status
from tests.cli.fake import NOW, FakeScaler, Refused, Terminal, plain, until

if TYPE_CHECKING:
    from collections.abc import Callable

    Ask = Callable[..., tuple[int, list[str], list[str]]]

pytestmark = pytest.mark.once


def order(name: str, kind: str = "pause") -> dict[str, Any]:
    return {"kind": kind, "name": name, "since": NOW, "by": "root"}


def refuse(*given: Any) -> Callable[[object], None]:
    def answer(_: object) -> None:
        raise Refused(*given)

    return answer


ENDING = status(
    rooms=[room("vm1", machines=3)],
    runners=[runner(1), runner(2, "busy", job="1001"), runner(3, "busy", room="vm2", job="1002")],
    jobs=[job(1001, "running"), job(1002, "running", name="test")],
)
GONE = {"runner": runner(2, "gone"), "gone": True}


def forced(other: FakeScaler) -> None:
    other.answers |= {
        "status": ENDING,
        "destroy": GONE,
        "drain": {
            "order": order("vm1", "drain"),
            "runners": [runner(2, job="1001")],
            "machines": 1,
        },
    }


@pytest.mark.parametrize("argv", [["destroy", "2", "--busy"], ["drain", "vm1", "--now"]])
def test_without_a_terminal_it_must_be_said_that_it_is_meant(
    ask: Ask, other: FakeScaler, argv: list[str]
) -> None:
    forced(other)
    code, out, err = ask(*argv)
    assert (code, out) == (2, [])
    assert "ends jobs, and there is no terminal to ask at: add --yes" in err[0]
    assert other.requests == []
    assert ask(*argv, "--yes")[0] == 0
    assert len(other.asked(argv[0])) == 1


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["destroy", "linux.2", "--busy"], "linux.2 (busy, job 1001 build): its job ends"),
        (["drain", "vm1", "--now"], "linux.2 (busy, job 1001 build)"),
    ],
)
@pytest.mark.parametrize("answer", ["y", "yes", "n", "", "\x04"])
def test_on_a_terminal_it_is_asked_with_the_jobs_that_end(
    terminal: Callable[..., Terminal],
    other: FakeScaler,
    argv: list[str],
    shown: str,
    answer: str,
) -> None:
    forced(other)
    asking = terminal(*argv, "--state-dir", str(other.folder), columns=120)
    until(lambda: "[y/N]" in plain(asking.output))
    assert shown in plain(asking.output)
    assert "1002" not in plain(asking.output)
    assert other.asked(argv[0]) == []
    asking.type(answer + ("\n" if answer != "\x04" else ""))
    meant = answer in ("y", "yes")
    assert asking.wait() == (0 if meant else 1)
    assert len(other.asked(argv[0])) == meant
    assert ("nothing was done" in plain(asking.output)) != meant


@pytest.mark.parametrize(
    ("argv", "rooms", "shown"),
    [
        (["drain", "hosts", "--now"], [room("")], "linux.2 (busy, job 1001 build)"),
        (["drain", "vm1", "--now"], [], "vm1 is not told of by scaler status"),
        (["destroy", "002", "--busy"], [], "linux.2 (busy, job 1001 build): its job ends"),
        (["destroy", "9", "--busy"], [], "9 is not told of by scaler status"),
    ],
)
def test_what_scaler_may_know_by_another_name_is_asked_as_well(
    terminal: Callable[..., Terminal],
    other: FakeScaler,
    argv: list[str],
    rooms: list[Any],
    shown: str,
) -> None:
    forced(other)
    other.answers["status"] = status(
        rooms=rooms,
        runners=[runner(2, "busy", room="", job="1001")],
        jobs=[job(1001, "running")],
    )
    asking = terminal(*argv, "--state-dir", str(other.folder), columns=120)
    until(lambda: "[y/N]" in plain(asking.output))
    assert shown in plain(asking.output)
    asking.type("n\n")
    assert asking.wait() == 1
    assert other.asked(argv[0]) == []


def test_where_no_job_ends_nothing_is_asked(
    terminal: Callable[..., Terminal], other: FakeScaler
) -> None:
    forced(other)
    other.answers["status"] = status(rooms=[room("vm1", machines=1)], runners=[runner(1)])
    for argv in (["destroy", "1", "--busy"], ["drain", "vm1", "--now"]):
        done = terminal(*argv, "--state-dir", str(other.folder))
        assert done.wait() == 0
        assert "[y/N]" not in done.output


def test_a_runner_that_is_busy_is_left_alone(ask: Ask, other: FakeScaler) -> None:
    text = "linux.2@try runs job 1001 (build): nothing was done"
    other.answers["destroy"] = refuse("busy", text, "with --busy its job ends, too")
    assert ask("destroy", "2") == (1, [], [text, "→ with --busy its job ends, too"])
    assert other.asked("destroy") == [{"runner": "2", "busy": False}]


def test_what_became_of_a_runner_is_told(ask: Ask, other: FakeScaler) -> None:
    other.answers["destroy"] = GONE
    assert ask("destroy", "linux.2") == (0, ["linux.2 is gone"], [])
    still = runner(2, "retiring", reason="the queue does not answer")
    other.answers["destroy"] = {"runner": still, "gone": False}
    code, out, _ = ask("destroy", "2")
    assert code == 0
    assert out[0] == "linux.2 is still retiring: the queue does not answer"
    assert out[1].endswith("see: scaler why 2")


def test_release_says_what_became_of_it(ask: Ask, other: FakeScaler) -> None:
    other.answers["release"] = {"runner": runner(2, "idle")}
    assert ask("release", "2")[1] == ["linux.2 is free again: its reservation was taken back"]
    other.answers["release"] = {"runner": runner(2, "retiring")}
    assert ask("release", "2")[1] == ["linux.2 is let go: retiring"]
