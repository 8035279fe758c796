"""Which commands there are: what --help lists, and those that distributions bring."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from scaler.cli.main import COMMANDS, main

if TYPE_CHECKING:
    from pathlib import Path


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import json, sys\nfrom scaler.cli.main import main\ncode = main(['--help'])\n"
        "print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    status, modules = json.loads(done.stderr.splitlines()[-1])
    assert status == 0
    assert all(name in done.stdout for name in COMMANDS)
    assert "demo     brought by scaler-github" in done.stdout
    heavy = {"trio", "httpx", "quart", "asyncio", "libvirt", "pluggy", "tomlkit", "msgspec"}
    assert not heavy & set(modules)
    assert "importlib.metadata" not in modules


def test_help_lists_what_distributions_bring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    info = tmp_path / "my_tools-1.0.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text(
        "[console_scripts]\nother = a:b\n\n[scaler.commands]\n# none\ntidy = nowhere:run\nrun=x:y\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "nowhere")
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert "  tidy     brought by my-tools\n" in said
    assert f"  run      {COMMANDS['run']}\n" in said
    assert "other" not in said


def entry_points(*points: importlib.metadata.EntryPoint) -> Any:
    def answer(**wanted: str) -> importlib.metadata.EntryPoints:
        return importlib.metadata.EntryPoints(points).select(group=wanted["group"])

    return answer


def command(name: str, value: str) -> importlib.metadata.EntryPoint:
    return importlib.metadata.EntryPoint(name, value, "scaler.commands")


def greet(argv: list[str]) -> int:
    print("hello", *argv)
    return 7


def test_a_distribution_brings_a_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "greeter", SimpleNamespace(greet=greet))
    monkeypatch.setattr(
        importlib.metadata, "entry_points", entry_points(command("greet", "greeter:greet"))
    )
    assert main(["greet", "--loudly", "you"]) == 7
    assert capsys.readouterr().out == "hello --loudly you\n"
    assert main(["great"]) == 2
    assert 'did you mean "greet"?' in capsys.readouterr().err


def test_a_command_that_cannot_be_imported_is_exit_four(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken, twice = command("greet", "nowhere_at_all:x"), command("twice", "a:b")
    monkeypatch.setattr(
        importlib.metadata, "entry_points", entry_points(broken, twice, command("twice", "c:d"))
    )
    assert main(["greet"]) == 4
    assert "command greet (nowhere_at_all:x): cannot be imported" in capsys.readouterr().err
    assert main(["twice"]) == 4
    assert "several have this name: a:b and c:d" in capsys.readouterr().err
