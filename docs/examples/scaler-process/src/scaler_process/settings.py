"""`[plugins.process]` and `[profiles.X.process]`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType

from scaler import Duration, Size

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_NONE: Mapping[str, str] = MappingProxyType({})
OWN = ("HOME", "TMPDIR", "SCALER_PROCESS")  # variables that are not the site's to set


def processors() -> int:
    """How many runners there may be where nothing is said."""
    return os.cpu_count() or 1


@dataclass(frozen=True, kw_only=True)
class Config:
    """`[plugins.process]`.

    Attributes:
        folder: Where each runner gets a folder of its own; the plugin's own below `state_dir` where
            left out. The `user` of a profile must be able to enter it.
        most: How many runners there may be at once; as many as processors where left out.
        resources: What they may take in all, as the profiles' `resources` count it; nothing is
            counted where left out.
    """

    folder: Path | None = None
    most: int = field(default_factory=processors)
    resources: Mapping[str, Size] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        if self.most < 1:
            raise ValueError(f"most: found {self.most}, wanted 1 or more")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one process of a runner may use, by the kernel's rlimits; no limit where left out.

    Attributes:
        memory: What is its own and may be written to (RLIMIT_DATA).
        cpu_time: Seconds that it computes; then it is killed.
        processes: Of its user in all, also of other runners. Nothing keeps root within it.
        open_files: At once.
        file_size: The largest that it may write.
    """

    memory: Size | None = None
    cpu_time: Duration | None = None
    processes: int | None = None
    open_files: int | None = None
    file_size: Size | None = None

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if value is not None and int(value) < 1:
                raise ValueError(f"{each.name}: found {value}, wanted 1 or more, or nothing")


@dataclass(frozen=True, kw_only=True)
class ProfileConfig:
    """`[profiles.X.process]`.

    Attributes:
        command: What is run, in the fresh folder. It ends when its one job is over.
        runner_dir: What the fresh folder is a copy of, such as the unpacked runner; empty where
            left out.
        user: Who runs it; scaler's own user where left out. Another takes root.
        path: Where commands are looked for.
        environment: More variables. Nothing of scaler's own environment is passed on.
        config_variable: The variable that holds the registration's config.
        nice: How far other processes go first: 0 to 19.
        limits: What each of its processes may use.
    """

    command: tuple[str, ...] = ("./run.sh",)
    runner_dir: Path | None = None
    user: str = ""
    path: str = "/usr/local/bin:/usr/bin:/bin"
    environment: Mapping[str, str] = field(default_factory=lambda: _NONE)
    config_variable: str = "ACTIONS_RUNNER_INPUT_JITCONFIG"
    nice: int = 0
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not self.command or not self.command[0]:
            raise ValueError("command: found nothing, wanted a program and its arguments")
        if not 0 <= self.nice <= 19:
            raise ValueError(f"nice: found {self.nice}, wanted 0 to 19")
        if any("\0" in text for text in (*self.command, self.path, *self.environment.values())):
            raise ValueError("a NUL is in it, and no process can be given one")
        for name in (*self.environment, self.config_variable):
            if not _VARIABLE.fullmatch(name):
                raise ValueError(f"found {name!r}, wanted the name of a variable")
            if name in OWN:
                raise ValueError(f"{name} is set by scaler-process itself: choose another name")
