"""Secrets: where they come from, and reading them."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scaler.units import Secret

WANTED = '{ env = "NAME" } or { file = "PATH" }'


@dataclass(frozen=True)
class SecretSource:
    """Where a secret comes from. A field of this type can be read again when the secret changed.

    Attributes:
        environ: Where `env` is looked up.
    """

    env: str = ""
    file: Path | None = None
    environ: Mapping[str, str] = field(
        default_factory=lambda: os.environ, repr=False, compare=False
    )

    @classmethod
    def parse(cls, raw: Any, folder: Path, environ: Mapping[str, str] = os.environ) -> SecretSource:
        """Understand what the settings say, without reading it.

        Raises:
            ValueError: It is no reference to a secret; the text never repeats what it found.
        """
        if isinstance(raw, str):
            raise ValueError(f"found a string, wanted {WANTED}: no secret stands in the settings")
        if not isinstance(raw, dict):
            raise ValueError(f"found something else, wanted {WANTED}")
        if len(raw) == 1:
            key, value = next(iter(raw.items()))
            if key == "env" and isinstance(value, str) and value:
                return cls(env=value, environ=environ)
            if key == "file" and isinstance(value, str) and value:
                return cls(file=folder / Path(value).expanduser())
        raise ValueError(f"found a table of something else, wanted {WANTED}")

    def read(self) -> Secret:
        """Read it now. The newline at the end of a file does not belong to it.

        Raises:
            ValueError: It is not there, is empty, or others than its owner could read it.
        """
        if self.file is None:
            if self.env not in self.environ:
                raise ValueError(f"the environment has no variable {self.env}")
            text, place = self.environ[self.env], f"the environment's variable {self.env}"
        else:
            text, place = _read_private(self.file), f"{self.file}"
        text = text.rstrip("\r\n")
        if not text.strip():
            raise ValueError(f"{place} is empty")
        return Secret(text)


def _read_private(path: Path) -> str:
    try:
        with open(path, "rb", opener=at_once) as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise ValueError(f"{path} is not a file")
            if mode & 0o077:
                raise ValueError(
                    f"{path} can be read or changed by others than its owner "
                    f"(mode {stat.S_IMODE(mode):04o}), wanted 0600: chmod 600 {path}"
                )
            return file.read().decode()
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not text in UTF-8") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None


def at_once(path: str, flags: int) -> int:
    """Open it without waiting for whoever writes into a pipe."""
    return os.open(path, flags | os.O_NONBLOCK)
