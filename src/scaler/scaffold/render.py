"""Templates to texts."""

from __future__ import annotations

import ast
import builtins
import importlib.resources
import string
from typing import TYPE_CHECKING

from scaler.scaffold.names import Name, ScaffoldError

if TYPE_CHECKING:
    from collections.abc import Iterable

#: The kinds of plugins, each with what it does, for people.
KINDS = {
    "provisioner": "makes the machines that runners are on",
    "source": "brings jobs, and registers runners for them",
    "selector": "decides who may reserve runners",
    "panel": "shows something on the dashboard",
}

_OTHER = Name("a-name-that-nobody-has")
_PACKAGE = {
    "pyproject.toml": "package/pyproject.toml",
    ".gitignore": "package/gitignore",
    "README.md": "{kind}/README.md",
    "scaler.toml": "{kind}/scaler.toml",
    "src/{package}/__init__.py": "package/__init__.py",
    "src/{package}/backend.py": "{kind}/backend.py",
    "src/{package}/plugin.py": "{kind}/plugin.py",
    "src/{package}/settings.py": "{kind}/settings.py",
    "src/{package}/py.typed": "package/py.typed",
    "tests/test_plugin.py": "{kind}/test_plugin.py",
}


def render(name: Name, kind: str) -> dict[str, str]:
    """The files of a package, by their paths below its folder.

    Raises:
        ScaffoldError: The class would have a name that stands for something else in there.
    """
    sources = {
        path.format(package=name.package): source.format(kind=kind)
        for path, source in _PACKAGE.items()
        if (kind, source) != ("panel", "{kind}/backend.py")  # there is no other side to a panel
    }
    _see_that_its_class_is_free(name, kind, sources.values())
    return {path: _filled(source, name, kind) for path, source in sources.items()}


def render_file(name: Name, kind: str) -> str:
    """A plugin in one file.

    Raises:
        ScaffoldError: The class would have a name that stands for something else in there.
    """
    source = f"{kind}/single.py"
    _see_that_its_class_is_free(name, kind, [source])
    return _filled(source, name, kind)


def _see_that_its_class_is_free(name: Name, kind: str, sources: Iterable[str]) -> None:
    used: set[str | None] = set(dir(builtins))
    for source in sources:
        if source.endswith(".py"):
            for node in ast.walk(ast.parse(_filled(source, _OTHER, kind))):
                used |= {getattr(node, key, None) for key in ("id", "name", "asname")}
    if name.cls in used:
        raise ScaffoldError(
            f'found the name "{name.name}", wanted one whose class, {name.cls}, means nothing else '
            f'yet: "my-{name.name}" would do'
        )


def _filled(template: str, name: Name, kind: str) -> str:
    place = importlib.resources.files("scaler.scaffold").joinpath("templates", f"{template}.tmpl")
    return string.Template(place.read_text("utf-8")).substitute(
        name=name.name,
        stem=name.stem,
        dist=name.dist,
        package=name.package,
        cls=name.cls,
        kind=kind,
        does=KINDS[kind],
    )
