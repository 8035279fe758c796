"""Everything that plugins can rely on, as one line each; surface.txt keeps it, with its version.

$ python -m tests.api.surface            # write down what came, as of the API's version now
$ python -m tests.api.surface --unreleased   # and what changed, while this version is unreleased
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import math
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import scaler
from scaler import testing
from scaler.context import Context
from scaler.hooks import SPEC, contract, hook_names
from scaler.settings.shown import meanings

FILE = Path(__file__).with_name("surface.txt")

_HEAD = "# What scaler's plugin API is made of, and since which version. Written by surface.py.\n"


def surface() -> list[str]:
    """The API as it is now."""
    found = [_hook(name) for name in hook_names()]
    for name in sorted(scaler.__all__):
        value = getattr(scaler, name)
        if name in ("API", "__version__"):  # the name is promised, and not what it says
            found.append(f"scaler.{name}")
        elif isinstance(value, type):
            found += _class(name, value)
        elif isinstance(value, types.FunctionType):
            found.append(f"scaler.{name}{_signature(value)}")
        elif get_origin(value) is not Literal:
            found.append(f"scaler.{name}")
    return found + _testing() + _choices()


def _testing() -> list[str]:
    """What plugins' tests rely on."""
    found = []
    for name in sorted(testing.__all__):
        value = getattr(testing, name)
        called = isinstance(value, types.FunctionType)
        found.append(f"scaler.testing.{name}{_signature(value) if called else ''}")
    return found


def _hook(name: str) -> str:
    hook = getattr(SPEC, name)
    terms = contract(hook)
    answers = terms.answers.__name__ if terms.answers else "nothing"
    deadline = "start_timeout" if math.isinf(terms.deadline) else f"{terms.deadline:g} s"
    kind = f"{terms.kind}, {deadline}"
    answer = f"{answers}{' (many)' if terms.many else ''}{' or None' if terms.none else ''}"
    return f"hook {name}{_signature(hook)}: {kind}, {answer}"


def _class(name: str, cls: type[Any]) -> Iterator[str]:
    bases = [base.__name__ for base in cls.__mro__[1:] if base.__module__.startswith("scaler")]
    others = [base.__name__ for base in cls.__bases__ if not base.__module__.startswith("scaler")]
    parents = ", ".join([*bases, *(base for base in others if base not in ("object", "Generic"))])
    yield f"class {name}({parents})"
    if issubclass(cls, enum.Enum):
        yield from (f"{name}.{member.name} = {member.value!r}" for member in cls)
        return
    if dataclasses.is_dataclass(cls):
        for field in dataclasses.fields(cls):
            if not field.name.startswith("_"):
                needed = field.default is field.default_factory is dataclasses.MISSING
                yield f"{name}.{field.name}: {field.type}{' (needed)' if needed else ''}"
    elif "__init__" in vars(cls) and cls is not Context and not _protocol(cls):
        yield f"{name}{_signature(cls.__init__)}"
    if cls is Context:  # the core alone makes it
        yield from (f"Context.{attribute}" for attribute in meanings(cls))
    for key, member in sorted(vars(cls).items()):
        if key.startswith("_"):
            continue
        if isinstance(member, classmethod | staticmethod):
            yield f"{name}.{key}{_signature(member.__func__)}"
        elif isinstance(member, types.FunctionType):
            yield f"{name}.{key}{_signature(member)}"
        elif isinstance(member, property):
            yield f"{name}.{key}"


def _protocol(cls: type[Any]) -> bool:
    return bool(getattr(cls, "_is_protocol", False))


def _signature(function: Any) -> str:
    """As it is written, but for the values of defaults: that there is one is what is promised."""
    signature = inspect.signature(function)
    parameters = [
        each.replace(default=...) if each.default is not each.empty else each
        for each in signature.parameters.values()
    ]
    text = str(signature.replace(parameters=parameters)).replace("Ellipsis", "...").replace("'", "")
    asynchronous = inspect.iscoroutinefunction(function)
    return f"{text}{' async' if asynchronous else ''}"


def _choices() -> list[str]:
    """The values of what records' fields choose from."""
    modules = [m for name, m in sys.modules.items() if name.startswith("scaler.records.")]
    found = {
        f"{name} = {' | '.join(map(repr, get_args(value)))}"
        for module in modules
        for name, value in vars(module).items()
        if get_origin(value) is Literal
    }
    return sorted(found)


def kept() -> dict[str, str]:
    """What surface.txt has: each line with the version that it came with."""
    lines = FILE.read_text().splitlines() if FILE.exists() else []
    pairs = (line.split(" ", 1) for line in lines if line and not line.startswith("#"))
    return {text: since for since, text in pairs}


def lost(before: dict[str, str], now: list[str]) -> list[str]:
    """What is gone, or has become something else."""
    return [text for text in before if text not in now]


def new(before: dict[str, str], now: list[str]) -> list[str]:
    """What came."""
    return [text for text in now if text not in before]


def main(arguments: list[str]) -> int:
    """Write down what came; what went only where this version was never released."""
    before, now = kept(), surface()
    unreleased = arguments == ["--unreleased"]
    versions = set(before.values())
    if not unreleased and lost(before, now):
        print("gone or changed, which needs a major version:")
        print(*(f"  {text}" for text in lost(before, now)), sep="\n")
        return 1
    if not unreleased and new(before, now) and scaler.API in versions:
        print(f"raise scaler.API, {scaler.API}: it is written down what it has, and this came:")
        print(*(f"  {text}" for text in new(before, now)), sep="\n")
        return 1
    lines = [f"{before.get(text, scaler.API)} {text}" for text in now]
    FILE.write_text(_HEAD + "".join(f"{line}\n" for line in lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
