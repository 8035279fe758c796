"""Asks on a terminal: what is wanted, why, what counts if nothing is said; again where wrong."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any, Protocol, TextIO

from scaler import FatalError, printable
from scaler_github.init.secrecy import hidden

_WIDTH = 88


class Asker(Protocol):
    """Somebody who can be asked."""

    def ask(self, ask: str, why: str, default: str, read: Callable[[str], Any]) -> Any:
        """Ask until the answer can be read; answer what it was read as."""


class Terminal:
    """A person at a terminal."""

    def __init__(self, source: TextIO, screen: TextIO) -> None:
        self._source = source
        self._screen = screen

    def ask(self, ask: str, why: str, default: str, read: Callable[[str], Any]) -> Any:
        """Ask until the answer can be read.

        Raises:
            FatalError: There is nobody any more who could answer.
        """
        self._say("", *textwrap.wrap(why, _WIDTH))
        while True:
            shown = f" [{printable(default)}]" if default else ""
            self._screen.write(f"{ask}{shown}: ")
            self._screen.flush()
            text = self._line()
            if text is None:
                self._say("  found letters that are no UTF-8")
                continue
            try:
                return read(text.strip() or default)
            except ValueError as error:
                self._say(
                    *textwrap.wrap(printable(hidden(str(error))), _WIDTH, initial_indent="  ")
                )

    def _line(self) -> str | None:
        try:
            text = self._source.readline()
        except UnicodeDecodeError:
            return None
        if not text:
            self._say("")
            raise FatalError("the input ended before all was answered; nothing was written")
        return text

    def _say(self, *lines: str) -> None:
        for line in lines:
            self._screen.write(f"{line}\n")
        self._screen.flush()
