"""Whose code a stack is in, and whether an exception may be raised in there."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import CodeType, FrameType


@dataclass(frozen=True)
class Place:
    """One frame of a stack."""

    file: str
    line: int
    code: CodeType | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def stack(frame: FrameType | None) -> list[Place]:
    """A stack, innermost first."""
    found = []
    while frame is not None:
        found.append(Place(frame.f_code.co_filename, frame.f_lineno, frame.f_code))
        frame = frame.f_back
    return found


def task_of(frame: FrameType | None) -> FrameType | None:
    """The outermost frame of the task of trio's that a stack is in."""
    while frame is not None and frame.f_back is not None:
        if frame.f_back.f_code.co_name == "unrolled_run":
            return frame
        frame = frame.f_back
    return None


def step_of(frame: FrameType | None, caller: CodeType) -> FrameType | None:
    """The frame of scaler's call of a plugin's coroutine, where a stack has one."""
    while frame is not None and frame.f_code is not caller:
        frame = frame.f_back
    return frame


def homes(classes: Mapping[str, type]) -> dict[str, str]:
    """For each plugin the folder of its class's package, with a separator at its end, or its file.

    Of what is below that package only; and a class of scaler's own has none, for what is raised in
    scaler's code is not the plugin's alone.
    """
    found = {}
    for name, cls in classes.items():
        if cls.__module__.partition(".")[0] == "scaler":
            continue
        own = _file(cls.__module__)
        around = own if _packaged(own) else _file(cls.__module__.rpartition(".")[0])
        if _packaged(around):
            found[name] = os.path.dirname(around) + os.sep
        elif own:
            found[name] = own
    return found


def _file(module: str) -> str:
    return getattr(sys.modules.get(module), "__file__", None) or ""


def _packaged(file: str) -> bool:
    return os.path.basename(file) == "__init__.py"


def innermost(places: Iterable[Place], homes: Mapping[str, str]) -> tuple[str, Place] | None:
    """The plugin whose frame is the innermost of those that are a plugin's, and that frame."""
    for place in places:
        if whose := [plugin for plugin, home in homes.items() if _within(place, home)]:
            return max(whose, key=lambda plugin: len(homes[plugin])), place
    return None


def may_break(places: Sequence[Place], home: str, caller: CodeType) -> bool:
    """Whether raising in the innermost frame ends a plugin's call, and harms nobody else.

    Every frame must be the plugin's own, out to the one that scaler's call of it called. In between
    may be no library, whose locks would stay taken; nothing of trio's, whose state would be lost;
    nothing of scaler's, which would be broken off itself. C functions have no frame.
    """
    for number, place in enumerate(places):
        if place.code is caller:
            return number > 0
        if not _within(place, home):
            return False
    return False


def _within(place: Place, home: str) -> bool:
    return place.file.startswith(home) if home.endswith(os.sep) else place.file == home
