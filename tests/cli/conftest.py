"""Settings in a folder, and what the commands start."""

from __future__ import annotations

import sys
import textwrap
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from tests.cli.toys import PLUGIN

import scaler

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


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
