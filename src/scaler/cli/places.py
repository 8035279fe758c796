"""Which settings file is meant where none is named."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from scaler.errors import SettingsError

if TYPE_CHECKING:
    import argparse

HERE = "scaler.toml"
SYSTEM = "/etc/scaler/scaler.toml"


def argument(parser: argparse._ActionsContainer, text: str = "") -> None:
    """Let the settings file be named, and say which one it is otherwise."""
    shown = f"settings {text}".strip()
    parser.add_argument(
        "-c", "--config", metavar="FILE", help=f"{shown} ({HERE} here, else {SYSTEM})"
    )


def settings_file(given: str | None) -> str:
    """The file that was named, or the first that is there.

    Raises:
        SettingsError: None was named, and none is there.
    """
    if (found := any_settings_file(given)) is not None:
        return found
    raise SettingsError(
        [f"there is no {HERE} in {_here()}, and no {SYSTEM}: name the settings with -c FILE"]
    )


def any_settings_file(given: str | None) -> str | None:
    """The same; None where there is none."""
    if given is not None:
        return given
    return next((path for path in (HERE, SYSTEM) if _there(path)), None)


def _there(path: str) -> bool:
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return os.path.islink(path)  # one that leads nowhere was meant, and is told of when read
    except OSError:
        pass  # it cannot be seen by this user: reading it says why
    return True


def _here() -> str:
    try:
        return os.getcwd()
    except OSError:  # the folder was deleted
        return "this folder"
