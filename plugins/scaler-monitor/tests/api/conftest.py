"""What the tests of endpoints share."""

from __future__ import annotations

from pathlib import Path

import pytest

from .fakes import Asker, FakeCore, asking


@pytest.fixture
def core() -> FakeCore:
    return FakeCore()


@pytest.fixture
def ask(core: FakeCore, tmp_path: Path) -> Asker:
    return asking(core, tmp_path)
