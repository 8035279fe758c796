"""A folder that costs no disk, and ledgers to be damaged."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ledger.torn import fill


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory, where there is such a place: hundreds of ledgers are made in it."""
    place = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=place if place.is_dir() else None))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return fill(tmp_path_factory.mktemp("closed"), closed=True)


@pytest.fixture(scope="module")
def in_use(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    found = fill(tmp_path_factory.mktemp("in-use"), closed=False)
    assert found.keys() == {f"ledger.sqlite3{each}" for each in ("", "-wal", "-shm")}
    return found
