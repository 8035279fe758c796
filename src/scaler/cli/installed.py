"""Which commands installed distributions bring, read off their metadata for `scaler --help`.

importlib.metadata could tell it too, but takes as long to import as all else that --help does.
"""

from __future__ import annotations

import os
import sys


def brought(group: str) -> dict[str, str]:
    """The names in this group of entry points, each with its distribution. Imports nothing."""
    found: dict[str, str] = {}
    for place in sys.path:
        try:
            entries = sorted(os.listdir(place or "."))
        except OSError:  # an archive, or not there
            continue
        for entry in entries:
            if entry.endswith((".dist-info", ".egg-info")):
                dist = entry.rpartition(".")[0].partition("-")[0].replace("_", "-")
                for name in _names(os.path.join(place, entry, "entry_points.txt"), group):
                    found.setdefault(name, dist)
    return found


def _names(file: str, group: str) -> list[str]:
    try:
        with open(file, encoding="utf-8", errors="replace") as opened:
            lines = [line.strip() for line in opened]
    except OSError:
        return []
    names, section = [], ""
    for line in lines:
        if line.startswith("["):
            section = line.strip("[] ")
        elif section == group and "=" in line and not line.startswith(("#", ";")):
            names.append(line.partition("=")[0].strip())
    return names
