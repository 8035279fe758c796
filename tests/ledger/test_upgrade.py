"""A ledger of an older scaler becomes today's, or stays as it was; a newer one is left alone."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import stat
from pathlib import Path

import pytest
from tests.ledger.books import asked, everything, killed, old_ledger, opened, stored

from scaler.errors import FatalError
from scaler.ledger import Ledger, opening, schema, upgrade
from scaler.ledger.files import Files
from scaler.ledger.ledger import Transaction
from scaler.records import RunnerState
from scaler.units import Secret


def copies(folder: Path) -> list[Path]:
    return sorted(folder.glob("ledger.sqlite3.v*"))


async def test_a_ledger_of_version_1_is_read_whole(tmp_path: Path) -> None:
    path = old_ledger(tmp_path)
    found = await stored(tmp_path)
    states = [RunnerState(row.runner.state) for _, row in sorted(found.rows.items())]
    assert states == [each for each in RunnerState if each is not RunnerState.GONE]
    assert found.rows[3].config == Secret("config-of-runner-3")
    assert found.jobs.keys() == {("linux", "j6"), ("linux", "j9")}
    assert found.demand["linux"].owed == 2
    assert found.grants["u-5"].runners[0].id == 5
    assert found.facts["queue", "cursor/linux"] == {"message": 7, "recent": [[7, "abc"]]}
    assert found.meta.keys() == {"next_id", "clock"}
    assert (found.orders, found.damage) == ({}, "")
    assert asked(path, "PRAGMA user_version") == [(schema.VERSION,)]
    assert await stored(tmp_path) == found
    assert len(copies(tmp_path)) == 1  # and no other for a ledger that is today's


async def test_the_copy_is_one_file_that_can_be_put_back(tmp_path: Path) -> None:
    path = old_ledger(tmp_path)
    asked(path, "INSERT INTO runners VALUES (9, '{')")  # what cannot be read is copied as it is
    async with opened(tmp_path) as (ledger, found):
        assert "runners 9" in found.damage
        await ledger.write(everything())
        (copy,) = copies(tmp_path)
        assert re.fullmatch(r"ledger\.sqlite3\.v1-\d{8}T\d{6}Z", copy.name)
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        assert copy.read_bytes()[18:20] == b"\1\1"  # no log of changes belongs to it
    assert b"config-of-runner" not in copy.read_bytes()
    assert asked(copy, "PRAGMA integrity_check") == [("ok",)]
    assert asked(copy, "PRAGMA user_version") == [(1,)]
    assert asked(copy, "SELECT value FROM meta WHERE key = 'next_id'") == [
        (str(40 + upgrade.AHEAD),)
    ]
    rows = dict(asked(copy, "SELECT id, row FROM runners"))
    assert rows.keys() == set(range(1, 10))
    assert json.loads(rows[6])["runner"]["job"] == "j6"


async def test_the_way_back_with_changes_in_the_log(tmp_path: Path) -> None:
    """As how-to/upgrade has it: everything is moved away first, the log of changes too."""
    state = tmp_path / "state"
    old_ledger(state)
    (copy_name,) = [each.name for each in await _upgraded_and_killed(state)]
    assert (state / "ledger.sqlite3-wal").stat().st_size > 0
    away = tmp_path / "away"
    away.mkdir()
    for each in state.glob("ledger.sqlite3*"):
        each.rename(away / each.name)
    shutil.copy2(away / copy_name, state / "ledger.sqlite3")
    found = await stored(state)
    assert set(found.rows) == set(range(1, 9))
    assert found.meta["next_id"] == 40 + upgrade.AHEAD
    assert not found.damage


async def _upgraded_and_killed(state: Path) -> list[Path]:
    """The copies of a ledger that was upgraded, then written to, and never closed."""
    ledger, _ = await Ledger.open(state)
    transaction = Transaction()
    transaction.meta("next_id", 77)
    await ledger.write(transaction)
    frozen = state.with_name("frozen")
    shutil.copytree(state, frozen)
    await ledger.close()
    shutil.rmtree(state)
    frozen.rename(state)
    return copies(state)


def test_a_crash_anywhere_leaves_the_old_or_the_new(memory: Path) -> None:
    seen: set[int] = set()
    for after in range(1000):
        folder = memory / str(after)
        path = old_ledger(folder)
        if not killed(folder, after):
            break
        # (asked in a copy: whoever reads it as it is, tidies up)
        shutil.copytree(folder, folder / "look")
        there = folder / "look" / path.name
        (version,) = asked(there, "PRAGMA user_version")[0]
        tables = {name for (name,) in asked(there, "SELECT name FROM sqlite_master")}
        assert ("orders" in tables) == (version == 2)
        assert len(asked(there, "SELECT id FROM runners")) == 8
        seen.add(version)
        if version == 2:
            assert copies(folder)
        ledger, found = Ledger._open(folder)
        ledger._writer.close(opening.CLOSED)
        os.close(ledger._lock)
        assert (len(found.rows), found.meta["next_id"], found.damage) == (8, 40, "")
        assert 1 <= len(copies(folder)) <= upgrade.COPIES
        assert not list(folder.glob("*.part*"))
        shutil.rmtree(folder)
    else:
        pytest.fail("it never came to its end")
    assert seen == {1, 2}
    assert after > 20


async def test_two_copies_are_kept(tmp_path: Path) -> None:
    for name in ("v1-20250101T000000Z", "v1-20260101T000000Z", "v0-20240101T000000Z"):
        (tmp_path / f"ledger.sqlite3.{name}").write_text("")
    old_ledger(tmp_path)
    await stored(tmp_path)
    left = [each.name for each in copies(tmp_path)]
    assert len(left) == 2
    assert "ledger.sqlite3.v1-20260101T000000Z" in left


async def test_however_many_starts_fail_older_copies_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are the way back; only an upgrade that was done lets the oldest go."""
    older = [tmp_path / f"ledger.sqlite3.v0-2024010{day}T000000Z" for day in (1, 2)]
    for each in older:
        each.write_text("")
    old_ledger(tmp_path)
    second = 0

    def clock() -> str:
        nonlocal second
        second += 1
        return f"20260101T0000{second:02}Z"

    def fails(*_: object) -> None:
        raise sqlite3.OperationalError("it cannot be written")

    monkeypatch.setattr(upgrade, "stamp", clock)
    with monkeypatch.context() as broken:
        broken.setattr(opening, "_write", fails)
        for _ in range(4):
            with pytest.raises(FatalError, match="it cannot be written"):
                await Ledger.open(tmp_path)
    new = tmp_path / "ledger.sqlite3.v1-20260101T000001Z"
    assert copies(tmp_path) == [*older, new]
    assert len((await stored(tmp_path)).rows) == 8
    assert copies(tmp_path) == [older[1], new]


def test_an_upgrade_that_is_not_begun_copies_nothing(tmp_path: Path) -> None:
    """Looking changes nothing, not even beside it."""
    old_ledger(tmp_path)
    opening._examine(Files(tmp_path))
    assert not copies(tmp_path)


async def test_a_disk_without_room_for_the_copy_is_told_and_nothing_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = old_ledger(tmp_path)
    before = path.read_bytes()
    monkeypatch.setattr(Files, "free", lambda _: 1 << 20)
    with pytest.raises(FatalError, match=r"needs 1\.1 MiB, and 1\.0 MiB are free in .*free some"):
        await Ledger.open(tmp_path)
    assert path.read_bytes() == before
    assert not copies(tmp_path)
    monkeypatch.undo()
    assert len((await stored(tmp_path)).rows) == 8


async def test_a_copy_that_fails_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = old_ledger(tmp_path)
    before = path.read_bytes()

    def full(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA max_page_count = 1")
        connection.execute("CREATE TABLE large (x)")

    monkeypatch.setattr(upgrade, "_make_fit_to_return", full)
    with pytest.raises(FatalError, match="disk is full; nothing in it was changed: free some"):
        await Ledger.open(tmp_path)
    assert path.read_bytes() == before
    assert not copies(tmp_path)


# --- a newer one


@pytest.fixture
async def newer(tmp_path: Path) -> Path:
    """A ledger of a version that is not known here."""
    async with opened(tmp_path) as (ledger, _):
        await ledger.write(everything())
    path = tmp_path / "ledger.sqlite3"
    asked(path, "PRAGMA journal_mode = DELETE")
    asked(path, f"PRAGMA user_version = {schema.VERSION + 1}")
    asked(path, "UPDATE meta SET value = '\"9.8.7\"' WHERE key = 'written_by'")
    asked(path, "PRAGMA journal_mode = WAL")
    return path


async def test_a_newer_ledger_is_refused_and_untouched(newer: Path) -> None:
    before = newer.read_bytes()  # noqa: ASYNC240
    with pytest.raises(FatalError) as caught:
        await Ledger.open(newer.parent)
    text = str(caught.value)
    assert f"is of version {schema.VERSION + 1}, written by scaler 9.8.7" in text
    assert f"this scaler knows up to {schema.VERSION}; it was left as it is" in text
    assert "run the newer scaler, or move all its files away" in text
    assert newer.read_bytes() == before  # noqa: ASYNC240


async def test_both_ways_out_of_a_newer_one_are_named(newer: Path) -> None:
    for version in (1, schema.VERSION, schema.VERSION + 1):
        (newer.parent / f"ledger.sqlite3.v{version}-2026010{version}T000000Z").write_text("")
    with pytest.raises(FatalError) as caught:
        await Ledger.open(newer.parent)
    copy = f"ledger.sqlite3.v{schema.VERSION}-2026010{schema.VERSION}T000000Z"
    assert f"run the newer scaler, or go back to {copy}, as it was before" in str(caught.value)


async def test_a_newer_one_in_the_log_alone_is_refused_too(newer: Path) -> None:
    """Its scaler was killed: what it wrote last stands in the log of changes."""
    asked(newer, f"PRAGMA user_version = {schema.VERSION}")
    connection = sqlite3.connect(newer)
    connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    frozen = newer.parent.with_name("frozen")
    shutil.copytree(newer.parent, frozen)
    connection.close()
    files = Files(frozen)
    before = files.path.read_bytes(), files.beside("-wal").read_bytes()
    with pytest.raises(FatalError, match=f"is of version {schema.VERSION + 1}"):
        await Ledger.open(frozen)
    assert (files.path.read_bytes(), files.beside("-wal").read_bytes()) == before


@pytest.mark.parametrize(("by", "refused"), [("0.1.0", False), ("999.0", True), ("x", False)])
async def test_rows_that_only_a_newer_scaler_can_read_are_left_to_it(
    tmp_path: Path, by: str, refused: bool
) -> None:
    async with opened(tmp_path) as (ledger, _):
        await ledger.write(everything())
        strange = Transaction()
        strange.changes["runners", (5,)] = ('{"runner": "of a new kind"}',)
        await ledger.write(strange)
    path = tmp_path / "ledger.sqlite3"
    asked(path, "UPDATE meta SET value = json_quote(?) WHERE key = 'written_by'", by)
    if refused:
        with pytest.raises(FatalError, match=r"written by scaler 999.0, and this is .*runners 5"):
            await Ledger.open(tmp_path)
        assert len(asked(path, "SELECT id FROM runners")) == 2
    else:
        assert "runners 5" in (await stored(tmp_path)).damage
