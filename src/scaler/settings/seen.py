"""What settings only name, as it was when they were read: to see that it has changed since."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from scaler.settings.problems import KeyPath


def stamp(file: Path) -> tuple[int, ...] | None:
    """What becomes another with the content of a file, its rights or its owner; None where there
    is none.

    Rights may be what was wrong with it. Not by `ctime`: another name for it, or the same owner
    again, would be a change. Folders have none: what is put into them is looked up there each time.
    """
    try:
        found = os.stat(file)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    rights = found.st_mode, found.st_uid, found.st_gid
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, *rights


def below(seen: Mapping[KeyPath, Any], path: KeyPath) -> dict[KeyPath, Any]:
    """The part of it that belongs to a table."""
    return {key: value for key, value in seen.items() if key[: len(path)] == path}


def mixed(
    new: Mapping[KeyPath, Any], old: Mapping[KeyPath, Any], stays: Iterable[KeyPath]
) -> dict[KeyPath, Any]:
    """The new one, but for the tables that stay as they were."""
    result = dict(new)
    for path in stays:
        for key in below(result, path):
            del result[key]
        result |= below(old, path)
    return result
