"""The plugin API's version, what of it is on its way out, and how plugins are told.

What may change within a major version and what may not: docs/reference/compatibility.md.
"""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

#: The version of the plugin API: `MAJOR.MINOR`. A plugin's class may say what it is written for by
#: `api = "1.0"`.
API = "1.1"

_VERSION = re.compile(r"(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})", re.ASCII)


class ScalerDeprecationWarning(FutureWarning):
    """A plugin uses what will go with the API's next major version; the text says what instead.

    It is shown by default, as every `FutureWarning`, with the plugin's own file and line.
    """


@dataclass(frozen=True, kw_only=True)
class Deprecation:
    """What is on its way out.

    Attributes:
        since: The version of the API that announced it.
        gone: The version that it goes with; a later major one.
        instead: What to use, or to do, in its place.
    """

    since: str
    gone: str
    instead: str

    def says(self, name: str) -> ScalerDeprecationWarning:
        """What a plugin that uses it is told."""
        return ScalerDeprecationWarning(
            f"{name} is deprecated since version {self.since} of scaler's plugin API and goes with "
            f"{self.gone}: {self.instead}"
        )


#: Everything that is deprecated, by its name: `Spec.HOOK`, `Spec.HOOK.ARGUMENT`, `Context.METHOD`,
#: and what `from scaler import …` gives by that name.
DEPRECATED: Mapping[str, Deprecation] = MappingProxyType({})


def deprecated(
    name: str, table: Mapping[str, Deprecation] = DEPRECATED
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Have a function warn where it is called, `async` or not; its row in the table says how."""
    row = table[name]

    def mark(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def warning(*args: P.args, **kwargs: P.kwargs) -> R:
            warnings.warn(row.says(name), stacklevel=2)
            return function(*args, **kwargs)

        return warning

    return mark


def warned(name: str, stacklevel: int, table: Mapping[str, Deprecation] | None = None) -> bool:
    """Warn where a name is deprecated, so many callers up; answer whether it is."""
    row = (DEPRECATED if table is None else table).get(name)
    if row is None:
        return False
    warnings.warn(row.says(name), stacklevel=stacklevel)
    return True


def version(text: str) -> tuple[int, int]:
    """A version of the API as numbers.

    Raises:
        ValueError: It is none.
    """
    found = _VERSION.fullmatch(text)
    if found is None:
        raise ValueError(f'found "{text}", wanted MAJOR.MINOR, such as "{API}"')
    return int(found[1]), int(found[2])


def unusable(wanted: str, ours: str = API) -> str:
    """Why a plugin written for this version cannot be used here; empty where it can.

    Raises:
        ValueError: It is no version.
    """
    (major, minor), (own_major, own_minor) = version(wanted), version(ours)
    if major == own_major and minor <= own_minor:
        return ""
    told = f"is written for version {wanted} of scaler's plugin API, and this scaler has {ours}: "
    if (major, minor) > (own_major, own_minor):
        return told + "install a newer scaler, or an older release of the plugin"
    return told + "install a newer release of the plugin, or an older scaler"
