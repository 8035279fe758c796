"""A scaler as the command line sees it: a socket that gives canned answers; and a terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from scaler.control.place import address

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

NOW = 1_795_371_200.0  # 2026-11-22 18:13:20 UTC

Answer = Any


class Refused(Exception):
    """Answers with an error."""

    def __init__(self, code: str, text: str, fix: str = "", problems: list[str] | None = None):
        super().__init__(text)
        self.error = {"code": code, "text": text, "fix": fix}
        if problems is not None:
            self.error["problems"] = problems  # type: ignore[assignment]


class FakeScaler:
    """Listens in a state folder. `answers` gives, by command, a result or what makes one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.answers: dict[str, Answer] = {}
        self.requests: list[dict[str, Any]] = []
        self.hangs = False
        self._watchers: list[socket.socket] = []
        self._all: list[socket.socket] = []
        folder.mkdir(mode=0o700, exist_ok=True)
        self._socket = socket.socket(socket.AF_UNIX)
        with address(folder) as path:
            self._socket.bind(path)
        self._socket.listen(16)
        threading.Thread(target=self._accept, daemon=True).start()

    def asked(self, command: str) -> list[dict[str, Any]]:
        """What was asked with this command."""
        found = [each for each in self.requests if each["command"] == command]
        return [
            {k: v for k, v in each.items() if k not in ("command", "version")} for each in found
        ]

    def push(self, status: Mapping[str, Any]) -> None:
        """Tell all who watch."""
        for each in self._watchers:
            with suppress(OSError):
                each.sendall(_line({"ok": True, "result": status}))

    def watched(self) -> None:
        """Wait until somebody watches."""
        until(lambda: self._watchers)

    def stop(self) -> None:
        """End as a scaler does."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for each in self._all:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        with address(self.folder) as path:
            os.unlink(path)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                stream, _ = self._socket.accept()
                self._all.append(stream)
                threading.Thread(target=self._serve, args=(stream,), daemon=True).start()

    def _serve(self, stream: socket.socket) -> None:
        with suppress(OSError, ValueError), stream.makefile("rb") as lines:
            for line in lines:
                request = json.loads(line)
                self.requests.append(request)
                if self.hangs:
                    continue
                stream.sendall(_line(self._answer(request)))
                if request.get("watch"):
                    self._watchers.append(stream)

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        answer = self.answers[request["command"]]
        try:
            return {"ok": True, "result": answer(request) if callable(answer) else answer}
        except Refused as refused:
            return {"ok": False, "error": refused.error, "version": "9.9"}


def _line(value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


def until(true: Callable[[], object], seconds: float = 20) -> None:
    """Wait for something that happens elsewhere."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


class Terminal:
    """`scaler …` on a terminal of this size."""

    def __init__(self, *argv: str, columns: int = 80, lines: int = 24, **environ: str) -> None:
        self._main, other = pty.openpty()
        self.other = os.dup(other)
        self.resize(columns, lines)
        self.before = termios.tcgetattr(other)
        env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "scaler", *argv],
            stdin=other,
            stdout=other,
            stderr=other,
            start_new_session=True,
            env={**env, "TERM": "xterm", **environ},
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(other)
        self._data = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with suppress(OSError):
            while data := os.read(self._main, 65536):
                self._data += data

    @property
    def output(self) -> str:
        """All that was written so far."""
        return self._data.decode("utf-8", "replace")

    def wait_for(self, text: str, after: int = 0) -> int:
        """Wait until this was written; the place behind it."""
        until(lambda: text in plain(self.output[after:]))
        return len(self.output)

    def type(self, text: str) -> None:
        os.write(self._main, text.encode())

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._main, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def send(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def wait(self, seconds: float = 20) -> int:
        """Wait for its end; the exit code."""
        try:
            code = self.process.wait(seconds)
        finally:
            if self.process.poll() is None:
                self.process.kill()
        os.close(self.other)
        self._reader.join(5)
        return code

    def close(self) -> None:
        """End it, whatever it does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        with suppress(OSError):
            os.close(self._main)


def plain(text: str) -> str:
    """A text without what it tells the terminal to do."""
    return re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", text).replace("\r\n", "\n")


def screen(output: str, columns: int, lines: int) -> list[str]:
    """What stands on the terminal in the end: enough of one for what scaler writes."""
    rows = [""] * lines
    at = column = 0
    for token in re.findall(r"\x1b\[[?0-9;]*[a-zA-Z]|\r\n|[^\x1b\r\n]+", output):
        if token == "\x1b[H":
            at = column = 0
        elif token == "\x1b[K":
            rows[at] = rows[at][:column]
        elif token == "\x1b[J":
            rows[at:] = [rows[at][:column]] + [""] * (lines - at - 1)
        elif token == "\r\n":
            at, column = at + 1, 0
            assert at < lines, "it scrolled"
        elif not token.startswith("\x1b"):
            for letter in token:  # where lines are not wrapped, the cursor stays on the last column
                rows[at] = rows[at].ljust(column)[:column] + letter + rows[at][column + 1 :]
                column = min(column + 1, columns - 1)
    return [row.rstrip() for row in rows]
