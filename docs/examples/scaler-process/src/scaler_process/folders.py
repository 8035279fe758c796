"""Runners' folders. A folder is the machine: what has one is listed, what has none never ran.

Its name is the runner's, so it is tagged from the moment it exists. `machine.json` in it has the
tag that its processes carry, and is on the disk before the first of them is started; `begun` says
that the command was started, and `ended.json` how it ended.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaler import Machine
from scaler_process.files import BEGUN, ENDED, MARKER, plain, sync, write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scaler import Runner

ROOM = "here"
_NAME = re.compile(r"(?P<profile>[a-z0-9-]+)\.(?P<runner>[0-9]+)@(?P<scaler>[a-z0-9-]+)", re.ASCII)
_LARGEST = 1 << 16  # bytes of a file of ours; what is larger is a job's work
_GONE = "its processes were killed, or this machine was started anew"
_NEVER = "scaler ended before it was started"


@dataclass(frozen=True)
class Folder:
    """One runner's folder.

    Attributes:
        path: Where it is.
        runner: The runner's id.
        profile: Its profile.
    """

    path: Path
    runner: int
    profile: str

    @property
    def tag(self) -> str:
        """What its processes carry; empty where none can have been started."""
        return str(self._said(MARKER).get("tag", ""))

    @property
    def begun(self) -> bool:
        """Whether its command was started."""
        return (self.path / BEGUN).exists()

    def machine(self, *, running: bool) -> Machine:
        """What scaler is told of it."""
        marker, ended = self._said(MARKER), self._said(ENDED)
        why = "" if running else ended.get("why", _GONE if self.begun else _NEVER)
        return Machine(
            runner=self.runner,
            id=str(marker.get("tag", self.path.name)),
            state="running" if running else "stopped",
            why=str(why),
            room=ROOM,
            runner_name=self.path.name,
            profile=self.profile,
            delivered=True,
            digest=str(marker.get("digest", "")),
            facts={"folder": str(self.path)},
        )

    def mark(self, digest: str) -> None:
        """Write down the tag, unless it was before; it is on the disk when this returns."""
        if not self.tag:
            write(self.path, MARKER, {"tag": uuid.uuid4().hex, "digest": digest})

    def _said(self, name: str) -> dict[str, Any]:
        try:
            said = json.loads(plain(self.path / name, _LARGEST))
        except ValueError:
            return {}
        return said if isinstance(said, dict) else {}


class Folders:
    """All folders of one scaler's runners."""

    def __init__(self, base: Path, scaler: str) -> None:
        self.base = base
        self._scaler = scaler

    def prepare(self) -> None:
        """Make the folder that all are in. Whoever runs jobs may pass through, and not look."""
        if not self.base.is_dir():
            self.base.mkdir(parents=True)
            self.base.chmod(0o711)

    def __iter__(self) -> Iterator[Folder]:
        """All that there are.

        Raises:
            OSError: They cannot be listed.
        """
        for name in sorted(os.listdir(self.base)):
            match = _NAME.fullmatch(name)
            if match and match["scaler"] == self._scaler:
                yield Folder(self.base / name, int(match["runner"]), match["profile"])

    def of(self, runner: int) -> Folder | None:
        """The runner's, if there is one."""
        return next((folder for folder in self if folder.runner == runner), None)

    def make(self, runner: Runner) -> Folder:
        """A new one; it is on the disk when this returns."""
        match = _NAME.fullmatch(runner.name)
        if not match or (int(match["runner"]), match["scaler"]) != (runner.id, self._scaler):
            raise ValueError(f"{runner.name!r} is no name of {self._scaler}'s runner {runner.id}")
        path = self.base / runner.name
        path.mkdir()
        path.chmod(0o711)
        sync(self.base)
        return Folder(path, runner.id, match["profile"])
