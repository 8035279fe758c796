"""What was written is there; what cannot be used is refused in words, and nothing is lost."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ledger.books import a_row, everything, opened, stored

from scaler.errors import FatalError
from scaler.ledger import Ledger, Stored, writer
from scaler.ledger.ledger import Transaction
from scaler.ledger.rows import dump, load_demand, load_job, load_row
from scaler.model.demand import Demand
from scaler.model.jobs import KnownJob
from scaler.records import Job, RunnerState
from scaler.units import Secret

# --- what was written is there


async def test_a_new_ledger_is_empty(tmp_path: Path) -> None:
    assert await stored(tmp_path / "state") == Stored()


async def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as (ledger, _):
        await ledger.write(everything())
    found = await stored(tmp_path)
    assert found.rows == {1: a_row()}
    assert found.jobs == {
        ("linux", "j1"): KnownJob(job=Job(id="j1", state="running"), heard=3.0, tried=2)
    }
    assert found.demand["linux"].kept == 5
    assert found.facts == {("queue", "cursor/linux"): {"message": 7, "recent": [[7, "abc"]]}}
    assert found.meta == {"next_id": 12}
    assert await stored(tmp_path) == found


async def test_d26_a_secret_that_is_over_is_in_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "QUIET", 0.05)
    secret = "0123456789-a-config-0123456789"

    def found() -> bool:
        files = [each for each in tmp_path.rglob("ledger*") if each.is_file()]
        assert files
        return any(secret.encode() in each.read_bytes() for each in files)

    async with opened(tmp_path) as (ledger, _):
        with_it, without = Transaction(), Transaction()
        with_it.row(replace(a_row(), config=Secret(secret)))
        await ledger.write(with_it)
        assert found()
        without.row(replace(a_row(), config=None))
        await ledger.write(without)
        with trio.fail_after(10):
            while found():  # noqa: ASYNC110 - nobody tells
                await trio.sleep(0.05)


async def test_what_is_over_is_deleted(tmp_path: Path) -> None:
    async with opened(tmp_path) as (ledger, _):
        await ledger.write(everything())
        over = Transaction()
        over.row(a_row(1, RunnerState.GONE))
        over.row(a_row(2, RunnerState.GONE))  # it never was there
        over.job("linux", "j1", None)
        over.fact("queue", "cursor/linux", None)
        await ledger.write(over)
        await ledger.write(Transaction())  # nothing to do
    found = await stored(tmp_path)
    assert (found.rows, found.jobs, found.facts) == ({}, {}, {})


async def test_the_last_writing_counts(tmp_path: Path) -> None:
    async with opened(tmp_path) as (ledger, _), trio.open_nursery() as nursery:
        for number in range(50):
            transaction = Transaction()
            transaction.meta("next_id", number)
            nursery.start_soon(ledger.write, transaction)
            await trio.lowlevel.checkpoint()
    assert (await stored(tmp_path)).meta == {"next_id": 49}


def test_a_secret_is_kept_and_never_printed() -> None:
    row = a_row()
    assert load_row(dump(row)).config == Secret("the config of runner 1")
    assert "the config" not in f"{row} {row!r} {Transaction()}"
    assert load_row(dump(replace(row, config=None))).config is None


def test_fields_that_were_added_since_have_their_defaults() -> None:
    old = json.loads(dump(a_row()))
    for name in ("told", "failed", "listed", "forced"):
        del old[name]
    assert load_row(json.dumps(old)).told == 0.0
    assert load_row(json.dumps({**old, "added_later": 1})).runner.id == 1
    assert load_demand("{}") == Demand()


@settings(deadline=None, derandomize=True)
@given(
    st.builds(
        KnownJob,
        job=st.builds(
            Job,
            id=st.text(st.characters(codec="utf-8"), min_size=1),
            state=st.sampled_from(["offered", "assigned", "running"]),
            name=st.text(st.characters(codec="utf-8")),
            labels=st.lists(st.text(st.characters(codec="utf-8"))).map(tuple),
            queued=st.none() | st.floats(allow_nan=False, allow_infinity=False),
        ),
        heard=st.floats(allow_nan=False, allow_infinity=False),
    )
)
def test_jobs_of_any_text_are_kept(known: KnownJob) -> None:
    assert load_job(dump(known)) == known


# --- the folder


async def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        async with opened(tmp_path / "state") as (ledger, _):
            await ledger.write(everything())
            modes = {
                path.name: stat.S_IMODE(path.stat().st_mode)
                for path in (tmp_path / "state").iterdir()
            }
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert "ledger.sqlite3" in modes
    assert set(modes.values()) == {0o600}


async def test_a_second_scaler_is_refused_by_the_number_of_the_first(tmp_path: Path) -> None:
    async with opened(tmp_path) as (ledger, _):
        with pytest.raises(FatalError) as caught:
            await Ledger.open(tmp_path)
        assert f"another scaler (process {os.getpid()}) uses state_dir {tmp_path}" in str(
            caught.value
        )
        await ledger.write(everything())  # and the first goes on
    await stored(tmp_path)  # until it has let go


async def test_a_process_that_was_killed_has_let_go(tmp_path: Path) -> None:
    code = (
        "import os, sys, trio, pathlib, threading\n"
        "from scaler.ledger import Ledger\n"
        "async def main():\n"
        "    await Ledger.open(pathlib.Path(sys.argv[1]))\n"
        "    print('open', flush=True)\n"
        "    threading.Event().wait(30)\n"
        "trio.run(main)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: ASYNC220
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"open\n"
            with pytest.raises(FatalError, match=rf"process {process.pid}\)"):
                await Ledger.open(tmp_path)
        finally:
            process.kill()
    await stored(tmp_path)


async def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FatalError, match="cannot be used"):
        await Ledger.open(tmp_path / "file" / "state")
