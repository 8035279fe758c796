"""Evidence on the disk. Everything here blocks, and raises OSError."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from typing import TYPE_CHECKING

from scaler.evidence.index import ITEM, is_name, is_shelf
from scaler.records import Kept

if TYPE_CHECKING:
    from pathlib import Path

PART = ".part"  # what is being written has no other name until it is whole


class Files:
    """A folder of evidence: a folder for each runner and profile, a file for each item.

    All of it is for its owner alone. It is not synced: what a crash of the whole machine loses of
    it is no harm.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def found(self) -> list[tuple[str, Kept]]:
        """Everything that is there; what was being written at a crash is removed."""
        found: list[tuple[str, Kept]] = []
        if not self.folder.is_dir():
            return found
        for shelf in os.scandir(self.folder):
            if not is_shelf(shelf.name) or not shelf.is_dir(follow_symlinks=False):
                continue
            for item in _items(shelf.path):
                with contextlib.suppress(OSError):  # what one item is costs no other
                    if item.name == PART:
                        os.unlink(item.path)
                        continue
                    facts = item.stat(follow_symlinks=False)
                    if is_name(item.name) and stat.S_ISREG(facts.st_mode):
                        kept = Kept(name=item.name, size=facts.st_size, time=facts.st_mtime)
                        found.append((shelf.name, kept))
        return found

    def write(self, shelf: str, name: str, data: bytes, time: float) -> None:
        """Keep an item, whole or not at all."""
        place = self.folder / shelf
        self.folder.mkdir(mode=0o700, exist_ok=True)
        place.mkdir(mode=0o700, exist_ok=True)
        part = place / PART
        try:
            flags = os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            with open(os.open(part, flags, 0o600), "wb") as file:
                file.write(data)
            os.utime(part, (time, time))
            os.rename(part, place / name)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink()
            with contextlib.suppress(OSError):
                place.rmdir()  # where nothing else is in it
            raise

    def read(self, shelf: str, name: str) -> bytes:
        """An item."""
        descriptor = os.open(self.folder / shelf / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            return file.read(ITEM)

    def remove(self, shelf: str, name: str | None = None) -> None:
        """Forget an item, or (None) everything of a subject; gone already is well."""
        place = self.folder / shelf
        if name is None:
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(place)
            return
        (place / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            place.rmdir()


def _items(folder: str) -> list[os.DirEntry[str]]:
    """What lies in a folder; nothing where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []
