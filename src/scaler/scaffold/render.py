"""Templates to texts."""

from __future__ import annotations

import importlib.resources
import string
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scaler.scaffold.names import Name

#: The kinds of plugins, each with what it does, for people.
KINDS = {
    "provisioner": "makes the machines that runners are on",
    "source": "brings jobs, and registers runners for them",
    "selector": "decides who may reserve runners",
    "panel": "shows something on the dashboard",
}

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
    """The files of a package, by their paths below its folder."""
    return {
        path.format(package=name.package): _filled(source.format(kind=kind), name, kind)
        for path, source in _PACKAGE.items()
        if (kind, source) != ("panel", "{kind}/backend.py")  # there is no other side to a panel
    }


def render_file(name: Name, kind: str) -> str:
    """A plugin in one file."""
    return _filled(f"{kind}/single.py", name, kind)


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
