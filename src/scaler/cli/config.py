"""What concerns the settings file."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from scaler.cli import places
from scaler.cli.terminal import say
from scaler.errors import ExitCode, PluginError
from scaler.loading import find, load_one, lookup
from scaler.log import printable
from scaler.settings import look
from scaler.settings.convert import ShapeError, check_shape
from scaler.settings.schema import schema

if TYPE_CHECKING:
    import argparse

    from scaler.loading import LoadedPlugin

_SCHEMA = """\
Print a JSON Schema (draft 7) of the settings file, with what plugins add: editors complete, explain
and check by it. Keep it beside the file, and write on the file's first line where it is:

    $ scaler config schema -c scaler.toml > scaler.schema.json
    #:schema ./scaler.schema.json
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What can be given to it."""
    import argparse

    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    action = actions.add_parser(
        "schema",
        help="print a JSON Schema of it, for editors",
        description=_SCHEMA,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    places.argument(action, "whose plugins are taken; all where there are none")
    action.add_argument(
        "--all",
        action="store_true",
        help="with every installed plugin, and the files of FILE's plugin_dir; it imports them all",
    )


def run(args: argparse.Namespace) -> int:
    """Do it."""
    file = places.any_settings_file(args.config)
    enabled, folder = ([], None) if file is None else look(file)
    known = find(folder)
    names = list(enabled)
    everything = args.all or file is None
    if everything:
        spelt = {found[0].name for name in enabled if (found := lookup(name, known))}
        names += [name for name in known if name not in spelt]
    plugins: dict[str, LoadedPlugin] = {}
    broken: dict[str, str] = {}
    for name in names:
        try:
            plugins[name] = load_one(name, known)
            for cls in (plugins[name].config, plugins[name].profile_config):
                if cls is not None:
                    check_shape(cls)
        except (PluginError, ShapeError) as error:
            plugins.pop(name, None)
            told = str(error)
            broken[name] = told if isinstance(error, PluginError) else f"plugin {name}: {told}"
    if wrong := [broken[name] for name in enabled if name in broken]:
        raise PluginError("\n".join(wrong))
    for told in broken.values():
        print(*map(printable, told.splitlines()), sep="\n", file=sys.stderr)
    say(json.dumps(schema(plugins, broken), indent=2, ensure_ascii=False))
    return ExitCode.OK
