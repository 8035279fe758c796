"""The shape of the settings: what the core's own tables may hold, and what they become."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from msgspec import Meta

from scaler.records import Profile
from scaler.units import Duration, Secret, Size

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,49}", re.ASCII)
_LEAST_MEMORY = 1 << 20  # bytes: less is a number that lacks its unit
_MOST_MEGABYTES = 1 << 19  # what can have been meant as such
NAME_WORDS = 'lower-case letters, digits and "-" (50 at most, the first no "-")'

Name = Annotated[str, Meta(pattern=rf"\A{NAME.pattern}\Z", description=NAME_WORDS)]
Count = Annotated[int, Meta(ge=0)]
Span = Annotated[Duration, Meta(gt=0)]
Amount = Annotated[Size, Meta(description='a whole number, or a size such as "4G"')]
LogLevel = Literal["debug", "info", "warning", "error"]


def host_name() -> str:
    """The host's name without its domain, made to fit; what a scaler is called by default."""
    first = socket.gethostname().partition(".")[0].lower()
    return re.sub(r"[^a-z0-9-]", "-", first)[:50].strip("-") or "scaler"


@dataclass(frozen=True, kw_only=True)
class ScalerTable:
    """`[scaler]`.

    Attributes:
        name: This instance's identity in every tag and every runner's name.
        state_dir: Where the ledger and the plugins' folders are.
        tick: How often everything is looked at; changes are acted on at once.
        shutdown_grace: How long calls in flight may take at the end.
        log: The least important level that is logged.
        plugin_dir: A folder of plugins, each one file.
    """

    name: Name = field(default_factory=host_name)
    state_dir: Path = Path("/var/lib/scaler")
    tick: Span = field(default=Duration(30))
    shutdown_grace: Annotated[Duration, Meta(ge=0)] = field(default=Duration(30))
    log: LogLevel = "info"
    plugin_dir: Path | None = None


@dataclass(frozen=True, kw_only=True)
class ProfileTable:
    """`[profiles.X]`, without the tables of plugins.

    Attributes:
        labels: What workflows ask for.
        target_count: Runners that stand ready while nothing asks for them.
        max_count: Runners at most; `target_count` where left out.
        start_timeout: From the start of making a machine until its runner is online.
        reserve_timeout: How long a reserved runner waits for its job.
        max_lifetime: After this a runner is destroyed even if it is busy.
        hold_failed: How long the machine of a failed job is kept for a person.
        boot_script: The file that guests get as `/boot`.
        resources: What one machine takes from its room; strings are sizes, numbers are counts.
    """

    labels: tuple[Annotated[str, Meta(min_length=1)], ...] = ()
    target_count: Count = 0
    max_count: Count | None = None
    start_timeout: Span = field(default=Duration(240))
    reserve_timeout: Span = field(default=Duration(60))
    max_lifetime: Span = field(default=Duration(86400))
    hold_failed: Annotated[Duration, Meta(ge=0)] = field(default=Duration(0))
    boot_script: Path | None = None
    resources: Mapping[str, Amount] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        if self.max_count is not None and self.max_count < self.target_count:
            raise ValueError(
                f"max_count: found {self.max_count}, wanted target_count ({self.target_count}) "
                "or more"
            )
        if self.boot_script is not None and not os.path.isfile(self.boot_script):
            raise ValueError(f"boot_script: there is no file {self.boot_script}")
        memory = int(self.resources.get("memory", 0))
        if 0 < memory < _LEAST_MEMORY:
            unit = f'"{memory}M"' if memory < _MOST_MEGABYTES else 'such as "4G"'
            raise ValueError(f"resources: memory is {memory} bytes: write a unit ({unit})")

    def profile(self, name: str, source: str, provisioners: tuple[str, ...]) -> Profile:
        """The record that plugins see."""
        return Profile(
            name=name,
            labels=self.labels,
            target_count=self.target_count,
            max_count=self.target_count if self.max_count is None else self.max_count,
            start_timeout=float(self.start_timeout),
            reserve_timeout=float(self.reserve_timeout),
            max_lifetime=float(self.max_lifetime),
            hold_failed=float(self.hold_failed),
            boot_script=str(self.boot_script) if self.boot_script else "",
            resources=MappingProxyType({key: int(size) for key, size in self.resources.items()}),
            source=source,
            provisioners=provisioners,
        )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that one TOML file says, checked.

    Attributes:
        plugins: Each enabled plugin's `Config` (None where it has none), in the file's order.
        profiles: Each profile by its key, in the file's order.
        own: For each enabled plugin its `ProfileConfig` (None where it has none) by the key of each
            profile that belongs to it.
        secrets: Every secret that was read, so that logs can hide them.
        seen: What the file only names, as it was: secrets, and for each path to a file what tells
            that its content is another; by key path.
        environ, extra: What they were read with, besides the file.
    """

    name: str
    state_dir: Path
    tick: Duration
    shutdown_grace: Duration
    log: LogLevel
    plugin_dir: Path | None
    plugins: Mapping[str, Any]
    profiles: Mapping[str, Profile]
    own: Mapping[str, Mapping[str, Any]]
    source_file: Path
    secrets: tuple[Secret, ...] = ()
    seen: Mapping[tuple[str | int, ...], Any] = field(
        default_factory=lambda: MappingProxyType({}), repr=False, compare=False
    )
    environ: Mapping[str, str] = field(
        default_factory=lambda: os.environ, repr=False, compare=False
    )
    extra: Mapping[str, type[Any]] = field(
        default_factory=lambda: MappingProxyType({}), repr=False, compare=False
    )
