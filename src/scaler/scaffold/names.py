"""A plugin's name, and what is called after it."""

from __future__ import annotations

import keyword
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaler.errors import ExitCode, FatalError

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST = 40
_NAME = re.compile(r"[a-z](-?[a-z0-9])*")
_PREFIX = "scaler-"
#: A single file of such a name would hide another from a Python that is run beside it.
_RESERVED = ("scaler", "test", "tests", "trio")


class ScaffoldError(FatalError):
    """It was not written, and why; nothing is left of the attempt."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True)
class Name:
    """A plugin's name in the settings, such as `my-cloud`, and what follows from it."""

    name: str

    @property
    def stem(self) -> str:
        """`my_cloud`: a single file's name without its ending."""
        return self.name.replace("-", "_")

    @property
    def dist(self) -> str:
        """`scaler-my-cloud`: the distribution, and its folder."""
        return f"{_PREFIX}{self.name}"

    @property
    def package(self) -> str:
        """`scaler_my_cloud`: what Python imports."""
        return self.dist.replace("-", "_")

    @property
    def cls(self) -> str:
        """`MyCloud`: the class."""
        return "".join(part.capitalize() for part in self.name.split("-"))


def named(text: str, taken: Mapping[str, str]) -> Name:
    """A name for a new plugin.

    Args:
        text: What the person wrote.
        taken: Where each plugin is that is there already, by its name.

    Raises:
        ScaffoldError: It cannot be the name of one.
    """
    if text.startswith(_PREFIX):
        raise ScaffoldError(
            f'found the name "{text}", wanted "{text.removeprefix(_PREFIX)}": '
            f'the package gets its "{_PREFIX}" by itself'
        )
    if not _NAME.fullmatch(text) or len(text) > LONGEST:
        raise ScaffoldError(
            f'found the name "{text}", wanted up to {LONGEST} of a-z, 0-9 and single "-", '
            'with a letter first, such as "my-cloud"'
        )
    name = Name(text)
    if keyword.iskeyword(name.stem) or keyword.issoftkeyword(name.stem):
        raise ScaffoldError(f'found the name "{text}", wanted one that is no keyword of Python')
    if name.stem in sys.stdlib_module_names:
        raise ScaffoldError(
            f'found the name "{text}", wanted one that no module of Python\'s own has: '
            f'"my-{text}" would do'
        )
    if text in _RESERVED:
        raise ScaffoldError(
            f'found the name "{text}", wanted none of {", ".join(_RESERVED)}, which stand for '
            f'something else already: "my-{text}" would do'
        )
    if text in taken:
        raise ScaffoldError(
            f'found the name "{text}", wanted one that no plugin has yet: '
            f"it is {taken[text]}; `scaler plugins` lists them all"
        )
    return name
