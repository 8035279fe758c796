"""List every plugin that is installed: where it comes from, whether it is enabled, what it does."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from scaler.cli import places
from scaler.cli.described import Described, described, legend, told
from scaler.cli.terminal import painter, say, table
from scaler.errors import ExitCode, PluginError
from scaler.hooks import hook_names
from scaler.loading import find, load_one, lookup
from scaler.log import printable
from scaler.settings import look

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from pathlib import Path

    from scaler.loading import Found, LoadedPlugin

_HEAD = ["NAME", "DISTRIBUTION", "VERSION", "ENABLED", "HOOKS"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """What can be given to it."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="these alone (all of them)")
    places.argument(parser, "that tell which are enabled")
    parser.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="tell of each hook its kind, deadline and place in the order of calls, "
        "and of each setting its type, default and meaning",
    )
    parser.add_argument("--json", action="store_true", help="JSON, for programs, with all of it")


def run(args: argparse.Namespace) -> int:
    """Do it."""
    enabled: list[str] = []
    folder: Path | None = None
    file = places.any_settings_file(args.config)
    if file is not None:
        enabled, folder = look(file)
    known = find(folder)
    called = {name: found[0].name for name in enabled if (found := lookup(name, known))}
    missing = [name for name in enabled if name not in called]
    names = _chosen(args.names, known, missing, files=file is not None)
    needed = {*called.values(), *missing, *(names if args.names else ())}
    loaded: dict[str, LoadedPlugin] = {}
    broken: dict[str, str] = {}
    for name in dict.fromkeys([*called.values(), *names]):
        try:
            loaded[name] = load_one(name, known)
        except PluginError as error:
            broken[name] = str(error)
    on = {name: loaded[name] for name in called.values() if name in loaded}
    state: Mapping[str, bool] | None = None
    if file is not None:
        state = {name: name in {*called.values(), *missing} for name in names}
    if args.verbose or args.json:
        details = [
            described(name, known.get(name, []), loaded.get(name), broken.get(name, ""), state, on)
            for name in names
        ]
        broken |= {each.name: each.broken for each in details if each.broken}
        _say_details(details, as_json=args.json, ordered=state is not None)
    else:
        _say_list(names, known, loaded, broken, state)
    return ExitCode.PLUGIN if needed & broken.keys() else ExitCode.OK


def _chosen(
    wanted: list[str], known: Mapping[str, list[Found]], missing: list[str], *, files: bool
) -> list[str]:
    """The plugins to tell of, by the names they are known by.

    Raises:
        PluginError: Nobody knows a name.
    """
    if not wanted:
        return [*known, *missing]
    chosen, wrong = [], []
    for name in wanted:
        if name in missing:
            chosen.append(name)
        elif found := lookup(name, known):
            chosen.append(found[0].name)
        else:
            wrong.append(name)
    for name in wrong:
        try:
            load_one(printable(name), known)
        except PluginError as error:
            more = "" if files else "; files of plugin_dir are known with -c FILE"
            raise PluginError(f"{error}{more}") from None
    return list(dict.fromkeys(chosen))


def _say_list(
    names: list[str],
    known: Mapping[str, list[Found]],
    loaded: Mapping[str, LoadedPlugin],
    broken: Mapping[str, str],
    state: Mapping[str, bool] | None,
) -> None:
    rows = [_HEAD]
    for name in names:
        if name in broken:
            does = f"BROKEN: {'; '.join(broken[name].splitlines())}"
        else:
            does = ", ".join(hook for hook in hook_names() if hook in loaded[name].hooks)
        enabled = "-" if state is None else "yes" if state[name] else "no"
        rows.append([name, *_origin(known.get(name)), enabled, does])
    head, *rest = table(rows, sys.stdout).splitlines()
    say(painter(sys.stdout)(head, "bold"), *rest)


def _say_details(details: list[Described], *, as_json: bool, ordered: bool) -> None:
    if as_json:
        say(json.dumps({"plugins": [each.facts() for each in details]}, indent=2))
        return
    lines: list[str] = []
    for each in details:
        lines += [*told(each, sys.stdout), ""]
    say(*lines, *legend(details, sys.stdout, ordered=ordered))


def _origin(found: list[Found] | None) -> tuple[str, str]:
    match found:
        case [one] if one.file is None:
            return one.dist or "-", one.version or "-"
        case [one]:
            return str(one.file), "-"
        case _:
            return "-", "-"
