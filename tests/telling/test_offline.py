"""What a scaler left behind, told by its ledger alone, whatever has become of that."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from tests.engine.conftest import World, row

from scaler.control.place import LEDGER
from scaler.ledger import Ledger, files
from scaler.ledger.ledger import Transaction
from scaler.ledger.schema import VERSION
from scaler.model.demand import Demand
from scaler.model.jobs import KnownJob
from scaler.model.row import Row
from scaler.records import Job, Order, RunnerState
from scaler.telling import Unknown, offline_status, offline_why, reading
from scaler.units import Secret

__all__ = ["row"]

OLD = Path(__file__).parent.parent / "ledger" / "old"
NOBODY = 65534
ORDERS = (
    Order(kind="pause", name="linux", since=1.0, by="root"),
    Order(kind="drain", name="vm/b", since=2.0, by="root"),
)

Rows = Callable[..., Row]


async def write(folder: Path, *rows: Row) -> None:
    """A ledger as a scaler leaves it that stopped cleanly."""
    ledger, _ = await Ledger.open(folder)
    transaction = Transaction()
    for each in rows:
        transaction.row(each)
    for order in ORDERS:
        transaction.order(order.kind, order.name, order)
    job = Job(id="j1", state="assigned", profile="linux", name="build")
    transaction.job("linux", "j1", KnownJob(job=job, heard=9000.0))
    transaction.demand("linux", Demand(owed=3))
    transaction.meta("clock", {"now": 9600.0, "boot": "x", "at": 0.0})
    await ledger.write(transaction)
    await ledger.close()


def seen(folder: Path) -> dict[str, tuple[Any, ...]]:
    """Everything in a folder, to the byte and the moment."""
    return {
        str(path): (path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in [folder, *sorted(folder.rglob("*"))]
    }


def texts(found: dict[str, Any]) -> list[str]:
    return [each["text"] for each in found["problems"]]


async def test_what_was_there_is_told(tmp_path: Path, row: Rows) -> None:
    await write(tmp_path, row(7, RunnerState.BUSY), row(3, RunnerState.IDLE))
    before = seen(tmp_path)
    now = time.time()
    profiles = {"linux": {"max_count": 5, "target_count": 2, "labels": ["gpu"]}, "win": "rubbish"}
    found = offline_status(tmp_path, name="host", profiles=profiles, now=now)
    assert (found["running"], found["ok"], found["scaler"]) == (False, False, "host")
    assert (found["pid"], found["version"], found["started"]) == (None, "", None)
    assert found["as_of"] == pytest.approx((tmp_path / LEDGER).stat().st_mtime, abs=0.1)
    assert [(each["id"], each["state"]) for each in found["runners"]] == [(3, "idle"), (7, "busy")]
    linux, win = found["profiles"]
    assert (linux["max_count"], linux["target_count"], linux["demand"]) == (5, 2, 3)
    assert linux["counts"] == {"idle": 1, "busy": 1}
    assert linux["paused"] == {"since": 1.0, "by": "root"}
    assert (win["name"], win["max_count"]) == ("win", 0)
    (linux, *_) = offline_status(tmp_path, now=now)["profiles"]
    assert (linux["max_count"], linux["target_count"], linux["target"]) == (None, None, None)
    rooms = {each["name"]: each for each in found["rooms"]}
    assert {each["state"] for each in rooms.values()} == {"unknown"}
    assert rooms["a"]["machines"] == 2
    assert rooms["b"]["drained"]
    assert found["jobs"][0]["why"] == "scaler is not running"
    assert [each["name"] for each in found["orders"]] == ["vm/b", "linux"]
    about = [each["about"] for each in found["problems"]]
    assert about == ["scaler", "room vm/b", "profile linux"]
    assert texts(found)[0].startswith("scaler is not running; all of this is as of ")
    assert json.loads(json.dumps(found)) == found
    assert seen(tmp_path) == before


async def test_why_is_told_as_well(tmp_path: Path, row: Rows) -> None:
    await write(tmp_path, row(7, RunnerState.BOOTING, config=Secret("s3cret")))
    told = offline_why(tmp_path, "j1")["found"][0]
    assert (told["text"], told["cure"]) == ("scaler is not running", "start scaler")
    assert ["runners", "1 booting, then"] in told["facts"]
    assert any(label == "last heard of" for label, _ in told["facts"])
    told = offline_why(tmp_path, "linux.7")["found"][0]
    assert told["name"] == "linux.7@host"
    assert told["facts"][0][1].endswith("when scaler last looked")
    kinds = [each["kind"] for each in offline_why(tmp_path)["found"]]
    assert kinds == ["profile", "job"]
    told = offline_why(tmp_path, "linux")["found"][0]
    assert ["room vm/a", "unknown"] in told["facts"]
    (drained,) = [text for label, text in told["facts"] if label == "room vm/b"]
    assert drained.startswith("unknown, drained since ")
    with pytest.raises(Unknown, match="no profile, runner or job"):
        offline_why(tmp_path, "nope")


async def test_d25_no_secret_of_the_ledger_is_told(
    tmp_path: Path, row: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(copies))
    rows = [row(7, RunnerState.REGISTERED, config=Secret("s3cret")), row(8, RunnerState.IDLE)]
    await write(tmp_path, *rows)
    told = json.dumps([offline_status(tmp_path), offline_why(tmp_path), offline_why(tmp_path, "7")])
    assert "linux.7@host" in told
    assert "s3cret" not in told
    assert os.listdir(copies) == [], "a copy of the ledger was left"


async def test_a_write_that_failed_makes_nothing_newer(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with world.running():
        await world.deliver(1, world.job(1))
    wrote = offline_status(tmp_path)["as_of"]
    later = time.time() + 3600
    os.utime(tmp_path / LEDGER, (later, later))
    assert offline_status(tmp_path, now=later)["as_of"] == wrote


async def test_a_number_that_cannot_be_written_is_none(tmp_path: Path, row: Rows) -> None:
    await write(tmp_path, row(7, RunnerState.BUSY))
    told = offline_status(tmp_path, profiles={"linux": {"max_count": 16**4000}})
    assert told["profiles"][0]["max_count"] == 0


@pytest.mark.parametrize("alive", [True, False])
async def test_what_stands_in_the_log_of_changes_alone_is_told(tmp_path: Path, alive: bool) -> None:
    """Of a scaler that runs (and cannot be asked), or that was killed."""
    world = World(tmp_path)
    copy = tmp_path / "killed"
    async with world.running():
        await world.deliver(1, world.job(1))
        await world.until(lambda: world.states() == {1: "booting"})
        await world.engine.state.keep(*world.engine.state.unkept())
        assert (tmp_path / f"{LEDGER}-wal").stat().st_size > 0
        copy.mkdir()
        for name in (LEDGER, f"{LEDGER}-wal"):
            shutil.copy(tmp_path / name, copy / name)
        folder = tmp_path if alive else copy
        before = seen(copy)
        found = await trio.to_thread.run_sync(offline_status, folder)
        assert [each["name"] for each in found["runners"]] == ["linux.1@host"]
        assert [each["id"] for each in found["jobs"]] == ["j1"]
        assert seen(copy) == before
        await world.deliver(2, world.job(2))  # it goes on as if nothing had been
        await world.until(lambda: len(world.states()) == 2)


async def test_a_ledger_that_is_written_to_all_the_time_can_be_read(
    tmp_path: Path, row: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "APART", 0.0)
    await write(tmp_path, row(7, RunnerState.BUSY))
    done = threading.Event()

    def busy() -> None:
        with closing(sqlite3.connect(tmp_path / LEDGER, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            while not done.is_set():
                text = json.dumps("x" * 5000)
                connection.execute("INSERT OR REPLACE INTO meta VALUES ('x', ?)", (text,))
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        for _ in range(20):
            found = await trio.to_thread.run_sync(offline_status, tmp_path)
            whole = [each["id"] for each in found["runners"]] == [7]
            assert whole or "is being written to just now" in texts(found)[1]
    finally:
        done.set()
        thread.join()


def test_a_ledger_of_the_version_before_is_read(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / LEDGER)) as connection:
        connection.executescript((OLD / "version-1.sql").read_text())
    found = offline_status(tmp_path)
    assert len(found["runners"]) > 3
    assert found["orders"] == []
    assert len(found["problems"]) == 1, texts(found)


def test_the_newest_version_is_known() -> None:
    assert reading.KNOWN == VERSION, "reading.py reads what schema.py has"


async def test_a_newer_ledger_says_so(tmp_path: Path, row: Rows) -> None:
    await write(tmp_path, row(7, RunnerState.BUSY))
    with closing(sqlite3.connect(tmp_path / LEDGER)) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    found = offline_status(tmp_path)
    text = f"is of version {VERSION + 1}, and this scaler knows up to {VERSION}"
    assert text in texts(found)[1]
    assert found["problems"][1]["cure"] == "ask with the newer scaler that wrote it"
    assert (found["runners"], found["as_of"]) == ([], None)
    for about in ("linux.7", "linux", None):
        with pytest.raises(Unknown, match=r"nothing can be told: .* is of version"):
            offline_why(tmp_path, about, profiles={"linux": {}})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no ledger"),
        (b"hello", "is damaged: it is not a ledger at all"),
        (b"SQLite format 3\0" + b"\xff" * 5000, "is damaged: "),
    ],
    ids=["missing", "another file", "damaged"],
)
def test_a_ledger_that_cannot_be_read_says_so(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / LEDGER).write_bytes(content)
    found = offline_status(tmp_path, profiles={"linux": {"max_count": 4}})
    assert said in texts(found)[1]
    assert found["profiles"][0]["max_count"] == 4, "what the settings say is told all the same"


def test_a_ledger_of_which_nothing_was_written_yet_is_empty(tmp_path: Path) -> None:
    (tmp_path / LEDGER).touch()
    assert len(offline_status(tmp_path)["problems"]) == 1


async def test_rows_that_cannot_be_understood_are_counted(tmp_path: Path, row: Rows) -> None:
    await write(tmp_path, row(7, RunnerState.BUSY), row(8, RunnerState.BUSY))
    with closing(sqlite3.connect(tmp_path / LEDGER)) as connection:
        connection.execute("UPDATE runners SET row = '[1]' WHERE id = 8")
        connection.execute("INSERT INTO jobs VALUES ('linux', 'j9', 'rubbish')")
        connection.execute("UPDATE demand SET row = '{\"owed\": {}}'")
        connection.execute("UPDATE meta SET value = '\"x\"' WHERE key = 'clock'")
        connection.commit()
    found = offline_status(tmp_path)
    assert [each["id"] for each in found["runners"]] == [7]
    assert texts(found)[1] == "2 rows of it cannot be understood"


async def test_text_that_is_none_spoils_its_row_alone(tmp_path: Path, row: Rows) -> None:
    await write(tmp_path, row(7, RunnerState.BUSY), row(8, RunnerState.BUSY))
    with closing(sqlite3.connect(tmp_path / LEDGER)) as connection:
        connection.execute("UPDATE runners SET row = CAST(x'ff7b7d' AS TEXT) WHERE id = 8")
        connection.execute("INSERT INTO jobs VALUES (CAST(x'ff' AS TEXT), 'j9', '{}')")
        connection.commit()
    found = offline_status(tmp_path)
    assert [each["id"] for each in found["runners"]] == [7]
    assert texts(found)[1] == "2 rows of it cannot be understood"


async def test_names_that_are_no_text_are_damage(tmp_path: Path, row: Rows) -> None:
    await write(tmp_path, row(7, RunnerState.BUSY))
    content = (tmp_path / LEDGER).read_bytes()
    assert b"tablerunnersrunners" in content
    (tmp_path / LEDGER).write_bytes(content.replace(b"tablerunners", b"table\xffunners", 1))
    found = offline_status(tmp_path)
    assert "is damaged" in texts(found)[1]
    assert found["runners"] == []


async def test_a_runner_of_a_newer_scaler_is_understood_as_far_as_it_goes(
    tmp_path: Path, row: Rows
) -> None:
    await write(tmp_path, row(7, RunnerState.BUSY))
    with closing(sqlite3.connect(tmp_path / LEDGER)) as connection:
        connection.execute("UPDATE runners SET row = json_set(row, '$.runner.colour', 'red')")
        connection.commit()
    assert [each["id"] for each in offline_status(tmp_path)["runners"]] == [7]


async def test_what_is_kept_of_a_runner_that_ended_is_told(tmp_path: Path, row: Rows) -> None:
    await write(tmp_path, row(7, RunnerState.BUSY))
    shelf = tmp_path / "evidence" / "runner-5"
    shelf.mkdir(parents=True)
    (shelf / "reason.txt").write_text("its job failed\n")
    (shelf / "serial.log").write_text("x" * 9)
    (shelf / ".part").write_text("half")
    (shelf / "link.log").symlink_to("/etc/passwd")
    before = seen(tmp_path)
    (told,) = offline_why(tmp_path, "5")["found"]
    assert told["text"] == "its job failed"
    assert {each["name"] for each in told["kept"]} == {"reason.txt", "serial.log"}
    assert told["kept"][0]["path"].startswith(str(shelf))
    assert seen(tmp_path) == before
    (shelf / "reason.txt").unlink()
    (shelf / "reason.txt").symlink_to("/etc/passwd")
    assert "root" not in offline_why(tmp_path, "5")["found"][0]["text"]


# --- as another user


@contextmanager
def nobody(folder: Path) -> Iterator[None]:
    """As a user who has no rights but those that everybody has."""
    for path in (folder, *folder.parents):
        if not path.stat().st_mode & stat.S_IXOTH:
            path.chmod(path.stat().st_mode | stat.S_IXOTH)
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


root = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")


@root
@pytest.mark.parametrize("clean", [True, False])
async def test_another_user_who_may_read_reads(tmp_path: Path, row: Rows, clean: bool) -> None:
    state = tmp_path / "state"
    await write(state, row(7, RunnerState.BUSY))
    if not clean:  # the files of changes are there, and cannot be made
        with closing(sqlite3.connect(state / LEDGER)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("DELETE FROM runners WHERE id = 9")
            connection.commit()
            for name in (LEDGER, f"{LEDGER}-wal"):
                shutil.copy(state / name, tmp_path / name)
        shutil.move(tmp_path / LEDGER, state / LEDGER)
        shutil.move(tmp_path / f"{LEDGER}-wal", state / f"{LEDGER}-wal")
    state.chmod(0o555)
    for path in state.glob(f"{LEDGER}*"):
        path.chmod(0o444)
    before = seen(state)
    with nobody(state):
        found = offline_status(state)
    assert [each["id"] for each in found["runners"]] == [7], texts(found)
    assert seen(state) == before


@root
@pytest.mark.parametrize("closed", ["folder", "file"])
async def test_another_user_who_may_not_is_told_so(tmp_path: Path, row: Rows, closed: str) -> None:
    state = tmp_path / "state"
    await write(state, row(7, RunnerState.BUSY))
    state.chmod(0o700 if closed == "folder" else 0o755)
    with nobody(tmp_path):
        found = offline_status(state)
    assert "may not be read by this user" in texts(found)[1]
    assert found["runners"] == []


def test_the_ledger_is_called_as_it_is_written() -> None:
    assert (LEDGER, reading.MAGIC) == (files.FILE, files.MAGIC)
