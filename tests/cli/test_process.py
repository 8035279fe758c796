"""The command line as a process: lost output, early signals, and what a terminal is sent."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from scaler import FatalError, PluginError
from scaler.cli import main as cli
from scaler.cli.main import main
from scaler.cli.terminal import table

if TYPE_CHECKING:
    from pathlib import Path

NASTY = "\x1b[31m\x07\x7f\x9b\u2028\u202e"

#: Runs the command line, and sends itself a signal where a module is about to be imported.
SIGNALLED = """
import os, sys
class Here:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            os.kill(os.getpid(), int(sys.argv[2]))
from scaler.cli.main import main
sys.meta_path.insert(0, Here())
sys.exit(main(sys.argv[3:]))
"""


def shell(
    line: str, *, unbuffered: bool = False, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run `scaler` in a shell's line."""
    environ = {**os.environ, "PYTHONUNBUFFERED": "1" if unbuffered else "", **environ}
    return subprocess.run(
        ["/bin/sh", "-c", line.replace("scaler", f"{sys.executable} -m scaler", 1)],
        capture_output=True,
        text=True,
        timeout=60,
        env=environ,
        check=False,
    )


@pytest.mark.parametrize("command", ["plugins", "demo --seconds 0.1", "--help"])
@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_closed_output_is_nowhere(command: str, closed: str) -> None:
    done = shell(f"scaler {command} {closed}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("unbuffered", [True, False])
@pytest.mark.parametrize("command", ["plugins", "demo --seconds 0.1"])
def test_a_full_disk_is_one_line(command: str, unbuffered: bool) -> None:
    done = shell(f"scaler {command} >/dev/full", unbuffered=unbuffered)
    assert done.returncode == 1
    assert done.stderr == "the output cannot be written: No space left on device\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_is_found_at_the_last_moment() -> None:
    done = shell("scaler --help >/dev/full")
    assert done.returncode == 1
    assert done.stderr == "the output cannot be written: No space left on device\n"
    assert shell("scaler run -c /nowhere >/dev/full 2>/dev/full").returncode == 3


@pytest.mark.parametrize("unbuffered", [True, False])
@pytest.mark.parametrize("command", ["plugins", "demo"])
def test_a_reader_that_has_gone_ends_it_quietly(command: str, unbuffered: bool) -> None:
    done = shell(f"{{ scaler {command}; echo $? >&2; }} | true", unbuffered=unbuffered)
    assert done.stderr == "1\n"


def test_an_output_that_knows_few_letters_is_written_with_escapes(tmp_path: Path) -> None:
    name = "\u00e4"
    (tmp_path / f"{name}.py").write_text("import nowhere")
    (tmp_path / "scaler.toml").write_text("[scaler]\nplugin_dir = '.'\n")
    done = shell(f"scaler plugins -c {tmp_path}/scaler.toml", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("where", ["argparse", "scaler.settings", "trio", "scaler.app"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_the_start_is_a_clean_stop(tmp_path: Path, where: str, number: int) -> None:
    path = tmp_path / "scaler.toml"
    path.write_text(f"[scaler]\nstate_dir = '{tmp_path}/state'\n")
    command = [sys.executable, "-c", SIGNALLED, where, str(int(number)), "run", "-c", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (tmp_path / "state").exists()


#: Sends itself a SIGHUP where a module is about to be imported; tells what the app was told of it.
HUNG_UP = """
import os, signal, sys, types
class Here:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            if sys.argv[2] == "gone":
                os.close(2)
            os.kill(os.getpid(), signal.SIGHUP)
def tell(*_, hung_up, **__):
    print(hung_up(), signal.getsignal(signal.SIGHUP).__name__)
import scaler
app = sys.modules["scaler.app"] = types.SimpleNamespace(main=tell)
scaler.app = app
from scaler.cli.main import main
sys.meta_path.insert(0, Here())
sys.exit(main(sys.argv[3:]))
"""


@pytest.mark.parametrize(
    ("where", "told"), [("argparse", True), ("scaler.settings", True), ("nothing", False)]
)
def test_c46_a_hangup_before_the_start_is_remembered(
    tmp_path: Path, where: str, told: bool
) -> None:
    path = tmp_path / "scaler.toml"
    path.touch()
    command = [sys.executable, "-c", HUNG_UP, where, "there", "run", "-c", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{told} mind\n", "")


def test_c46_a_terminal_that_goes_away_before_the_start_ends_it(tmp_path: Path) -> None:
    path = tmp_path / "scaler.toml"
    path.touch()
    main_end, other_end = pty.openpty()
    command = [sys.executable, "-c", HUNG_UP, "scaler.settings", "gone", "run", "-c", str(path)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=other_end, text=True, timeout=30, check=False
    )
    os.close(other_end)
    os.close(main_end)
    assert (done.returncode, done.stdout) == (0, "")


def test_c46_a_hangup_that_is_ignored_stays_ignored(tmp_path: Path) -> None:
    path = tmp_path / "scaler.toml"
    path.touch()
    code = f"import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n{HUNG_UP}"
    code = code.replace(".__name__)", ")")
    command = [sys.executable, "-c", code, "argparse", "there", "run", "-c", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (0, "False 1\n")


@pytest.mark.parametrize(
    ("where", "command"),
    [
        ("argparse", "plugins"),
        ("scaler_github", "plugins"),
        ("argparse", "check"),
        ("scaler.app", "check"),
        ("importlib.metadata", "demo"),
        ("rich", "demo"),
        ("trio", "demo"),
    ],
)
def test_ctrl_c_before_anything_was_begun_is_quiet(
    tmp_path: Path, where: str, command: str
) -> None:
    (tmp_path / "scaler.toml").touch()
    config = ["-c", str(tmp_path / "scaler.toml")] if command != "demo" else []
    done = subprocess.run(
        [sys.executable, "-c", SIGNALLED, where, str(int(signal.SIGINT)), command, *config],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_a_signal_that_is_ignored_stays_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def look(_: object) -> int:
        seen.append(signal.getsignal(signal.SIGINT))
        return 0

    monkeypatch.setattr(cli, "_dispatch", look)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert main(["plugins"]) == 0
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [signal.SIG_IGN]
    assert main(["plugins"]) == 0
    assert callable(seen[1])
    assert seen[1] is not before
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("error", [FatalError, PluginError])
def test_an_error_keeps_its_lines_and_sends_no_commands(
    error: type[FatalError], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> None:
        raise error(f"one {NASTY}\ntwo")

    monkeypatch.setattr(cli, "_dispatch", fail)
    assert main(["plugins"]) == error.exit_code
    shown = capsys.readouterr().err
    assert shown == "one \\x1b[31m\\x07\\x7f\\x9b\\u2028\\u202e\ntwo\n"


def test_settings_send_a_terminal_no_commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "a\x1b[31m"
    folder.mkdir()
    toml = '"\\u009bkey" = 1\n[scaler]\nname = "\\u001b[31m\\u202e\\u009b"\n'
    toml += '[plugins.github]\nurl = "x"\ntoken = { env = "A\\u001b[31m\\nB" }\n'
    (folder / "scaler.toml").write_text(toml)
    assert main(["check", "-c", str(folder / "scaler.toml")]) == 3
    shown = capsys.readouterr().err
    assert set(filter(lambda c: not c.isprintable(), shown)) == {"\n"}
    *problems, last = shown.splitlines()
    assert last == f"{len(problems)} problems in the settings"
    (folder / "scaler.toml").write_text('[plugins."a\\u001b[31m"]\n')
    assert main(["check", "-c", str(folder / "scaler.toml")]) == 4
    assert "\x1b" not in capsys.readouterr().err
    assert main([NASTY]) == 2
    assert "\x1b" not in capsys.readouterr().err


def test_no_cell_of_a_table_sends_a_terminal_commands() -> None:
    shown = table([[NASTY, NASTY], ["b", NASTY]], sys.stdout)
    assert set(filter(lambda c: not c.isprintable(), shown)) == {"\n"}
    assert len(shown.splitlines()) == 2


def test_a_service_is_tuned_once_all_is_imported() -> None:
    code = (
        "import gc, sys\nfrom scaler.cli import process\nprocess.tune()\n"
        "print(gc.get_freeze_count() > 0, gc.get_threshold()[0], sys.getswitchinterval())"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["True", "50000", "0.0005"]
