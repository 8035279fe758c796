"""The ledger's files as files: what can be told before SQLite sees them, and moving them aside."""

from __future__ import annotations

import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from scaler.ledger.trouble import Damage

FILE = "ledger.sqlite3"
ASIDE = "ledger-damaged-"
TOLD = "what-happened.txt"  # in a folder of a damaged ledger, once a new one is there
MAGIC = b"SQLite format 3\x00"
HEADER = 100  # bytes
_ORDER = ("", "-wal", "-shm", "-journal")  # as they are moved: never a file without its own log
_STAMP = "%Y%m%dT%H%M%SZ"
_SHELF = re.compile(r"runner-([1-9][0-9]{0,14})", re.ASCII)


def stamp() -> str:
    """The present, as names of files have it."""
    return time.strftime(_STAMP, time.gmtime())


def sync(path: Path) -> None:
    """Make a file, or the names in a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write(path: Path, text: str) -> None:
    """Write a small file that is there whole or not at all, for its owner alone."""
    part = path.with_name(path.name + ".part")
    flags = os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC
    with open(
        os.open(part, flags, 0o600), "w", encoding="utf-8", errors="backslashreplace"
    ) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.rename(part, path)
    sync(path.parent)


@dataclass(frozen=True)
class Files:
    """The files of one state folder. Everything blocks, and raises OSError."""

    folder: Path

    @property
    def path(self) -> Path:
        """The ledger."""
        return self.folder / FILE

    def beside(self, suffix: str) -> Path:
        """A file that SQLite keeps beside it."""
        return self.folder / (FILE + suffix)

    def size(self) -> int | None:
        """Bytes of the ledger; None where there is none."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return None

    def look(self) -> bool:
        """Whether there is something to read.

        SQLite would begin anew over an empty file, and delete the log of changes that is beside it.

        Raises:
            Damage: It cannot be a ledger of ours.
        """
        if not self.size():
            if self.beside("-wal").exists():
                what = "missing" if self.size() is None else "empty"
                raise Damage(f"it is {what}, and the log of its changes is there")
            return False
        with open(self.path, "rb") as file:
            header = file.read(HEADER)
        if len(header) < HEADER or not header.startswith(MAGIC):
            raise Damage("it is no SQLite database")
        versions, encoding = header[18:20], int.from_bytes(header[56:60], "big")
        if not set(versions) <= {1, 2} or encoding > 1:
            raise Damage("its header is not as scaler writes it")
        return True

    def unfinished(self) -> Path | None:
        """A folder into which a damaged ledger was being moved when scaler ended."""
        found = sorted(each for each in self.folder.glob(f"{ASIDE}*") if each.is_dir())
        return next((each for each in found if not (each / TOLD).exists()), None)

    def aside(self) -> Path:
        """A folder for what is damaged."""
        aside = self.unfinished()
        if aside is None:
            aside = base = self.folder / f"{ASIDE}{stamp()}"
            number = 1
            while aside.exists():
                number += 1
                aside = base.with_name(f"{base.name}-{number}")
            aside.mkdir(mode=0o700)
            sync(self.folder)
        return aside

    def move_aside(self) -> Path:
        """Move the ledger's files into a folder beside, the ledger first; where they are then.

        Its log alone would be told by `look` from a ledger; the ledger alone would look whole.
        """
        aside = self.aside()
        for suffix in _ORDER:
            source, target = self.beside(suffix), aside / (FILE + suffix)
            if source.exists() or source.is_symlink():
                number = 1
                while target.exists():  # of a try that was cut short: nothing is written over
                    number += 1
                    target = aside / f"{FILE}{suffix}.{number}"
                os.rename(source, target)
                sync(aside)
                sync(self.folder)
        return aside

    def remove_blank(self) -> None:
        """Remove a ledger without tables, as a start leaves it that was cut short."""
        for suffix in reversed(_ORDER):
            self.beside(suffix).unlink(missing_ok=True)

    def largest_shown(self) -> int:
        """The largest id of a runner of which evidence is kept; 0 where there is none."""
        try:
            names = [each.name for each in os.scandir(self.folder / "evidence")]
        except OSError:
            return 0
        return max((int(each[1]) for name in names if (each := _SHELF.fullmatch(name))), default=0)

    def free(self) -> int:
        """Bytes that can still be written there."""
        return shutil.disk_usage(self.folder).free
