"""Files to disk, all of them or none."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from scaler.scaffold.names import ScaffoldError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def write_folder(target: Path, files: Mapping[str, str]) -> None:
    """Make a folder that was not there, with these files in it: as a whole, or not at all.

    Args:
        target: The folder.
        files: What is in each, by its path below the folder.

    Raises:
        ScaffoldError: There is something already, or it cannot be written.
    """
    with _beside(target) as draft:
        draft.mkdir()
        for path, text in files.items():
            (draft / path).parent.mkdir(parents=True, exist_ok=True)
            (draft / path).write_text(text, encoding="utf-8")
        draft.rename(target)


def write_file(target: Path, text: str) -> None:
    """Make one file that was not there.

    Raises:
        ScaffoldError: There is something already, or it cannot be written.
    """
    with _beside(target) as draft:
        draft.write_text(text, encoding="utf-8")
        os.link(draft, target)  # unlike a renaming, it takes nobody's place


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A path in a hidden folder of its own, on the same disk; the folder goes in the end."""
    if os.path.lexists(target):
        raise ScaffoldError(
            f"found something at {target}, wanted a place that is free: "
            "move it away, or name another folder by --dir"
        )
    above = next((path for path in target.parents if os.path.lexists(path)), None)
    # os.path, since pathlib's raises where a link leads to what may not be looked at.
    if above and not os.path.isdir(above):
        raise ScaffoldError(
            f"found {above}, which is no folder, wanted one to put {target.name} into: "
            "name another by --dir"
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".scaler-", dir=target.parent) as hidden:
            yield Path(hidden, target.name)
    except OSError as error:
        raise ScaffoldError(
            f"{target} cannot be written: {error.strerror}; nothing is left of it"
        ) from error
