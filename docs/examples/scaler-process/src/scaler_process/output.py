"""What a command says: in two files of bounded size, and without its secret."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from scaler_process.files import plain, private

if TYPE_CHECKING:
    from pathlib import Path

NEW, OLD = "output.log", "output.1.log"
HALF = 1 << 19  # bytes: both together are as much as is kept as evidence
_SHORTEST = 8  # what is shorter is no secret, and would be found everywhere
_HIDDEN = b"***"


class Output:
    """Takes what a command says. A disk that is full loses some of it, and is nobody's trouble."""

    def __init__(self, folder: Path, secret: bytes, half: int = HALF) -> None:
        self._folder = folder
        self._secret = secret if len(secret) >= _SHORTEST else b""
        self._half = half
        self._held = b""  # may be the beginning of the secret
        self._size = 0

    def take(self, data: bytes) -> None:
        """Write down what can be no part of the secret; hold back the rest."""
        data = self._held + data
        if self._secret:
            data = data.replace(self._secret, _HIDDEN)
        held = next((n for n in self._lengths(data) if data.endswith(self._secret[:n])), 0)
        self._held = data[len(data) - held :]
        self._write(data[: len(data) - held])

    def close(self) -> None:
        """Write down what was held back."""
        self._write(self._held)
        self._held = b""

    def _lengths(self, data: bytes) -> range:
        return range(min(len(self._secret) - 1, len(data)), 0, -1)

    def _write(self, data: bytes) -> None:
        with suppress(OSError):
            if self._size and self._size + len(data) > self._half:
                os.replace(self._folder / NEW, self._folder / OLD)
                self._size = 0
            self._size += len(data)
            with open(self._folder / NEW, "ab", opener=private) as file:
                file.write(data)


def tail(folder: Path) -> bytes:
    """The end of what was said, as far as it was kept."""
    return b"".join(plain(folder / name, 2 * HALF) for name in (OLD, NEW))[-2 * HALF :]
