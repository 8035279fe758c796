"""Write a new plugin to begin with: it works, and says what to change."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaler.cli.terminal import painter, say
from scaler.errors import ExitCode
from scaler.loading import find
from scaler.scaffold import (
    KINDS,
    Name,
    named,
    plugin_dir_setting,
    render,
    render_file,
    write_file,
    write_folder,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator


def arguments(parser: argparse.ArgumentParser) -> None:
    """What can be given to it."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="new")
    new = actions.add_parser(
        "new",
        help="write a plugin that works, with its tests",
        description="Write a plugin that works, with its tests; nothing that exists is touched.",
        epilog="kinds: " + "; ".join(f"a {kind} {does}" for kind, does in KINDS.items()),
    )
    new.add_argument("name", metavar="NAME", help="what settings will call it, such as my-cloud")
    new.add_argument("--kind", required=True, choices=KINDS, help="what it is for: see below")
    new.add_argument(
        "--dir", metavar="FOLDER", type=Path, help="where to put it; the current folder if left out"
    )
    new.add_argument(
        "--file", action="store_true", help="one file for plugin_dir, in place of a package"
    )


def run(args: argparse.Namespace) -> int:
    """Do it."""
    taken = {name: several[0].origin for name, several in find().items()}
    name = named(args.name, taken)
    folder = args.dir or Path()
    if args.file:
        target = folder / f"{name.stem}.py"
        write_file(target, render_file(name, args.kind, folder))
        say(*_after_file(name, args.kind, target))
    else:
        target = folder / name.dist
        files = render(name, args.kind)
        write_folder(target, files)
        say(*_after_folder(name, args.kind, target, tomllib.loads(files["scaler.toml"])))
    return ExitCode.OK


def _after_file(name: Name, kind: str, target: Path) -> list[str]:
    return [
        f"{target}: a {kind} in one file, which works as it is",
        "",
        "What to do next:",
        *_numbered(
            (plugin_dir_setting(target.parent), "in [scaler] of your settings, see the file's top"),
            ("scaler check -c scaler.toml", f"says what is missing for {name.name}"),
        ),
    ]


def _after_folder(name: Name, kind: str, target: Path, settings: dict[str, Any]) -> list[str]:
    replaced = "backend.py" if kind != "panel" else "plugin.py"
    return [
        f"{target}: a {kind}, which works as it is",
        "",
        "What to do next:",
        *_numbered(
            (f"cd {target}", "README.md tells what is what"),
            ("pip install -e '.[test]'", "beside scaler, in the same environment"),
            ("pytest", f"holds every promise of a {kind} against it"),
            (f"$EDITOR src/{name.package}/{replaced}", "put your own in place of it; pytest again"),
            *_needed(name, settings["plugins"]),
            ("scaler check -c scaler.toml", "tries it with the settings beside it"),
        ),
    ]


def _needed(name: Name, plugins: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What must be there before the settings beside it can be tried."""
    for table in plugins.values():
        if (token := table.get("token")) is not None:
            yield f"export {token['env']}=…", "in each terminal: scaler.toml says which"
    if (folder := plugins[name.name].get("folder")) is not None:
        yield f"mkdir {folder}", "scaler.toml names it"


def _numbered(*steps: tuple[str, str]) -> list[str]:
    width = max(len(command) for command, _ in steps)
    paint = painter(sys.stdout)
    return [
        f"  {number}. {paint(f'{command:<{width}}', 'bold')}  # {text}"
        for number, (command, text) in enumerate(steps, 1)
    ]
