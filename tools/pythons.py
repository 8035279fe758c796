"""Which Pythons of this machine can run the tests, and why the others cannot."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSIONS = ("3.11", "3.12", "3.13")

PROBE = """
import os, sys, sysconfig
print("%d.%d" % sys.version_info[:2])
print(os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")))
"""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A Python that can run the tests, or why there is none."""

    path: Path | None = None
    why_not: str = ""


def find(version: str) -> Found:
    """Look for Python `version` ("3.12") on the PATH, then where pyenv keeps its own."""
    without_headers = None
    for path in candidates(version):
        answer = probe(path)
        if answer == [version, "True"]:
            return Found(path=path)
        if answer == [version, "False"]:
            without_headers = path
    if without_headers:
        return Found(
            why_not=f"{without_headers} has no headers (Python.h) to compile libvirt-python with"
        )
    return Found(why_not=f"no python{version} on this machine")


def candidates(version: str) -> Iterator[Path]:
    """Executables that may be Python `version`; a pyenv shim among them may refuse to run."""
    for folder in os.get_exec_path():
        path = Path(folder, f"python{version}")
        if path.is_file() and os.access(path, os.X_OK):
            yield path
    if shutil.which("pyenv"):
        root = subprocess.run(["pyenv", "root"], capture_output=True, text=True, check=False)
        if root.returncode == 0:
            versions = Path(root.stdout.strip(), "versions")
            yield from sorted(versions.glob(f"{version}.*/bin/python{version}"))


def probe(path: Path) -> list[str]:
    """Ask an executable for its version and whether it carries headers; [] if it does not run."""
    try:
        answer = subprocess.run(
            [path, "-c", PROBE], capture_output=True, text=True, check=False, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return answer.stdout.split() if answer.returncode == 0 else []
