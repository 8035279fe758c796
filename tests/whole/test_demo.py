"""`scaler demo`: what it shows, on which terminal, and how it ends."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest
from rich.console import Console

from scaler import Job, Profile, ProfileView, Runner, RunnerState, View
from scaler_github.demo.command import command
from scaler_github.demo.record import Record
from scaler_github.demo.table import render

pytestmark = pytest.mark.once

NASTY = "\x1b[31m\x07\x9b\u2028\u202e[/red]"
COMMAND = [sys.executable, "-m", "scaler", "demo"]


def view(jobs: int, runners: int, *, name: str = "x", stopping: bool = False) -> View:
    profiles = {
        each: ProfileView(
            profile=Profile(name=each), demand=1, target=1, ceiling=2, counts={}, why=name
        )
        for each in ("linux", f"large{name}")
    }
    return View(
        version=1,
        time=0,
        scaler="demo",
        stopping=stopping,
        profiles=profiles,
        jobs=tuple(
            Job(
                id=f"job-{n}{name}",
                name=name,
                profile=name,
                runner_name=name,
                state="done" if n < jobs // 2 else "running",
            )
            for n in range(jobs)
        ),
        runners=tuple(
            Runner(
                id=n + 1, name=f"run-{n}{name}", profile="linux", state=RunnerState.BUSY, job=name
            )
            for n in range(runners)
        ),
        rooms={},
        reports=(),
        waiting={},
        events=(),
    )


def picture(seen: View, width: int, height: int) -> list[str]:
    console = Console(width=width, height=height, force_terminal=False, color_system=None)
    with console.capture() as shown:
        console.print(render(seen, Record(lambda _: None), width, height))
    return shown.get().splitlines()


@pytest.mark.parametrize(("width", "height"), [(40, 10), (20, 6), (80, 24), (200, 60), (69, 14)])
@pytest.mark.parametrize(("jobs", "runners"), [(9, 9), (40, 1), (1, 40), (0, 3)])
async def test_the_table_fits_and_neither_jobs_nor_runners_vanish(
    width: int, height: int, jobs: int, runners: int
) -> None:
    lines = picture(view(jobs, runners), width, height)
    assert len(lines) < height
    assert sum("run-" in line for line in lines) >= 1
    assert sum("job-" in line or "j…" in line for line in lines) >= min(jobs, 1)


async def test_a_large_terminal_shows_everything() -> None:
    lines = picture(view(9, 9), 120, 50)
    assert sum("run-" in line for line in lines) == 9
    assert sum("job-" in line for line in lines) == 9
    assert {"profiles", "jobs", "runners"} <= {line.strip() for line in lines}
    assert lines[-1].endswith("Ctrl-C stops")
    assert picture(view(9, 9, stopping=True), 120, 50)[-1].endswith("stopping")


async def test_names_send_a_terminal_no_commands() -> None:
    text = "\n".join(picture(view(3, 3, name=NASTY), 250, 40))
    assert set(filter(lambda c: not c.isprintable(), text)) == {"\n"}
    assert "job-0\\x1b[31m\\x07\\x9b\\u2028\\u202e[/red]" in text


async def test_names_start_no_lines() -> None:
    lines: list[str] = []
    record = Record(lines.append)
    record.job(Job(id="7", name=NASTY + "\n", state="done", result=NASTY), None)
    record.runner(
        Runner(id=1, name=NASTY, profile="linux", state=RunnerState.GONE, reason="\n"), None
    )
    assert all(line.isprintable() for line in lines)
    assert len(lines) == 2


def on_terminal(width: int, height: int, **environ: str) -> tuple[int, str]:
    """Run it for a second on a terminal of this size."""
    # the terminal's size counts, not what a test runner says of its own
    inherited = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
    mine, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    process = subprocess.Popen(
        [*COMMAND, "--seconds", "1.5"],
        stdin=its,
        stdout=its,
        stderr=its,
        env={**inherited, "TERM": "xterm", **environ},
    )
    os.close(its)
    shown = b""
    while True:
        try:
            shown += (got := os.read(mine, 65536))
        except OSError:  # Linux's word for the end
            break
        if not got:
            break
    os.close(mine)
    return process.wait(20), shown.decode()


@pytest.mark.parametrize("no_color", ["", "1"])
def test_the_last_table_stays_above_the_summary(no_color: str) -> None:
    code, shown = on_terminal(40, 10, NO_COLOR=no_color)
    assert code == 0
    assert ("\x1b[3" in shown) == (not no_color)
    last = shown.rpartition("\x1b[2K")[2]
    plain = re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", last)
    assert "linux.1@demo" in plain
    assert plain.index("linux.1@demo") < plain.index("stopping") < plain.index("jobs came")


def test_a_dumb_terminal_gets_lines() -> None:
    code, shown = on_terminal(80, 24, TERM="dumb")
    assert code == 0
    assert "\x1b" not in shown
    assert "runner linux.1@demo: planned" in shown


def test_a_pipe_is_no_terminal_whatever_the_environment_says() -> None:
    done = subprocess.run(
        [*COMMAND, "--seconds", "0.5"],
        env={**os.environ, "FORCE_COLOR": "1", "TTY_COMPATIBLE": "1"},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert "\x1b" not in done.stdout
    assert "jobs came" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_the_summary(number: int) -> None:
    with subprocess.Popen(
        COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert "a simulator of GitHub" in process.stdout.readline()
        time.sleep(0.3)
        process.send_signal(number)
        shown, complaint = process.communicate(timeout=20)
    assert (process.returncode, complaint) == (0, "")
    assert "jobs came" in shown


@pytest.mark.parametrize(
    "argv", [["--seconds", "x"], ["--seconds", "nan"], ["--seconds", "-1"], ["--flow", "y"], ["z"]]
)
def test_wrong_options_are_exit_two(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command(argv)
    assert caught.value.code == 2
    assert "usage: scaler demo" in capsys.readouterr().err
