"""List every plugin that is installed: where it comes from, whether it is enabled, what it does."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from scaler.cli.terminal import painter, say, table
from scaler.errors import ExitCode, PluginError
from scaler.hooks import hook_names
from scaler.loading import find, load_one, lookup
from scaler.settings import look

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from scaler.loading import Found

_HEAD = ["NAME", "DISTRIBUTION", "VERSION", "ENABLED", "HOOKS"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """What can be given to it."""
    parser.add_argument(
        "-c", "--config", metavar="FILE", help="settings that tell which are enabled"
    )


def run(args: argparse.Namespace) -> int:
    """Do it."""
    enabled: list[str] = []
    folder: Path | None = None
    if args.config is not None:
        enabled, folder = look(args.config)
    known = find(folder)
    on = {found[0].name for name in enabled if (found := lookup(name, known))}
    missing = [name for name in enabled if not lookup(name, known)]
    rows, broken = [_HEAD], list(missing)
    for name in [*known, *missing]:
        try:
            hooks = load_one(name, known).hooks
            does = ", ".join(hook for hook in hook_names() if hook in hooks)
        except PluginError as error:
            does = f"BROKEN: {'; '.join(str(error).splitlines())}"
            broken += [name] if name in on else []
        state = "-" if args.config is None else "yes" if name in {*on, *missing} else "no"
        rows.append([name, *_origin(known.get(name)), state, does])
    head, *rest = table(rows, sys.stdout).splitlines()
    say(painter(sys.stdout)(head, "bold"), *rest)
    return ExitCode.PLUGIN if broken else ExitCode.OK


def _origin(found: list[Found] | None) -> tuple[str, str]:
    match found:
        case [one] if one.file is None:
            return one.dist or "-", one.version or "-"
        case [one]:
            return str(one.file), "-"
        case _:
            return "-", "-"
