"""`scaler status --watch`: in place on a terminal, which is put back; elsewhere line by line."""

from __future__ import annotations

import io
import json
import os
import queue
import signal
import subprocess
import sys
import termios
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from tests.cli.canned import NIGHT, runner, status
from tests.cli.fake import FakeScaler, Terminal, plain, screen, until

from scaler.cli import watching as watching_module
from scaler.cli.main import main
from scaler.cli.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Start = Callable[..., Terminal]

pytestmark = pytest.mark.once

ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"  # (the last: what is too long for a line is cut)
LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"


def watching(start: Start, other: FakeScaler, **size: int) -> Terminal:
    shown = start("status", "--watch", "--state-dir", str(other.folder), **size)
    other.watched()
    until(lambda: "scaler try" in plain(shown.output))
    return shown


def page(shown: Terminal, columns: int = 80, lines: int = 24) -> list[str]:
    """What stands there now: of the last screen that was drawn to its end."""
    output = shown.output.replace("\r\r\n", "\r\n")
    frames = output.split(ENTER)[-1].split(LEAVE)[0].split("\x1b[H")
    return screen("\x1b[H" + frames[-2 if len(frames) > 2 else -1], columns, lines)


def put_back(shown: Terminal) -> bool:
    """Whether the terminal is as it was before."""
    output = shown.output
    return (
        output.count(ENTER) == output.count(LEAVE) >= 1
        and output.rindex(LEAVE) > output.rindex(ENTER)
        and "\x1b[H" not in output[output.rindex(LEAVE) :]
    )


def test_it_is_shown_in_place_and_ctrl_c_puts_the_terminal_back(
    terminal: Start, other: FakeScaler
) -> None:
    shown = watching(terminal, other)
    assert any(line.startswith("scaler try: all is well") for line in page(shown))
    other.push(NIGHT)
    until(lambda: any("2 things need you" in line for line in page(shown)))
    assert not any("all is well" in line for line in page(shown))
    assert termios.tcgetattr(shown.other) == shown.before
    shown.type("\x03")
    assert shown.wait() == 0
    assert put_back(shown)
    assert "Traceback" not in shown.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_it_puts_the_terminal_back(
    terminal: Start, other: FakeScaler, number: signal.Signals
) -> None:
    shown = watching(terminal, other)
    shown.send(number)
    assert shown.wait() == -number
    assert put_back(shown)


def test_where_scaler_stops_the_terminal_is_put_back_and_it_is_said(
    terminal: Start, other: FakeScaler
) -> None:
    shown = watching(terminal, other)
    other.stop()
    assert shown.wait() == 1
    assert put_back(shown)
    assert "scaler has ended" in plain(shown.output.split(LEAVE)[-1])


def test_another_size_is_taken_up(terminal: Start, other: FakeScaler) -> None:
    other.answers["status"] = status(runners=[runner(number) for number in range(1, 200)])
    shown = watching(terminal, other)
    until(lambda: any("more runners" in line for line in page(shown)))
    for columns, lines in ((40, 10), (120, 50), (5, 2), (80, 24)):
        before = len(shown.output)
        shown.resize(columns, lines)
        until(lambda before=before: shown.output[before:].count("\x1b[H") >= 3)  # type: ignore[misc]
        # (the last column of a line that is cut has the last of what does not fit)
        assert "scaler"[: columns - 1] in "".join(page(shown, columns, lines))
    shown.type("\x03")
    assert shown.wait() == 0


def test_a_line_as_wide_as_the_screen_is_shown_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "5")
    monkeypatch.setenv("LINES", "3")
    paper = io.StringIO()
    shown = Screen(paper, lambda: None)
    for page in (["abcde", "x"], ["abcde", "fghij", "klmno"], ["xyz", "", "x"], ["abcde"]):
        shown.show(page)
        assert screen(paper.getvalue(), 5, 3) == [*page, "", ""][:3]


def test_times_go_on_while_nothing_changes(terminal: Start, other: FakeScaler) -> None:
    shown = watching(terminal, other)
    until(lambda: "3m14s" in plain(shown.output))
    shown.type("\x03")
    assert shown.wait() == 0


def test_one_that_is_silent_may_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    class Paper:
        def size(self) -> tuple[int, int]:
            return 80, 24

        def show(self, lines: list[str]) -> None:
            shown.append(lines[0])
            if len(shown) == 3:
                raise KeyboardInterrupt

    now = iter([0.0, 1.0, 24.0, 26.0])
    monkeypatch.setattr(watching_module, "time", SimpleNamespace(monotonic=lambda: next(now)))
    monkeypatch.setattr(watching_module, "_TICK", 0.001)
    with pytest.raises(KeyboardInterrupt):
        watching_module._redraw(Paper(), queue.SimpleQueue(), status())  # type: ignore[arg-type]
    assert shown == [
        "2026-11-22 18:13:21 UTC",
        "2026-11-22 18:13:44 UTC",
        "2026-11-22 18:13:46 UTC · no news for 26s: scaler may hang",
    ]


def test_ctrl_z_gives_the_terminal_back_for_so_long(terminal: Start, other: FakeScaler) -> None:
    shown = watching(terminal, other)
    shown.type("\x1a")
    until(lambda: shown.output.count(LEAVE) == 1)
    until(lambda: stopped(shown.process.pid))
    shown.send(signal.SIGCONT)
    until(lambda: shown.output.count(ENTER) == 2)
    until(lambda: "scaler try" in plain(shown.output.split(ENTER)[-1]))
    shown.type("\x03")
    assert shown.wait() == 0
    assert put_back(shown)


def stopped(pid: int) -> bool:
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] in "Tt"


def test_a_terminal_that_can_do_nothing_gets_blocks(terminal: Start, other: FakeScaler) -> None:
    shown = terminal("status", "--watch", "--state-dir", str(other.folder), TERM="dumb")
    other.watched()
    until(lambda: "scaler try" in shown.output)
    shown.type("\x03")
    assert shown.wait() == 0
    assert "\x1b" not in shown.output


# --- no terminal ----------------------------------------------------------------------------


@pytest.fixture
def piped(other: FakeScaler) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    made = []

    def start(*argv: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "scaler", "status", "--watch", *argv]
        process = subprocess.Popen(
            [*command, "--state-dir", str(other.folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        made.append(process)
        return process

    yield start
    for each in made:
        each.kill()
        each.communicate()


def test_piped_it_is_a_block_for_each_change(
    piped: Callable[..., subprocess.Popen[str]], other: FakeScaler
) -> None:
    process = piped()
    assert process.stdout is not None
    assert process.stdout.readline() == "== 2026-11-22 18:13:20 UTC\n"
    assert process.stdout.readline().startswith("scaler try: all is well")
    other.watched()
    other.push(NIGHT)
    block: list[str] = []
    while not block or not block[-1].startswith("1003"):
        block.append(process.stdout.readline())
    assert "\x1b" not in "".join(block)
    at = block.index("== 2026-11-22 18:13:20 UTC\n")
    assert block[at - 1] == "\n"
    assert block[at + 1].startswith("scaler try: 2 things need you")
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0


def test_json_is_an_object_a_line(
    piped: Callable[..., subprocess.Popen[str]], other: FakeScaler
) -> None:
    process = piped("--json")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline()) == status()
    other.watched()
    other.push(NIGHT)
    assert json.loads(process.stdout.readline()) == NIGHT
    other.stop()
    assert process.wait(20) == 1
    assert process.stderr is not None
    assert "scaler has ended" in process.stderr.read()


def test_a_reader_that_goes_ends_it_quietly(
    piped: Callable[..., subprocess.Popen[str]], other: FakeScaler
) -> None:
    process = piped("--json")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    other.watched()
    process.stdout.close()
    other.push(NIGHT)
    assert process.wait(20) == 1
    assert process.stderr.read() == ""


def test_none_that_runs_is_not_watched(tmp_path: Any, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--watch", "--state-dir", str(tmp_path)]) == 1
    assert "scaler is not running" in capfd.readouterr().err
    assert os.listdir(tmp_path) == []
