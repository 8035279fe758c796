"""`scaler check` says what it found, and ends, whatever a plugin does."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest
from tests.containment.test_process import HEAD, SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SWALLOWS = """
async def swallows():
    print("it begins", flush=True)
    while True:
        try:
            await trio.sleep(1)
        except BaseException:
            pass
"""


@pytest.fixture
def check(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    begun: list[subprocess.Popen[str]] = []

    def start(more: str) -> subprocess.Popen[str]:
        (tmp_path / "plugins").mkdir()
        body = textwrap.indent(textwrap.dedent(more), "    ")
        (tmp_path / "plugins" / "bad.py").write_text(HEAD + body + SWALLOWS)
        (tmp_path / "scaler.toml").write_text(SETTINGS.format(folder=tmp_path))
        command = [sys.executable, "-m", "scaler", "check", "-c", str(tmp_path / "scaler.toml")]
        pipe = subprocess.PIPE
        begun.append(subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True))
        return begun[-1]

    yield start
    for each in begun:
        each.kill()
        each.communicate()


def interrupt(process: subprocess.Popen[str]) -> int:
    """Press Ctrl-C once the plugin was called; the exit code."""
    assert process.stdout is not None
    assert process.stdout.readline() == "it begins\n"
    process.send_signal(signal.SIGINT)
    return process.wait(30)


def test_c42_a_check_ends_at_ctrl_c_though_a_plugin_swallows_it(
    check: Callable[[str], subprocess.Popen[str]],
) -> None:
    process = check(
        """
        @hookimpl
        async def check(self):
            await swallows()
        """
    )
    assert interrupt(process) == 130


def test_c40_ctrl_c_while_a_plugin_is_built_is_no_error_of_the_plugin(
    check: Callable[[str], subprocess.Popen[str]],
) -> None:
    process = check(
        """
        def __init__(self, context):
            print("it begins", flush=True)
            time.sleep(60)
        """
    )
    assert interrupt(process) == 130
    assert process.stderr is not None
    assert process.stderr.read() == ""


def test_c42_what_was_found_is_told_before_the_process_is_ended(
    check: Callable[[str], subprocess.Popen[str]],
) -> None:
    process = check(
        """
        @hookimpl
        async def check(self):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(swallows)
                await swallows()
        """
    )
    out, err = process.communicate(timeout=90)
    assert process.returncode == 70
    assert "scaler host; plugins: bad" in out
    assert "WRONG  bad" in out
    assert "one call of a plugin's does not end: bad.check at" in err


def test_c40_a_plugin_that_cannot_be_registered_is_one_line(
    check: Callable[[str], subprocess.Popen[str]],
) -> None:
    process = check(
        """
        def __init__(self, context):
            self.on_odd = hookimpl(lambda: None)
        """
    )
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (4, "")
    assert "'on_odd'" in err
    assert "Traceback" not in err
