"""C35: what may end or fail while a ledger is opened, or put aside for a new one."""

from __future__ import annotations

import errno
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.ledger.books import asked, killed
from tests.ledger.torn import ORDER, again, kept, placed

from scaler.errors import FatalError
from scaler.ledger import opening
from scaler.ledger.files import Files

# --- crashes while it is put aside


@pytest.mark.parametrize("kind", ["torn", "a row"])
def test_c35_a_crash_anywhere_loses_no_order(
    memory: Path, in_use: dict[str, bytes], closed: dict[str, bytes], kind: str
) -> None:
    torn = closed
    if kind == "torn":
        torn = {**in_use, "ledger.sqlite3": b"X" + in_use["ledger.sqlite3"][1:]}
    for after in range(1000):
        with placed(memory, torn) as folder:
            if kind == "a row":
                asked(folder / "ledger.sqlite3", "INSERT INTO runners VALUES (9, '{')")
            died = killed(folder, after)
            found = again(folder)
            assert len(list(folder.glob("ledger-damaged-*"))) == 1
            assert (next(folder.glob("ledger-damaged-*")) / "what-happened.txt").exists()
            if kind == "a row":
                assert found.orders == {("pause", "linux"): ORDER}
                assert found.meta["next_id"] == 19
            else:
                assert kept(folder)["ledger.sqlite3"] == torn["ledger.sqlite3"]
                assert kept(folder)["ledger.sqlite3-wal"] == torn["ledger.sqlite3-wal"]
            assert found.damage
            if not died:
                break
    assert after > 20


def test_c35_one_that_a_person_mended_is_taken_as_it_is(
    tmp_path: Path, closed: dict[str, bytes]
) -> None:
    """A dump does not tell of the version, and a folder of theirs looks like one that was begun."""
    with placed(tmp_path, closed) as folder:
        path = folder / "ledger.sqlite3"
        with closing(sqlite3.connect(path)) as connection:
            dump = "\n".join(connection.iterdump())
        path.unlink()
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(dump)
        (folder / "ledger-damaged-by-hand").mkdir()
        found = again(folder)
        assert found.orders == {("pause", "linux"): ORDER}
        assert found.meta["next_id"] == 19


# --- a disk or a right that is missing is no damage


def code(number: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("what SQLite says")
    error.sqlite_errorcode = number
    return error


OUTSIDE: dict[str, tuple[Exception, str]] = {
    "EIO": (OSError(errno.EIO, "Input/output error"), "mend the disk"),
    "EACCES": (OSError(errno.EACCES, "Permission denied"), "let this user"),
    "ENOSPC": (OSError(errno.ENOSPC, "No space left on device"), "free some space"),
    "IOERR": (code(sqlite3.SQLITE_IOERR_READ), "mend the disk"),
    "FULL": (code(sqlite3.SQLITE_FULL), "free some space"),
    "CANTOPEN": (code(sqlite3.SQLITE_CANTOPEN), "let this user"),
    "READONLY": (code(sqlite3.SQLITE_READONLY), "let this user"),
    "BUSY": (code(sqlite3.SQLITE_BUSY), "end the other program"),
}


@pytest.mark.parametrize("when", ["looking", "reading", "writing"])
@pytest.mark.parametrize("kind", OUTSIDE)
def test_c35_a_disk_or_right_that_is_missing_is_no_damage(
    tmp_path: Path,
    closed: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    when: str,
) -> None:
    error, cure = OUTSIDE[kind]

    def fail(*_: object, **__: object) -> None:
        raise error

    with placed(tmp_path, closed) as folder:
        whole = again(folder)
        before = (folder / "ledger.sqlite3").read_bytes()
        with monkeypatch.context() as patch:
            if when == "looking":
                patch.setattr(Files, "look", fail)
            else:
                patch.setattr(opening, "read" if when == "reading" else "_write", fail)
            with pytest.raises(FatalError) as caught:
                again(folder)
        text = str(caught.value)
        assert f"the ledger {folder}/ledger.sqlite3 cannot be opened" in text
        assert cure in text
        assert text.endswith("then start again")
        assert caught.value.exit_code == 1
        assert not kept(folder)
        assert (folder / "ledger.sqlite3").read_bytes() == before
        assert again(folder) == whole


def test_c35_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite3").mkdir()
    with pytest.raises(FatalError, match=r"Is a directory; .* move that folder away"):
        again(tmp_path)
