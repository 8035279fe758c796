"""What survives a plugin's instance: small facts, its folder, evidence."""

from __future__ import annotations

import copy
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any


class Memory:
    """What a crash leaves of a plugin on this side, for `FakeContext(memory=…)`.

    Args:
        folder: What becomes `Context.folder`; made where it is not there. Left out, a fresh one,
            which is removed with this object.

    Attributes:
        folder: What becomes `Context.folder`.
        facts: What was saved by `Context.save`, by its key, as JSON has it.
        kept: What was kept by `Context.keep`, by subject and name.
    """

    def __init__(self, folder: Path | None = None) -> None:
        if folder is None:
            folder = Path(tempfile.mkdtemp(prefix="scaler-testing-"))
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        else:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder
        self.facts: dict[str, Any] = {}
        self.kept: dict[tuple[int | str, str], bytes] = {}
        self._beside: dict[str, Memory] = {}

    def copy(self) -> Memory:
        """A snapshot, in a folder of its own: what a crash at this moment would leave."""
        left = Memory()
        shutil.copytree(self.folder, left.folder, symlinks=True, dirs_exist_ok=True)
        left.facts = copy.deepcopy(self.facts)
        left.kept = dict(self.kept)
        left._beside = {name: each.copy() for name, each in self._beside.items()}
        return left

    def beside(self, plugin: str) -> Memory:
        """The memory of another plugin of the same site: the same one each time."""
        return self._beside.setdefault(plugin, Memory())
