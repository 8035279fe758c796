"""Transactions: grouped, all or none, each failing for itself alone."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ledger.books import a_row, everything, opened, stored

from scaler.ledger import Ledger, LedgerError
from scaler.ledger.ledger import Transaction
from scaler.ledger.schema import KEYS
from scaler.ledger.upgrade import steps
from scaler.ledger.writer import Writer, _Entry


async def test_many_at_once_share_their_commits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups: list[int] = []
    transaction_of = Writer._transaction

    def counted(self: Writer, group: list[object]) -> object:
        groups.append(len(group))
        return transaction_of(self, group)  # type: ignore[arg-type]

    monkeypatch.setattr(Writer, "_transaction", counted)
    async with opened(tmp_path) as (ledger, _), trio.open_nursery() as nursery:
        for number in range(300):
            transaction = Transaction()
            transaction.row(a_row(number + 1))
            nursery.start_soon(ledger.write, transaction)
    assert sum(groups) == 300 + 1  # closing is one, too
    assert len(groups) < 100
    assert len((await stored(tmp_path)).rows) == 300


BROKEN: list[tuple[tuple[str, tuple[Any, ...]], tuple[Any, ...]]] = [
    (("meta", ("a",)), ("too", "many")),
    (("runners", (2**70,)), ("{}",)),
    (("meta", ("\ud800",)), ("1",)),
    (("meta", (object(),)), ("1",)),
    (("meta", ("a",)), (None,)),
]


@pytest.mark.parametrize("broken", BROKEN, ids=[str(number) for number in range(len(BROKEN))])
async def test_a_failing_statement_fails_its_own_transaction_alone(
    tmp_path: Path, broken: tuple[Any, Any]
) -> None:
    failed: list[int] = []

    async with opened(tmp_path) as (ledger, _):

        async def write(number: int) -> None:
            transaction = Transaction()
            transaction.meta(f"key {number}", number)
            if number % 3 == 1:
                transaction.changes[broken[0]] = broken[1]
            try:
                await ledger.write(transaction)
            except LedgerError:
                failed.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(12):
                nursery.start_soon(write, number)
        await write(12)  # and it goes on
    assert sorted(failed) == [1, 4, 7, 10]
    kept = (await stored(tmp_path)).meta
    assert sorted(kept.values()) == [n for n in range(13) if n not in failed]


@settings(max_examples=settings().max_examples * 3 // 5, deadline=None, derandomize=True)
@given(
    st.lists(
        st.dictionaries(
            st.one_of(
                st.tuples(st.just("runners"), st.tuples(st.integers(1, 600))),
                st.tuples(
                    st.just("jobs"), st.tuples(st.sampled_from("ab"), st.text("xy\0", max_size=3))
                ),
                st.tuples(st.just("meta"), st.tuples(st.text("uv", max_size=2))),
            ),
            st.none() | st.tuples(st.text("12", min_size=1)),
            max_size=400,
        ),
        max_size=4,
    )
)
def test_a_group_amounts_to_its_transactions_one_after_another(
    group: list[dict[Any, Any]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        writer = Writer(Path(folder) / "file", KEYS)
        try:
            for statement in steps(0):
                writer.connection.execute(statement)
            assert writer._transaction([_Entry(changes) for changes in group]) is None
            found = {
                (table, row[: len(columns)]): row[len(columns) :]
                for table, columns in KEYS.items()
                for row in writer.connection.execute(f"SELECT * FROM {table}")
            }
        finally:
            writer.close()
    wanted: dict[Any, Any] = {}
    for changes in group:
        wanted.update(changes)
    assert found == {key: row for key, row in wanted.items() if row is not None}


NEXT_ID = "SELECT value FROM meta WHERE key = 'next_id'"


async def test_a_writer_that_is_cancelled_has_written(tmp_path: Path) -> None:
    async with opened(tmp_path) as (ledger, _):
        with trio.CancelScope() as scope:
            scope.cancel()
            await ledger.write(everything())
            pytest.fail("it is told that it was cancelled, once it is written")
        assert scope.cancelled_caught
        connection = sqlite3.connect(tmp_path / "ledger.sqlite3")  # not before it was
        assert connection.execute(NEXT_ID).fetchall() == [("12",)]
        connection.close()
    assert (await stored(tmp_path)).meta == {"next_id": 12}


async def test_what_waits_is_written_when_it_closes(tmp_path: Path) -> None:
    ledger, _ = await Ledger.open(tmp_path)
    async with trio.open_nursery() as nursery:
        for number in range(20):
            transaction = Transaction()
            transaction.row(a_row(number + 1))
            nursery.start_soon(ledger.write, transaction)
        await trio.lowlevel.checkpoint()
        nursery.start_soon(ledger.close)
    assert len((await stored(tmp_path)).rows) == 20


async def test_a_disk_that_is_full_is_an_error_and_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as (ledger, _):
        await ledger.write(everything())
        full = ledger._writer.connection.execute("PRAGMA page_count").fetchone()[0]
        ledger._writer.connection.execute(f"PRAGMA max_page_count = {full}")
        large = Transaction()
        large.meta("large", "x" * 100_000)
        with pytest.raises(LedgerError, match="full"):
            await ledger.write(large)
        ledger._writer.connection.execute("PRAGMA max_page_count = 100000")
        await ledger.write(large)
    found = await stored(tmp_path)
    assert found.rows == {1: a_row()}
    assert len(found.meta["large"]) == 100_000
