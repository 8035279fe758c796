"""A machine that scaler serves on, as pages take it for granted, in a folder of its own.

`/etc/scaler`, `/var/lib/scaler` and the names that pages use stand for what is there: what is typed
is put into the one, and what comes back into the other. `systemctl`, `journalctl` and `sudo` are
small scripts that do what they would do.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.test_docs_tutorial import Shell

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 60.0  # seconds for what is waited for
WIDTH = 96  # columns of the terminal
ROOT = Path(__file__).parent.parent.parent

SYSTEMCTL = """#!/bin/bash
# start, stop, restart, is-active: of the one unit that there is
runs() { [ -f PID ] && kill -0 "$(cat PID)" 2> /dev/null; }
stop() { runs && kill -TERM "$(cat PID)"; while runs; do sleep 0.05; done; rm -f PID; }
start() {
  runs && return
  : > READY
  scaler run -c ETC/scaler.toml < /dev/null >> LOG 2> >(tee -a LOG > READY) &
  pid=$!
  echo $pid > PID
  while kill -0 $pid 2> /dev/null; do
    grep -q '"message": "scaler .* starts' READY && disown $pid && return
    sleep 0.05
  done
  wait $pid; code=$?
  rm -f PID
  echo "Job for scaler.service failed because the control process exited with error code."
  return 1
}
case $1 in
  start) start ;;
  stop) stop ;;
  restart) stop; start ;;
  is-active) if runs; then echo active; else echo inactive; exit 3; fi ;;
esac
"""
JOURNALCTL = """#!/bin/bash
# journalctl -u scaler -o cat -n NUMBER
tail -n "${@: -1}" LOG
"""
SCALER = """#!/bin/bash
[ -f scaler.toml ] || cd ETC || exit 9  # /etc/scaler/scaler.toml is what it would take
exec "{}" -m scaler "$@"
"""
SUDO = """#!/bin/bash
[ "$1" = -u ] && shift 2
exec "$@"
"""


class Control:
    """The simulator, as a process, and what it is told to do."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "scaler_github.testing", *arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        lines = [self._process.stdout.readline().strip() for _ in range(3)]
        told = dict(line.split("=", 1) for line in lines)
        self.url, self.token, self._control = told["url"], told["token"], told["control"]

    def tell(self, call: str, **arguments: Any) -> Any:
        """Have it do something."""
        request = urllib.request.Request(
            self._control + call, data=json.dumps(arguments).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def world(self) -> Any:
        """Everything that it has."""
        with urllib.request.urlopen(self._control + "world", timeout=10) as answer:
            return json.load(answer)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()


class Stage:
    """The machine; a context manager.

    Attributes:
        github: The simulator.
        names: What pages say, and what it is here.
    """

    def __init__(self, *simulator: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="play", dir="/tmp"))  # socket paths are short
        self.etc, self.state = self.folder / "etc/scaler", self.folder / "var/lib/scaler"
        (self.etc / "secrets").mkdir(parents=True)
        self.state.mkdir(parents=True, mode=0o700)
        self._bin = self.folder / "bin"
        self._bin.mkdir()
        self.github = Control(*simulator)
        self.log, self._pid = self.folder / "log", self.folder / "pid"
        self.names = {
            "/etc/scaler": str(self.etc),
            "/var/lib/scaler": str(self.state),
            "-o scaler -g scaler ": "",  # there is no such user
            "/var/tmp/": str(self.folder),
        }
        for name, text in (
            *(("systemctl", SYSTEMCTL), ("journalctl", JOURNALCTL), ("sudo", SUDO)),
            ("scaler", SCALER.format(sys.executable)),
        ):
            self.command(name, text)
        environ = {
            "PATH": f"{self._bin}:{os.path.dirname(sys.executable)}:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.folder),
            "NO_COLOR": "1",
            "TERM": "dumb",
            "COLUMNS": str(WIDTH),
            "LC_ALL": "C.UTF-8",
        }
        self.shell = Shell(self.etc, environ)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def command(self, name: str, text: str) -> None:
        """Let there be a command of this name."""
        places = {"PID": self._pid, "LOG": self.log, "READY": self.folder / "ready"}
        for word, place in {**places, "ETC": self.etc}.items():
            text = text.replace(word, str(place))
        path = self._bin / name
        path.write_text(text)
        path.chmod(0o755)

    def settings(self, text: str) -> None:
        """Write the settings, and the token's file where there is none."""
        (self.etc / "scaler.toml").write_text(self.here(text))
        secret = self.etc / "secrets/github"
        if not secret.exists():
            secret.write_text(self.github.token + "\n")
            secret.chmod(0o600)

    def here(self, text: str) -> str:
        """What a page says, as it is here."""
        for said, meant in self.names.items():
            text = text.replace(said, meant)
        return text

    def there(self, text: str) -> str:
        """What is here, as a page says it."""
        for said, meant in self.names.items():
            text = text.replace(meant, said) if meant else text
        return text

    def type(self, command: str) -> tuple[str, int]:
        """Type a page's command; what comes back, in its words, and the exit code."""
        said, code = self.shell.type(self.here(command))
        return self.there(said), code

    def status(self) -> Any:
        """What `scaler status --json` says."""
        said, code = self.type("scaler status --json")
        assert code == 0, said
        return json.loads(said)

    def until(self, what: Callable[[], Any], told: Callable[[], Any] = str) -> Any:
        """Wait until something is true."""
        since = time.monotonic()
        while not (found := what()):
            assert time.monotonic() < since + PATIENCE, f"{told()}\n{self.type('scaler status')[0]}"
            time.sleep(0.1)
        return found

    def close(self) -> None:
        """End all that was started."""
        with contextlib.suppress(OSError, ValueError):
            os.kill(int(self._pid.read_text()), signal.SIGKILL)
        self.shell.close()
        self.github.close()
        shutil.rmtree(self.folder, ignore_errors=True)
