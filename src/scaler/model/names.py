"""A runner's name carries everything that is needed to find it again: `<profile>.<id>@<scaler>`."""

from __future__ import annotations

import re

_NAME = re.compile(r"(?P<profile>.+)\.(?P<id>[1-9][0-9]{0,17})@(?P<scaler>[^@]+)", re.ASCII)


def runner_name(profile: str, runner_id: int, scaler: str) -> str:
    """The name of a runner."""
    return f"{profile}.{runner_id}@{scaler}"


def parse_runner_name(name: str, scaler: str) -> tuple[str, int] | None:
    """The profile and id in a name, or None where it is not one of this scaler's."""
    match = _NAME.fullmatch(name)
    if not match or match["scaler"] != scaler:
        return None
    return match["profile"], int(match["id"])
