"""Files that are on the disk when they are said to be, and the names of ours."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

MARKER, BEGUN, ENDED = "machine.json", "begun", "ended.json"
FILES, SCRATCH = "files", "tmp"  # the job's own two folders


def write(folder: Path, name: str, said: dict[str, Any]) -> None:
    """Write a file in one step; it is on the disk when this returns."""
    new = folder / f"{name}.new"
    with new.open("w") as file:
        json.dump(said, file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(folder / name)
    sync(folder)


def sync(folder: Path) -> None:
    """See that the names in a folder are on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
