"""A ledger that is damaged in whatever way is told of, and left as it is."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.telling.test_offline import OLD, seen

from scaler.control.place import LEDGER
from scaler.telling import offline_status

PLACES = st.floats(0, 1, exclude_max=True)
FIRST = st.floats(0, 0.12)  # where the tables are told of


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.one_of(st.just(1.0), st.floats(0, 1)),
    st.lists(st.one_of(PLACES, PLACES, PLACES, FIRST), max_size=4),
)
def test_c35_a_damaged_ledger_is_told_of_and_harms_nobody(
    tmp_path_factory: pytest.TempPathFactory, length: float, flips: list[float]
) -> None:
    whole = bytes_of_a_ledger()
    folder = tmp_path_factory.getbasetemp() / "damaged"
    folder.mkdir(exist_ok=True)
    content = bytearray(whole[: round(length * len(whole))])
    for place in flips if content else ():
        content[int(place * len(content))] ^= 0xFF
    (folder / LEDGER).write_bytes(content)
    before = seen(folder)
    found = offline_status(folder)
    assert json.loads(json.dumps(found)) == found
    assert "s3cret" not in json.dumps(found)
    assert seen(folder) == before


@cache
def bytes_of_a_ledger() -> bytes:
    """What its file holds. No fixture: Hypothesis would print it, and fail at that."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript((OLD / "version-1.sql").read_text())
        return connection.serialize()
