"""The command line: what it prints and what it exits with."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import textwrap
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import scaler
from scaler import FatalError, Finding
from scaler.cli.main import COMMANDS, main
from scaler.cli.terminal import table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PLUGIN = """
from scaler import hookimpl

class Both:
    def __init__(self, context):
        pass
    @hookimpl
    async def register_runner(self, runner): ...
    @hookimpl
    async def unregister_runner(self, runner): ...
    @hookimpl
    async def list_registrations(self): ...
    @hookimpl
    async def provision_runner(self, runner, registration): ...
    @hookimpl
    async def destroy_runner(self, runner): ...
    @hookimpl
    async def list_machines(self): ...
"""
GOOD = """
    [scaler]
    name = "host-1"
    state_dir = "state"
    plugin_dir = "."
    [plugins.both]
    [profiles.linux]
    target_count = 2
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], str]:
    (tmp_path / "both.py").write_text(PLUGIN)

    def to(text: str) -> str:
        (tmp_path / "scaler.toml").write_text(textwrap.dedent(text).lstrip("\n"))
        return str(tmp_path / "scaler.toml")

    return to


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Stands in for what the commands start."""
    fake = SimpleNamespace(main=lambda *_: None, check=lambda *_: [])
    monkeypatch.setitem(sys.modules, "scaler.app", fake)
    monkeypatch.setattr(scaler, "app", fake, raising=False)
    return fake


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    mask = os.umask(0o022)
    yield
    os.umask(mask)


def run(*argv: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scaler", *argv],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


# --- in a process of its own --------------------------------------------------------------


def test_as_a_module() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"scaler {scaler.__version__}\n")
    done = run("chek")
    assert done.returncode == 2
    assert 'no command "chek" (did you mean "check"?)' in done.stderr


def test_wrong_settings_are_text_and_exit_three(write: Callable[[str], str]) -> None:
    path = write("[scaler]\nnam = 1\ntick = 2\n")
    done = run("run", "-c", path)
    assert (done.returncode, done.stdout) == (3, "")
    first, second, last = done.stderr.splitlines()
    assert first.startswith(f"{path}:2: scaler.nam: found an unknown key")
    assert second.startswith(f"{path}:3: scaler.tick: found 2")
    assert last == "2 problems in the settings"


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    command = f"{sys.executable} -m scaler plugins"
    with subprocess.Popen(
        command.split(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        complaint = process.stderr.read()
    assert complaint == ""
    assert process.returncode == 1


# --- in this one --------------------------------------------------------------------------


@pytest.mark.parametrize("argv", [[], ["run", "--what"], ["--what"], ["nonsense"], ["run", "x"]])
def test_what_is_not_understood_is_exit_two(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    said = capsys.readouterr()
    assert said.err
    assert not said.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: scaler {name}")


def test_run_hands_settings_and_plugins_to_the_app(
    write: Callable[[str], str], app: SimpleNamespace
) -> None:
    seen: list[Any] = []
    app.main = lambda *given: seen.extend(given)
    assert main(["run", "-c", write(GOOD)]) == 0
    settings, loaded = seen
    assert (settings.name, list(loaded)) == ("host-1", ["both"])
    assert os.umask(0o077) == 0o077


def test_a_fatal_error_is_its_text_and_its_code(
    write: Callable[[str], str], app: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any) -> None:
        raise FatalError("the ledger is locked by process 7")

    app.main = fail
    assert main(["run", "-c", write(GOOD)]) == 1
    assert capsys.readouterr().err == "the ledger is locked by process 7\n"


def test_ctrl_c_before_the_start_is_quiet(
    write: Callable[[str], str], app: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    app.main = interrupt
    assert main(["run", "-c", write(GOOD)]) == 130
    assert capsys.readouterr().err == ""


def test_a_bug_keeps_its_traceback(write: Callable[[str], str], app: SimpleNamespace) -> None:
    def stumble(*_: Any) -> None:
        raise ZeroDivisionError

    app.main = stumble
    with pytest.raises(ZeroDivisionError):
        main(["run", "-c", write(GOOD)])


def test_a_missing_file_is_exit_three(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "-c", "/nowhere/scaler.toml"]) == 3
    said = capsys.readouterr().err
    assert "/nowhere/scaler.toml: cannot be read: No such file" in said
    assert said.endswith(" (name another with -c)\n")


def test_a_plugin_that_cannot_be_loaded_is_exit_four(
    write: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "-c", write("[plugins.nowhere]\n")]) == 4
    said = capsys.readouterr().err
    assert "scaler.toml:1: plugins.nowhere: there is none of this name" in said
    assert said.endswith("(is its distribution installed?)\n")


# --- check --------------------------------------------------------------------------------


def test_check_tells_what_is_well(
    write: Callable[[str], str], app: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    app.check = lambda *_: [("both", Finding(ok=True, text="the host answers"))]
    assert main(["check", "-c", write(GOOD)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "ok  settings       scaler host-1; plugins: both",
        "ok  profile linux  2 to 2 runners, registered by both, made by both",
        "ok  both           the host answers",
    ]


@pytest.mark.parametrize(
    ("least", "most", "said"),
    [(0, 1, "up to 1 runner,"), (0, 4, "up to 4 runners,"), (1, 4, "1 to 4 runners,")],
)
def test_check_tells_how_many_runners_there_can_be(
    write: Callable[[str], str],
    app: SimpleNamespace,
    capsys: pytest.CaptureFixture[str],
    least: int,
    most: int,
    said: str,
) -> None:
    counts = f"target_count = {least}\n    max_count = {most}"
    assert main(["check", "-c", write(GOOD.replace("target_count = 2", counts))]) == 0
    assert said in capsys.readouterr().out


def test_check_tells_what_is_wrong_and_how_to_mend_it(
    write: Callable[[str], str], app: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    app.check = lambda *_: [
        ("both", Finding(ok=False, text="no\x1b[1m way", fix="install it")),
        ("both", Finding(ok=True, text="fine", fix="not needed")),
    ]
    assert main(["check", "-c", write(GOOD)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[2:] == [
        "WRONG  both           no\\x1b[1m way",
        "                      → install it",
        "ok     both           fine",
        "",
        "1 of 4 is wrong",
    ]


def test_check_misses_profiles(
    write: Callable[[str], str], app: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "-c", write("")]) == 1
    assert "there are no profiles" in capsys.readouterr().out


def test_check_never_shows_a_secret(
    write: Callable[[str], str],
    app: SimpleNamespace,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("TOKEN", "canary-in-a-finding")
    config = "    @__import__('dataclasses').dataclass\n    class Config:\n        token: Secret\n"
    text = PLUGIN.replace("import hookimpl", "import Secret, hookimpl")
    (tmp_path / "both.py").write_text(text.replace("class Both:\n", "class Both:\n" + config))
    app.check = lambda *_: [("both", Finding(ok=False, text="401 for canary-in-a-finding"))]
    toml = GOOD.replace("[plugins.both]", '[plugins.both]\n    token = { env = "TOKEN" }')
    assert main(["check", "-c", write(toml)]) == 1
    said = capsys.readouterr()
    assert "401 for ***" in said.out
    assert "canary" not in said.out + said.err


# --- plugins ------------------------------------------------------------------------------


def rows(text: str) -> dict[str, list[str]]:
    head, *lines = text.splitlines()
    starts = [head.index(word) for word in head.split()]
    ends = [*starts[1:], None]
    cut = [[line[a:b].strip() for a, b in zip(starts, ends, strict=True)] for line in lines]
    return {name: rest for name, *rest in cut}


def test_plugins_lists_what_is_installed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins"]) == 0
    dist, version, enabled, hooks = rows(capsys.readouterr().out)["libvirt"]
    assert (dist, version) == ("scaler-libvirt", importlib.metadata.version("scaler-libvirt"))
    assert enabled == "-"
    assert "provision_runner, destroy_runner" in hooks


def test_plugins_tells_what_is_enabled_and_what_is_broken(
    write: Callable[[str], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my_broken.py").write_text("import nowhere_at_all")
    path = write(GOOD)
    assert main(["plugins", "-c", path]) == 0
    found = rows(capsys.readouterr().out)
    assert found["both"][2] == "yes"
    assert found["libvirt"][2] == "no"
    assert found["my-broken"][2] == "no"
    assert found["my-broken"][3].startswith("BROKEN: plugin my-broken: cannot be imported: ModuleN")
    path = write(GOOD + "    [plugins.my_broken]\n    [plugins.gone]\n")
    assert main(["plugins", "-c", path]) == 4
    found = rows(capsys.readouterr().out)
    assert found["my-broken"][2] == "yes"
    assert found["gone"][2] == "yes"
    assert "there is none of this name" in found["gone"][3]


@pytest.mark.parametrize(
    ("state_dir", "said"),
    [("both.py", "both.py is not a folder"), ("both.py/deep", "both.py is not a folder")],
)
def test_check_sees_a_state_dir_that_is_no_folder(
    write: Callable[[str], str],
    app: SimpleNamespace,
    capsys: pytest.CaptureFixture[str],
    state_dir: str,
    said: str,
) -> None:
    assert main(["check", "-c", write(GOOD.replace('"state"', f'"{state_dir}"'))]) == 1
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("made", [True, False])
def test_check_sees_a_state_dir_that_cannot_be_written(
    write: Callable[[str], str],
    app: SimpleNamespace,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    made: bool,
) -> None:
    if made:
        (tmp_path / "state").mkdir()
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may do everything
    assert main(["check", "-c", write(GOOD)]) == 1
    verb = "written to" if made else f"made: {tmp_path} cannot be written to"
    assert f"{tmp_path}/state cannot be {verb} by user" in capsys.readouterr().out
    assert (tmp_path / "state").exists() == made


def test_a_table_is_aligned_and_safe() -> None:
    assert table([["a", "b"], ["long", "x\ny"], ["c", ""]], sys.stdout).splitlines() == [
        "a     b",
        "long  x\\ny",
        "c",
    ]
