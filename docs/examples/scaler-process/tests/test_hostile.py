"""Jobs that hide, multiply and lock their folder: all of it goes, and nothing else does."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio

from scaler_process.ending import StillThere, end
from scaler_process.proc import TAG, Process, read, runners, send
from scaler_process.removal import remove

from .conftest import PYTHON, environment, runs, until

HIDES = """
import os, sys, time
def child():
    os.setsid()
    if os.fork():
        os._exit(0)
    os.execve({python!r}, ["innocent", "-c", "import time; time.sleep(600)"], {{}})
for _ in range(3):
    if not os.fork():
        child()
print("all are out", flush=True)
{then}
"""
# Each generation lives 2 ms: a look at all processes sees none that is still there. They leave
# their number in a file.
STORM = """
import os, time
if os.fork():
    time.sleep(600)
until, number = time.monotonic() + 15, 0
while time.monotonic() < until:
    number += 1
    if os.fork():
        time.sleep(0.002)
        os._exit(0)
    with open("number.new", "w") as file:
        file.write(str(number))
    os.replace("number.new", "number")
"""


@pytest.mark.parametrize("then", ["time.sleep(600)", ""], ids=["stays", "ends"])
async def test_children_without_tag_session_or_parent_are_found(place: Any, then: str) -> None:
    script = HIDES.format(python=PYTHON, then=then)
    async with place.scaler(PYTHON, "-c", script) as here:
        await here.provision()
        log = place.base / "linux.1@here" / "output.log"
        if then:
            await until(lambda: place.running() == 5)
            assert b"all are out" in log.read_bytes()
            untagged = [each for each in place.processes() if TAG not in environment(each.pid)]
            assert len(untagged) == 3
        else:
            assert (await here.ended()).why == "its command ended: exit code 0"
        assert place.running() == (5 if then else 0)
        there = place.processes()
        await here.destroy()
        assert not any(runs(each) for each in there)


async def test_a_storm_of_forks_ends(place: Any) -> None:
    async with place.scaler(PYTHON, "-c", STORM) as here:
        await here.provision()
        number = place.base / "linux.1@here/files/number"
        await until(lambda: number.exists() and int(number.read_text()) > 50)
        number.parent.rename(place.folder / "kept")
        (place.base / "linux.1@here/files").mkdir()
        await here.destroy()
        last = (place.folder / "kept/number").read_text()
        await trio.sleep(0.2)
        assert (place.folder / "kept/number").read_text() == last
    assert list(place.base.iterdir()) == []


async def test_a_stopped_runner_is_killed_too(place: Any) -> None:
    async with place.scaler() as here:
        await here.provision()
        await until(lambda: place.running() == 2)
        for process in place.processes():
            send(process, signal.SIGSTOP)
        await here.destroy()
        assert place.running() == 0


def test_a_pid_that_is_used_again_is_not_signalled() -> None:
    with subprocess.Popen(["sleep", "600"]) as innocent:
        now = read(innocent.pid)
        assert now is not None
        send(replace(now, started=now.started - 1), signal.SIGKILL)
        with pytest.raises(subprocess.TimeoutExpired):
            innocent.wait(0.2)
        send(now, signal.SIGKILL)
        assert innocent.wait(10) == -signal.SIGKILL
    assert read(now.pid) is None
    send(now, signal.SIGKILL)


def test_a_zombie_runs_no_more() -> None:
    with subprocess.Popen(["true"], env={TAG: "test-zombie"}) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        seen = read(process.pid)
        assert seen is not None
        assert seen.ended
        assert "test-zombie" not in runners()


def test_a_name_with_brackets_hides_nothing(tmp_path: Path) -> None:
    program = tmp_path / "a) S 1 (b"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([str(program), "600"], env={TAG: "test-brackets"}) as process:
        seen = read(process.pid)
        assert seen is not None
        assert (seen.pid, seen.parent) == (process.pid, os.getpid())
        end("test-brackets", patience=10)
        assert process.wait(10) == -signal.SIGKILL


def test_what_does_not_end_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scaler_process.ending.send", lambda *_: None)
    with subprocess.Popen(["sleep", "600"], env={TAG: "test-patience"}) as process:
        with pytest.raises(StillThere, match=rf"do not end: {process.pid}"):
            end("test-patience", patience=0.05)
        process.kill()


def test_the_keeper_goes_last_so_that_what_does_not_end_is_not_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An heir of nobody, without a tag: only the keeper leads to it."""
    heir = [PYTHON, "-c", "import time; time.sleep(600)"]
    script = f"import os, time; os.spawnve(os.P_NOWAIT, {PYTHON!r}, {heir}, {{}}); time.sleep(600)"
    with subprocess.Popen([PYTHON, "-c", script], env={TAG: "test-last"}) as keeper:
        while len(runners().get("test-last", ())) < 2:
            time.sleep(0.01)
        _, last = sorted(runners()["test-last"])

        def spare(process: Process, number: int) -> None:
            if process != last:
                send(process, number)

        monkeypatch.setattr("scaler_process.ending.send", spare)
        with pytest.raises(StillThere, match=str(last.pid)):
            end("test-last", patience=0.2)
        monkeypatch.undo()
        end("test-last", patience=10)
        keeper.wait(10)
        assert not runs(last)


async def test_a_folder_full_of_traps_goes_and_nothing_outside_does(
    place: Any, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    (kept / "inside").mkdir(parents=True)
    (kept / "inside/file").write_text("stays")
    kept.chmod(0o755)
    script = f"""
import os
os.symlink({str(kept)!r}, "link-to-folder")
os.symlink({str(kept / "inside/file")!r}, "link-to-file")
os.symlink("/", "link-to-root")
os.mkfifo("fifo")
os.makedirs("locked/in")
open("locked/in/file", "w").close()
os.link("locked/in/file", "locked/second-name")
os.symlink({str(kept)!r}, "locked/in/link")
open(b"caf\\xe9\\n-rf \\xff", "w").close()
os.chmod("locked/in", 0); os.chmod("locked", 0o555)
for n in range(1500):
    os.mkdir("d" * 200); os.chdir("d" * 200)
"""
    async with place.scaler(PYTHON, "-c", script) as here:
        await here.provision()
        assert (await here.ended()).why == "its command ended: exit code 0"
        await here.destroy()
    assert list(place.base.iterdir()) == []
    assert (kept / "inside/file").read_text() == "stays"
    assert kept.stat().st_mode & 0o777 == 0o755


async def test_files_of_ours_that_a_job_replaces_are_not_believed(
    place: Any, tmp_path: Path
) -> None:
    """A job that runs as scaler's own user can: it must not make scaler read or wait."""
    private = tmp_path / "private"
    private.write_text("token")
    script = f"""
import os
for name in ("output.log", "ended.json", "begun"):
    if os.path.lexists("../" + name):
        os.unlink("../" + name)
os.symlink({str(private)!r}, "../output.log")
os.mkfifo("../output.1.log")
os.mkfifo("../ended.json")
os.kill(os.getppid(), 9)
"""
    async with place.scaler(PYTHON, "-c", script) as here:
        await here.provision()
        with trio.fail_after(20):
            await here.ended()
            (listed,) = await here.plugin.list_machines()
            assert listed.state == "stopped"
            await here.destroy(failed=True)
        assert here.context.memory.kept == {}
    assert private.read_text() == "token"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_locked_folders_are_removed_by_an_ordinary_user_too() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "f"
        (folder / "a/b").mkdir(parents=True)
        (folder / "a/b/c").write_text("")
        for path in (folder / "a/b", folder / "a", folder):
            path.chmod(0)
        for path in (Path(name), folder, folder / "a", folder / "a/b"):
            os.chown(path, 65534, 65534)
        child = os.fork()
        if not child:
            try:
                os.setgid(65534)
                os.setuid(65534)
                remove(folder)
                os._exit(0)
            except BaseException:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert not folder.exists()


def test_what_is_not_there_is_removed_already(tmp_path: Path) -> None:
    remove(tmp_path / "gone")
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "link").symlink_to(outside)
    with pytest.raises(OSError, match="link"):
        remove(tmp_path / "link")
    assert outside.is_dir()
