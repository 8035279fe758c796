"""Lines of a plugin's own: where it raised, and where it waits; none of those that called it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaler.dispatch.words import said
from scaler.errors import HookFault

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType

_MACHINERY = ("scaler.dispatch", "scaler.testing", "trio", "outcome", "pluggy", "contextlib")
_MOST = 4  # lines of an error, the innermost


def raised_at(error: BaseException) -> str:
    """Where the plugin raised it, as `backend.py:27 in create < plugin.py:40 in provision_runner`.

    Of an error that says that a hook failed, it is where what it failed with was raised. Empty
    where no line of a plugin's is in it, such as for a deadline that passed.
    """
    error = _root(error)
    frames: list[tuple[FrameType, int]] = []
    traceback = error.__traceback__
    while traceback is not None:
        frames.append((traceback.tb_frame, traceback.tb_lineno))
        traceback = traceback.tb_next
    return " < ".join(reversed(_own(frames)[-_MOST:]))


def waits_at(coroutine: Any) -> str:
    """The innermost line of the plugin's own at which this coroutine waits."""
    frames: list[tuple[FrameType, int]] = []
    while coroutine is not None:
        frame = _attribute(coroutine, "cr_frame", "gi_frame", "ag_frame")
        if frame is not None:
            frames.append((frame, frame.f_lineno))
        coroutine = _attribute(coroutine, "cr_await", "gi_yieldfrom", "ag_await")
    return "".join(_own(frames)[-1:])


def in_short(error: BaseException) -> str:
    """An error for a log that people read: what it says, and where the plugin raised it."""
    place = raised_at(error)
    return f"{said(_root(error))}{f' ({place})' if place else ''}"


def _root(error: BaseException) -> BaseException:
    """What it is at heart: the cause of a fault, the first of a group."""
    while True:
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        elif isinstance(error, HookFault) and error.__cause__ is not None:
            error = error.__cause__
        else:
            return error


def _attribute(holder: object, *names: str) -> Any:
    return next((found for name in names if (found := getattr(holder, name, None))), None)


def _own(frames: Iterable[tuple[FrameType, int]]) -> list[str]:
    """Those of the package that the first one belongs to which is no machinery."""
    told: list[str] = []
    package = ""
    for frame, line in frames:
        module = str(frame.f_globals.get("__name__", ""))
        if any(module == each or module.startswith(f"{each}.") for each in _MACHINERY):
            continue
        package = package or module.partition(".")[0]
        if module.partition(".")[0] == package:
            told.append(f"{_short(frame.f_code.co_filename)}:{line} in {frame.f_code.co_name}")
    return told


def _short(file: str) -> str:
    path = Path(file)
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else "/".join(path.parts[-2:])
