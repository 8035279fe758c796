"""The asking side: what it says where nobody answers, or not as a scaler would."""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scaler import __version__
from scaler.control import client
from scaler.control.place import LOCK, SOCKET

STATUS = {"command": "status"}
NOBODY = 65534


@contextmanager
def answering(folder: Path, serve: Callable[[socket.socket], None]) -> Iterator[None]:
    """Something that listens there, and does what a test wants with whoever connects first."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / SOCKET))
        listener.listen()

        def run() -> None:
            stream, _ = listener.accept()
            with stream:
                serve(stream)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield
        thread.join(5)


def says(*lines: bytes) -> Callable[[socket.socket], None]:
    def serve(stream: socket.socket) -> None:
        stream.recv(1000)
        for line in lines:
            stream.sendall(line)

    return serve


def silent(stream: socket.socket) -> None:
    while stream.recv(1000):
        pass


def test_importing_it_is_quick() -> None:
    code = "import scaler.control.client, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"trio", "msgspec", "scaler.engine", "scaler.settings"} & set(done.stdout.split())


def test_the_request_tells_the_version_and_the_result_comes_back(tmp_path: Path) -> None:
    seen: list[bytes] = []

    def serve(stream: socket.socket) -> None:
        seen.append(stream.recv(1000))
        for part in (b'{"ok": true, "vers', b'ion": "7", "result": {"a": 1}}', b"\n"):
            stream.sendall(part)
            time.sleep(0.01)

    with answering(tmp_path, serve):
        assert client.ask(tmp_path, STATUS, timeout=5) == {"a": 1}
    assert json.loads(seen[0]) == {"command": "status", "version": __version__}
    assert seen[0].endswith(b"\n")


def test_an_error_has_all_that_was_told(tmp_path: Path) -> None:
    error = {"code": "settings", "text": "wrong", "fix": "mend it", "problems": ["a", "b"]}
    line = json.dumps({"ok": False, "version": "7", "error": error}).encode() + b"\n"
    with answering(tmp_path, says(line)), pytest.raises(client.ControlError) as raised:
        client.ask(tmp_path, STATUS, timeout=5)
    found = raised.value
    assert (found.code, found.text, found.fix) == ("settings", "wrong", "mend it")
    assert (found.problems, found.version) == (("a", "b"), "7")


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ((), "closed"),
        ((b'{"ok": tr',), "closed"),
        ((b"HTTP/1.1 400 Bad Request\r\n",), "malformed"),
        ((b"[]\n",), "malformed"),
        ((b'{"ok": true}\n',), "malformed"),
        ((b'{"ok": true, "result": []}\n',), "malformed"),
        ((b'{"ok": false}\n',), "malformed"),
        ((b'{"ok": false, "error": "no"}\n',), "malformed"),
        ((b"\xff\xff\n",), "malformed"),
        ((b"[" * 100_000 + b"\n",), "malformed"),
    ],
)
def test_what_no_scaler_says_is_an_error_of_its_own(
    tmp_path: Path, lines: tuple[bytes, ...], code: str
) -> None:
    with answering(tmp_path, says(*lines)), pytest.raises(client.ControlError) as raised:
        client.ask(tmp_path, STATUS, timeout=5)
    assert raised.value.code == code


def test_an_answer_without_end_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "MOST", 1000)
    with (
        answering(tmp_path, says(b"x" * 5000)),
        pytest.raises(client.ControlError, match="longer than 1000 bytes"),
    ):
        client.ask(tmp_path, STATUS, timeout=5)


def test_a_scaler_that_hangs_is_waited_for_as_long_as_was_said(tmp_path: Path) -> None:
    began = time.monotonic()
    with (
        answering(tmp_path, silent),
        pytest.raises(client.ControlError, match=r"did not answer within 0\.2 s") as raised,
    ):
        client.ask(tmp_path, STATUS, timeout=0.2)
    assert raised.value.code == "timeout"
    assert time.monotonic() - began < 3


def test_a_scaler_that_lets_nobody_in_is_waited_for_as_well(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / SOCKET))
        listener.listen(0)
        with socket.socket(socket.AF_UNIX) as first:
            first.connect(str(tmp_path / SOCKET))
            with pytest.raises(client.ControlError, match="did not answer"):
                client.ask(tmp_path, STATUS, timeout=0.2)


def test_a_watch_gives_each_answer_until_the_scaler_ends(tmp_path: Path) -> None:
    lines = [b'{"ok": true, "result": {"n": %d}}\n' % n for n in range(3)]
    with answering(tmp_path, says(b"".join(lines))):
        watched = client.watch(tmp_path, STATUS | {"watch": True}, timeout=5)
        assert [next(watched)["n"] for _ in range(3)] == [0, 1, 2]
        with pytest.raises(client.ControlError) as raised:
            next(watched)
        assert raised.value.code == "closed"


def test_a_watch_of_a_scaler_that_hangs_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "SILENT", 0.1)
    serve = says(b'{"ok": true, "result": {}}\n')

    def once(stream: socket.socket) -> None:
        serve(stream)
        stream.recv(1)

    with answering(tmp_path, once):
        watched = client.watch(tmp_path, STATUS, timeout=0.1)
        assert next(watched) == {}
        with pytest.raises(client.ControlError, match="did not answer"):
            next(watched)
        watched.close()


# --- nobody answers


def state(folder: Path) -> tuple[str, int | None, str]:
    with pytest.raises(client.NotRunning) as raised:
        client.ask(folder, STATUS, timeout=5)
    assert raised.value.folder == folder
    assert str(folder) in raised.value.text
    return raised.value.state, raised.value.pid, raised.value.text


def test_no_folder_and_a_folder_of_nobody(tmp_path: Path) -> None:
    assert state(tmp_path / "no")[0] == "absent"
    assert state(tmp_path)[:2] == ("absent", None)


def test_a_scaler_that_stopped_cleanly(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text("4711\n")
    assert state(tmp_path)[:2] == ("stopped", 4711)


def test_a_scaler_that_died_left_its_socket(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text("4711\n")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / SOCKET))
    found = state(tmp_path)
    assert found[:2] == ("died", 4711)
    assert "process 4711 ended without a clean stop" in found[2]


@pytest.mark.parametrize(("since", "told"), [(0.0, "starting"), (600.0, "deaf")])
def test_a_scaler_that_has_no_socket_is_starting_or_deaf(
    tmp_path: Path, since: float, told: str
) -> None:
    with open(tmp_path / LOCK, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        os.utime(lock.fileno(), (time.time() - since, time.time() - since))
        assert state(tmp_path)[:2] == (told, os.getpid())


def test_looking_takes_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a scaler that starts in that moment would say that another has the folder."""
    (tmp_path / LOCK).write_text("4711\n")

    def taken(*_: object) -> None:
        raise AssertionError("it takes the lock")

    monkeypatch.setattr(fcntl, "flock", taken)
    monkeypatch.setattr(fcntl, "lockf", taken)
    before = (tmp_path / LOCK).stat()
    state(tmp_path)
    assert (tmp_path / LOCK).stat() == before


@pytest.mark.parametrize("text", ["", "x", "\xff" * 30])
def test_a_lock_that_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / LOCK).write_text(text)
    assert state(tmp_path)[:2] == ("stopped", None)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
@pytest.mark.parametrize("closed", ["folder", "socket"])
def test_another_user_is_told_whose_it_is(tmp_path: Path, closed: str) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700 if closed == "folder" else 0o755)
    for path in (tmp_path, *tmp_path.parents):
        if not path.stat().st_mode & stat.S_IXOTH:
            path.chmod(path.stat().st_mode | stat.S_IXOTH)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / SOCKET))
        (folder / SOCKET).chmod(0o600)
        listener.listen()
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
        try:
            with pytest.raises(client.NotAllowed) as raised:
                client.ask(folder, STATUS, timeout=5)
        finally:
            os.seteuid(0)
            os.setegid(0)
    name = pwd.getpwuid(0).pw_name
    assert raised.value.owner == name
    text = f"this user has no right to state_dir {folder}: it is user {name}'s"
    assert raised.value.text == text
