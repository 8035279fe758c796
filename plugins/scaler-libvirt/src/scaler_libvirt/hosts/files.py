"""Files of the site that machines are made from, read when one is made."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 1 << 20  # bytes


def read_file(path: Path) -> bytes:
    """A small file; it is read anew only where it has changed. Blocks: for a worker thread.

    Raises:
        ValueError: It cannot be read, or is too large.
    """
    try:
        status = path.stat()
        if status.st_size > LARGEST:
            raise ValueError(f"{path}: found {status.st_size} bytes, wanted {LARGEST} at most")
        return _read(path, status.st_mtime_ns, status.st_size)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error


@lru_cache(maxsize=32)
def _read(path: Path, _changed: int, _size: int) -> bytes:
    return path.read_bytes()
