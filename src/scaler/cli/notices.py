"""What plugins use that is deprecated: heard from the first import on, told once one can tell."""

from __future__ import annotations

import sys
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaler.api import ScalerDeprecationWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from scaler.loading import LoadedPlugin


@dataclass(frozen=True)
class Notice:
    """One use, with the plugin's own file and line."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


class Notices:
    """Keeps what is noticed until someone listens; each place and text once."""

    def __init__(self) -> None:
        self.found: dict[Notice, None] = {}
        self._tell: Callable[[Notice], None] | None = None

    def add(self, notice: Notice) -> None:
        """Another one."""
        if notice not in self.found:
            self.found[notice] = None
            if self._tell is not None:
                self._tell(notice)

    def listen(self, tell: Callable[[Notice], None]) -> None:
        """Be told of all, those up to now first."""
        self._tell = tell
        for notice in list(self.found):
            tell(notice)


@contextmanager
def noticed() -> Iterator[Notices]:
    """Hear deprecations in here; other warnings go where they went before.

    What the user says with `-W` and PYTHONWARNINGS counts: such a warning may be an error, or off.
    """
    notices = Notices()
    with warnings.catch_warnings():
        as_before = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            *rest: Any,
            **options: Any,
        ) -> None:
            if issubclass(category, ScalerDeprecationWarning):
                notices.add(Notice(filename, lineno, str(message)))
            else:
                as_before(message, category, filename, lineno, *rest, **options)

        warnings.showwarning = show
        yield notices


def whose(file: str, loaded: Mapping[str, LoadedPlugin]) -> str:
    """The plugin that a file belongs to; empty where that is none, or one of several."""
    exact, around = [], []
    for name, plugin in loaded.items():
        own = _file(plugin.cls.__module__)
        if own == file:
            exact.append(name)
        top = plugin.cls.__module__.partition(".")[0]
        folder = Path(_file(top)).parent if top != plugin.cls.__module__ else None
        if folder is not None and Path(file).is_relative_to(folder):
            around.append(name)
    found = exact or around
    return found[0] if len(found) == 1 else ""


def _file(module: str) -> str:
    return getattr(sys.modules.get(module), "__file__", None) or "?"
