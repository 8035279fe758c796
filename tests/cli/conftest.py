"""Settings in a folder, and what the commands start."""

from __future__ import annotations

import contextlib
import sys
import textwrap
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from tests.cli.canned import status
from tests.cli.fake import FakeScaler, Terminal
from tests.cli.toys import PLUGIN

import scaler
from scaler.cli import places
from scaler.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What this machine has in /etc does not count."""
    monkeypatch.setattr(places, "SYSTEM", str(tmp_path / "etc" / "scaler.toml"))


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
    fake = SimpleNamespace(main=lambda *_, **__: None, check=lambda *_, **__: [])
    monkeypatch.setitem(sys.modules, "scaler.app", fake)
    monkeypatch.setattr(scaler, "app", fake, raising=False)
    return fake


@pytest.fixture
def other(tmp_path: Path) -> Iterator[FakeScaler]:
    """A scaler that runs."""
    fake = FakeScaler(tmp_path / "state")
    fake.answers["status"] = status()
    yield fake
    with contextlib.suppress(OSError):
        fake.stop()


@pytest.fixture
def ask(
    other: FakeScaler, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, list[str], list[str]]]:
    """Run a command that asks it; the exit code and what was said."""

    def run(command: str, *argv: str) -> tuple[int, list[str], list[str]]:
        code = main([command, *argv, "--state-dir", str(other.folder)])
        said = capsys.readouterr()
        return code, said.out.splitlines(), said.err.splitlines()

    return run


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    """Starts commands on terminals."""
    made: list[Terminal] = []

    def start(*argv: str, **given: Any) -> Terminal:
        made.append(Terminal(*argv, **given))
        return made[-1]

    yield start
    for each in made:
        each.close()
