"""The command line: what it prints and what it exits with."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from tests.cli.toys import GOOD

import scaler
from scaler import FatalError
from scaler.cli.main import COMMANDS, main
from scaler.cli.terminal import table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


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
    app.main = lambda *given, **_: seen.extend(given)
    assert main(["run", "-c", write(GOOD)]) == 0
    settings, loaded = seen
    assert (settings.name, list(loaded)) == ("host-1", ["both"])
    assert os.umask(0o077) == 0o077


def test_a_fatal_error_is_its_text_and_its_code(
    write: Callable[[str], str], app: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise FatalError("the ledger is locked by process 7")

    app.main = fail
    assert main(["run", "-c", write(GOOD)]) == 1
    assert capsys.readouterr().err == "the ledger is locked by process 7\n"


def test_ctrl_c_before_the_start_is_quiet(
    write: Callable[[str], str], app: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    app.main = interrupt
    assert main(["run", "-c", write(GOOD)]) == 130
    assert capsys.readouterr().err == ""


def test_a_bug_keeps_its_traceback(write: Callable[[str], str], app: SimpleNamespace) -> None:
    def stumble(*_: Any, **__: Any) -> None:
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


def test_a_table_is_aligned_and_safe() -> None:
    assert table([["a", "b"], ["long", "x\ny"], ["c", ""]], sys.stdout).splitlines() == [
        "a     b",
        "long  x\\ny",
        "c",
    ]
