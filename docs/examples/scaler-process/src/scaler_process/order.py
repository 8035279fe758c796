"""What a keeper is told to do, in a form that goes from one process to another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, kw_only=True)
class User:
    """Whom a command runs as."""

    uid: int
    gid: int
    groups: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be run, and how.

    Attributes:
        tag: What all its processes carry.
        command: What is run.
        environment: All of its environment but the secret.
        variable: The variable that holds the secret.
        secret: The registration's config. It must not be in the command's output.
        source: The folder that it gets a copy of; empty for none.
        user: Who runs it; None for the keeper's own user.
        limits: Rlimits by their names.
        nice: How far other processes go first.
    """

    tag: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    variable: str
    secret: str = field(repr=False)
    source: str
    user: User | None
    limits: Mapping[str, int]
    nice: int

    def write(self) -> bytes:
        """As bytes."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def read(cls, data: bytes) -> Order:
        """From such bytes."""
        said = json.loads(data)
        user = said.pop("user")
        return cls(**said, user=None if user is None else User(**user))
