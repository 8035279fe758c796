"""A folder that stands in for a guest, where its scripts are run."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from scaler_libvirt.machine.seed import Seed, contents

if TYPE_CHECKING:
    from pathlib import Path

KEY, NONCE = "k3y-of-the-guest", "n0nce"

# What looks at a process as everybody else in the guest can: /proc/*/cmdline of all its family.
SPY = (
    'for each in /proc/[0-9]*/cmdline; do tr "\\0" " " <"$each"; echo; done >>"$SPIED" 2>/dev/null'
)


class Guest:
    """A folder that stands in for a guest, with programs that do nothing but note it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.notes = folder / "notes"
        self.spied = folder / "spied"
        self.door = folder / "door"
        for name in ("bin", "dev", "run", "var/lib", "etc/ssh", "seed", "door", "opt"):
            (folder / name).mkdir(parents=True)
        self.console = folder / "dev/ttyS0"
        self.console.touch()
        self.spied.touch()
        self.notes.touch()
        for name in ("poweroff", "useradd", "apt-get", "sync"):
            self.program(name, f'echo "{name} $*" >>"$NOTES"')
        self.program("sleep", ":")
        self.program("spy", SPY)
        # the door: a file per path; its first line is the status, the rest the answer
        self.program(
            "curl",
            """spy
read -r line
for word in "$@"; do [ "${last:-}" != -o ] || out=$word; last=$word; done
address=${line#url = \\"}; address=${address%\\"}
echo "curl $address" >>"$NOTES"
path=${address##*/}; answer=$DOOR/${path%%\\?*}
[ -e "$answer" ] || { echo "curl: (7) refused" >&2; exit 7; }
status=$(head -n 1 "$answer"); tail -n +2 "$answer" >"$out"
case $* in *http_code*) printf %s "$status" ;;
*) [ "$status" -lt 400 ] || { echo "curl: (22) error: $status" >&2; exit 22; } ;; esac""",
        )

    def program(self, name: str, script: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def answers(self, path: str, status: int, text: str = "") -> None:
        (self.door / path).write_text(f"{status}\n{text}")

    def sow(self, **changes: object) -> None:
        values: dict[str, object] = {
            "uuid": "u",
            "name": "linux-7",
            "url": "http://10.0.0.1:8000/",
            "key": KEY,
            "nonce": NONCE,
            "profile": "linux",
        }
        for name, data in contents(Seed(**{**values, **changes})).items():  # type: ignore[arg-type]
            (self.folder / "seed" / name).write_bytes(data)

    def run(self, script: Path, shell: str = "sh", **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [shell, script],
            env={
                "PATH": f"{self.bin}:/usr/bin:/bin",
                "SCALER_ROOT": str(self.folder),
                "SCALER_PATIENCE": "1",
                "NOTES": str(self.notes),
                "SPIED": str(self.spied),
                "DOOR": str(self.door),
                **env,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def said(self) -> list[str]:
        lines = self.console.read_text(errors="replace").replace("\r", "").splitlines()
        return [line.removeprefix("scaler: ") for line in lines if line.startswith("scaler: ")]

    @property
    def done(self) -> list[str]:
        return [line for line in self.notes.read_text().splitlines() if not line.startswith("sync")]


@pytest.fixture
def guest(tmp_path: Path) -> Guest:
    return Guest(tmp_path)
