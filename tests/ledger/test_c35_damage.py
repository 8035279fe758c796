"""C35: a ledger that is torn, missing or unreadable is put aside, and ids are never used again."""

from __future__ import annotations

import json
import random
import shutil
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from tests.ledger.books import a_row, asked, everything, opened, stored
from tests.ledger.torn import ORDER, again, kept, placed

from scaler.ledger import Stored
from scaler.ledger.ledger import Transaction
from scaler.units import Secret


def looked(folder: Path, files: dict[str, bytes], whole: Stored) -> bool:
    """Open it; whether damage was noticed. If not, it has to be whole; if so, all is kept."""
    found = again(folder)
    if not found.damage:
        assert found == whole
        return False
    (aside,) = folder.glob("ledger-damaged-*")
    assert stat.S_IMODE(aside.stat().st_mode) == 0o700
    assert found.damage.strip() == (aside / "what-happened.txt").read_text().strip()
    assert not (aside / "copy").exists()
    if "rows.json" in kept(folder):  # single rows: the rest goes on
        assert found.meta.get("next_id", 19) == 19
        assert len(found.rows) + len(json.loads((aside / "rows.json").read_text())) >= 7
    else:
        main = kept(folder)["ledger.sqlite3"]
        assert main == files["ledger.sqlite3"]
        assert "next_id" not in found.meta  # nothing is made until lists were complete
        assert (found.rows, found.jobs, found.facts) == ({}, {}, {})
    second = again(folder)
    assert second.damage == found.damage  # as long as the folder is there
    assert second == found
    return True


# --- torn


def test_c35_a_closed_ledger_cut_at_every_byte(memory: Path, closed: dict[str, bytes]) -> None:
    """The header byte by byte, all else in steps that meet every page at several places."""
    (data,) = closed.values()
    with placed(memory, closed) as folder:
        whole = again(folder)
    cuts = [*range(1, 101), *range(101, len(data), 487), len(data) - 1]
    for cut in cuts:
        files = {"ledger.sqlite3": data[:cut]}
        with placed(memory, files) as folder:
            assert looked(folder, files, whole), cut


def test_c35_an_empty_file_is_a_new_ledger(tmp_path: Path) -> None:
    """So a first start leaves it that ends very early."""
    with placed(tmp_path, {"ledger.sqlite3": b""}) as folder:
        assert again(folder) == Stored()


def test_c35_a_log_cut_at_every_byte_is_what_was_written_until_then(
    memory: Path, in_use: dict[str, bytes]
) -> None:
    log = in_use["ledger.sqlite3-wal"]
    last = 0
    for cut in [*range(64), *range(64, len(log), 997), len(log)]:
        files = {**in_use, "ledger.sqlite3-wal": log[:cut]}
        del files["ledger.sqlite3-shm"]
        with placed(memory, files) as folder:
            found = again(folder)
            assert not found.damage
            rows = len(found.rows)
            assert sorted(found.rows) == list(range(1, rows + 1))
            assert found.meta.get("next_id", 12) == 12 + rows
            assert rows >= last
            last = rows
    assert last == 7


# --- overwritten


@pytest.mark.parametrize("how", ["zeroes", "ones", "one bit", "exchanged"])
def test_c35_every_page_overwritten_is_noticed_or_harmless(
    memory: Path, closed: dict[str, bytes], how: str
) -> None:
    (data,) = closed.values()
    with placed(memory, closed) as folder:
        whole = again(folder)
    size = int.from_bytes(data[16:18], "big")
    pages = [data[start : start + size] for start in range(0, len(data), size)]
    noticed = 0
    for number, page in enumerate(pages):
        changed = list(pages)
        changed[number] = {
            "zeroes": bytes(size),
            "ones": b"\xff" * size,
            "one bit": bytes([page[0] ^ 4, *page[1:]]),
            "exchanged": pages[number - 1],
        }[how]
        files = {"ledger.sqlite3": b"".join(changed)}
        with placed(memory, files) as folder:
            if how == "exchanged":  # an empty page in place of another looks like nothing
                found = again(folder)
                assert found.meta.get("next_id", 19) == 19
                noticed += bool(found.damage or found != whole)
            else:
                noticed += looked(folder, files, whole)
    assert noticed >= len(pages) - 1


@pytest.mark.parametrize("seed", range(8))
def test_c35_flipped_bits_never_make_an_id_come_again(
    closed: dict[str, bytes], memory: Path, seed: int
) -> None:
    dice = random.Random(seed)
    for number in range(12):
        data = bytearray(closed["ledger.sqlite3"])
        for _ in range(dice.choice([1, 2, 10, 200])):
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        with placed(memory, {"ledger.sqlite3": bytes(data)}) as folder:
            found = again(folder)
            assert "next_id" not in found.meta or found.meta["next_id"] >= 19, number
            assert set(found.rows) <= set(range(1, 8)), number


RUBBISH = {
    "text": b"this was never a ledger\n" * 100,
    "one byte": b"S",
    "zeroes": bytes(8192),
    "a magic number": b"SQLite format 3\x00",
    "random": random.Random(7).randbytes(8192),
}


@pytest.mark.parametrize("kind", RUBBISH)
def test_c35_what_is_no_ledger_is_kept_aside(tmp_path: Path, kind: str) -> None:
    files = {"ledger.sqlite3": RUBBISH[kind]}
    with placed(tmp_path, files) as folder:
        assert looked(folder, files, Stored())


def test_c35_somebody_elses_database_is_no_ledger(tmp_path: Path) -> None:
    asked(tmp_path / "ledger.sqlite3", "CREATE TABLE cookies (name TEXT)")
    found = again(tmp_path)
    assert "its tables are not those of a ledger" in found.damage
    assert again(tmp_path).damage == found.damage


# --- files that are missing, or of another ledger


def test_c35_a_log_without_its_ledger_is_kept(tmp_path: Path, in_use: dict[str, bytes]) -> None:
    for main in ({}, {"ledger.sqlite3": b""}):
        files = {**in_use, **main}
        if not main:
            del files["ledger.sqlite3"]
        with placed(tmp_path, files) as folder:
            found = again(folder)
            assert "the log of its changes is there" in found.damage
            assert kept(folder)["ledger.sqlite3-wal"] == in_use["ledger.sqlite3-wal"]


def test_c35_a_ledger_without_its_log_makes_nothing_until_lists_came(
    tmp_path: Path, in_use: dict[str, bytes]
) -> None:
    with placed(tmp_path, {"ledger.sqlite3": in_use["ledger.sqlite3"]}) as folder:
        found = again(folder)
        assert "the log of its changes (-wal) is not there any more" in found.damage
        assert "next_id" not in found.meta
        assert not again(folder).damage


def test_c35_rubbish_beside_a_closed_ledger_harms_nothing(
    memory: Path, closed: dict[str, bytes]
) -> None:
    with placed(memory, closed) as folder:
        whole = again(folder)
    for suffix in ("-wal", "-shm", "-journal"):
        for rubbish in (b"", b"rubbish" * 1000):
            files = {**closed, f"ledger.sqlite3{suffix}": rubbish}
            with placed(memory, files) as folder:
                assert again(folder) == whole


def test_c35_a_ledger_that_is_gone_where_runners_were_is_told(tmp_path: Path) -> None:
    (tmp_path / "evidence" / "runner-41").mkdir(parents=True)
    found = again(tmp_path)
    assert "there was no ledger, though evidence of runner 41 is there" in found.damage
    assert (found.least_id, found.meta) == (42, {})
    found = again(tmp_path)
    assert (found.least_id, found.damage) == (42, "")  # until ids are known


# --- what is still read of it


async def test_c35_orders_and_ids_are_read_from_what_is_damaged(tmp_path: Path) -> None:
    async with opened(tmp_path) as (ledger, _):
        for number in range(1, 300):
            transaction = Transaction()
            transaction.row(a_row(number))
            await ledger.write(transaction)
        transaction = Transaction()
        transaction.order("pause", "linux", ORDER)
        transaction.meta("next_id", 5000)
        await ledger.write(transaction)
    path = tmp_path / "ledger.sqlite3"
    ((page,),) = asked(path, "SELECT rootpage FROM sqlite_master WHERE name = 'runners'")
    with open(path, "r+b") as file:  # noqa: ASYNC230
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    found = await stored(tmp_path)
    assert found.orders == {("pause", "linux"): ORDER}
    assert found.least_id == 4999 + 1000 + 1
    assert "1 orders (pause, drain) were still read" in found.damage
    assert "ids go on from 6000" in found.damage
    assert (await stored(tmp_path)).orders == found.orders


@pytest.mark.parametrize("row", ["{", "[]", '{"runner": {"id": "x"}}', "null"])
async def test_c35_a_row_that_cannot_be_read_goes_aside_alone(tmp_path: Path, row: str) -> None:
    async with opened(tmp_path) as (ledger, _):
        await ledger.write(everything())
        transaction = Transaction()
        transaction.changes["runners", (7,)] = (row,)
        await ledger.write(transaction)
    found = await stored(tmp_path)
    assert "of the ledger, runners 7 could not be read" in found.damage
    assert (found.rows, found.meta) == ({1: a_row()}, {"next_id": 12})
    assert json.loads(kept(tmp_path)["rows.json"])[0]["columns"] == [7, row]
    shutil.rmtree(next(tmp_path.glob("ledger-damaged-*")))  # noqa: ASYNC240
    assert await stored(tmp_path) == replace(found, damage="")


async def test_c35_a_row_of_another_is_noticed_and_its_secret_kept_out(tmp_path: Path) -> None:
    async with opened(tmp_path) as (ledger, _):
        await ledger.write(everything())
    path = tmp_path / "ledger.sqlite3"
    asked(path, "UPDATE runners SET id = 3")
    asked(path, "UPDATE jobs SET row = CAST(x'ff' AS TEXT)")
    asked(path, "INSERT INTO facts VALUES (CAST(x'fe' AS TEXT), 'key', '1')")
    found = await stored(tmp_path)
    assert (found.rows, found.jobs) == ({}, {})
    assert Secret("the config of runner 1").reveal().encode() not in kept(tmp_path)["rows.json"]
    assert len(json.loads(kept(tmp_path)["rows.json"])) == 3
    assert asked(path, "SELECT count(*) FROM facts") == [(1,)]  # what was well is
