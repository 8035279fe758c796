"""Templates to texts."""

from __future__ import annotations

import ast
import builtins
import importlib.resources
import json
import string
from pathlib import Path
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

#: Where those which begin with a folder keep what they make, by their scaler.toml.
_FOLDERS = {"provisioner": "machines", "source": "otherside", "selector": "permits"}
_COLUMN = 35  # where comments in settings stand
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


def render_file(name: Name, kind: str, plugin_dir: Path | None = None) -> str:
    """A plugin in one file.

    Args:
        name: What it is called.
        kind: One of `KINDS`.
        plugin_dir: The folder that the settings on top of it name; `plugins` if left out.

    Raises:
        ScaffoldError: The class would have a name that stands for something else in there.
    """
    source = f"{kind}/single.py"
    _see_that_its_class_is_free(name, kind, [source])
    return _filled(source, name, kind, plugin_dir or Path("plugins"))


def plugin_dir_setting(folder: Path) -> str:
    """The line of the settings that has scaler look into this folder for plugins."""
    text = json.dumps(folder.as_posix(), ensure_ascii=False)  # a string of JSON is one of TOML
    return f"plugin_dir = {text}"


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


def _filled(template: str, name: Name, kind: str, plugin_dir: Path = Path()) -> str:
    place = importlib.resources.files("scaler.scaffold").joinpath("templates", f"{template}.tmpl")
    in_a_docstring = plugin_dir_setting(plugin_dir).replace("\\", "\\\\")
    return string.Template(place.read_text("utf-8")).substitute(
        name=name.name,
        stem=name.stem,
        dist=name.dist,
        package=name.package,
        cls=name.cls,
        kind=kind,
        does=KINDS[kind],
        ignored=f"/{_FOLDERS[kind]}/\n" if kind in _FOLDERS else "",
        plugin_dir=in_a_docstring.ljust(_COLUMN - 1) + " ",
    )
