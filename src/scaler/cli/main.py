"""`scaler COMMAND …`: finds the command, and turns errors into text and exit codes, here alone."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from typing import TYPE_CHECKING

import scaler
from scaler.errors import ExitCode, FatalError, PluginError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

GROUP = "scaler.commands"
INTERRUPTED = 130  # as a shell says it of a program that Ctrl-C ended

#: Each is a module of this package with `arguments(parser)` and `run(args) -> int`.
COMMANDS = {
    "run": "run the scaler until it is told to stop",
    "check": "see whether settings, plugins and their surroundings are well",
    "plugins": "list the plugins that are installed, and what they do",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; answer the exit code."""
    try:
        code = _dispatch(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
    except FatalError as error:
        _complain(error)
        code = error.exit_code
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:  # the reader has gone: also the flush at exit has to go nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = ExitCode.FAILED
    except SystemExit as stop:  # argparse has said what there is to say
        code = stop.code if isinstance(stop.code, int) else ExitCode.OK
    return int(code)


def _dispatch(argv: list[str]) -> int:
    if not argv or argv[0].startswith("-"):
        _parser().parse_args(argv)
        _parser().print_help(sys.stderr)
        return ExitCode.USAGE
    name, *rest = argv
    if name in COMMANDS:
        module = importlib.import_module(f"scaler.cli.{name}")
        parser = argparse.ArgumentParser(prog=f"scaler {name}", description=module.__doc__)
        module.arguments(parser)
        code: int = module.run(parser.parse_args(rest))
        return code
    return _brought(name)(rest)


def _parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    listed = "\n".join(f"  {name:<{width}}  {text}" for name, text in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="scaler",
        usage="scaler [--help] [--version] COMMAND …",
        description="Self-hosted runners for workflow jobs: a fresh machine for every job.",
        epilog=f"commands:\n{listed}\n\n"
        "Installed plugins may bring more. `scaler COMMAND --help` tells about one.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"scaler {scaler.__version__}")
    return parser


def _brought(name: str) -> Callable[[list[str]], int]:
    """A command that an installed distribution brings."""
    import difflib  # these two take longer than all that --help needs
    import importlib.metadata

    points = importlib.metadata.entry_points(group=GROUP)
    found = [point for point in points if point.name == name]
    if not found:
        close = difflib.get_close_matches(name, [*COMMANDS, *points.names], n=1)
        hint = f' (did you mean "{close[0]}"?)' if close else ""
        print(f'scaler: there is no command "{name}"{hint}; see scaler --help', file=sys.stderr)
        raise SystemExit(ExitCode.USAGE)
    if len(found) > 1:
        places = " and ".join(point.value for point in found)
        raise PluginError(f"command {name}: several have this name: {places}")
    try:
        command: Callable[[list[str]], int] = found[0].load()
    except Exception as error:
        raise PluginError(
            f"command {name} ({found[0].value}): cannot be imported: "
            f"{type(error).__name__}: {error}"
        ) from error
    return command


def _complain(error: FatalError) -> None:
    print(error, file=sys.stderr)
    if isinstance(error, SettingsError) and len(error.problems) > 1:
        print(f"{len(error.problems)} problems in the settings", file=sys.stderr)
