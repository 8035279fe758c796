"""`scaler COMMAND …`: finds the command, and turns errors into text and exit codes, here alone."""

from __future__ import annotations

import signal
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING

from scaler.cli.process import give_up, leaving_at, minding_hangups, open_streams
from scaler.errors import ExitCode, FatalError, PluginError, SettingsError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence

GROUP = "scaler.commands"
INTERRUPTED = 130  # as a shell says it of a program that Ctrl-C ended

#: Each is a module of this package with `arguments(parser)` and `run(args) -> int`.
COMMANDS = {
    "run": "run the scaler until it is told to stop",
    "status": "tell how everything is: what is wrong, profiles, hosts, runners, jobs",
    "why": "tell why a job waits, what holds a profile, what became of a runner",
    "pause": "have profiles start no more jobs",
    "resume": "have profiles start jobs again",
    "drain": "have nothing new made on a host, and its runners go",
    "undrain": "let runners be made again on a host",
    "reload": "have the settings read anew",
    "release": "let go of a runner that is reserved or held",
    "destroy": "unregister a runner and destroy its machine",
    "check": "see whether settings, plugins and their surroundings are well",
    "plugins": "list the plugins that are installed, and what they do",
    "config": "print a JSON Schema of the settings file, for editors",
    "plugin": "write a new plugin to begin with",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; answer the exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    running = argv[:1] == ["run"]
    with leaving_at(_early(argv)), minding_hangups() if running else nullcontext():
        open_streams()
        try:
            code = _outcome(argv)
        except BrokenPipeError:  # the reader has gone; it need not be told
            code = ExitCode.FAILED
        try:
            sys.stdout.flush()
        except OSError as error:
            give_up(sys.stdout)
            if not (code or isinstance(error, BrokenPipeError)):
                _tell(f"the output cannot be written: {error.strerror}")
            code = code or ExitCode.FAILED
    return int(code)


def _early(argv: Sequence[str]) -> Mapping[signal.Signals, int]:
    """What signals mean while nothing was begun: a scaler that runs is stopped cleanly by them."""
    if argv[:1] == ["run"]:
        return {signal.SIGINT: ExitCode.OK, signal.SIGTERM: ExitCode.OK}
    return {signal.SIGINT: INTERRUPTED}


def _outcome(argv: list[str]) -> int:
    try:
        return _dispatch(argv)
    except FatalError as error:
        _complain(error)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as stop:  # argparse has said what there is to say
        return stop.code if isinstance(stop.code, int) else ExitCode.OK


def _dispatch(argv: list[str]) -> int:
    import argparse  # after the signals are taken: it is most of what a start has to import
    import importlib

    from scaler.cli.parsing import Parser

    if not argv or argv[0].startswith("-"):
        _parser().parse_args(argv)
        _parser().print_help(sys.stderr)
        return ExitCode.USAGE
    name, *rest = argv
    if name in COMMANDS:
        module = importlib.import_module(f"scaler.cli.{name}")
        parser = Parser(prog=f"scaler {name}", description=module.__doc__)
        module.arguments(parser)
        code: int = module.run(parser.parse_args(rest, argparse.Namespace(argv=argv)))
        return code
    return _brought(name)(rest)


def _parser() -> argparse.ArgumentParser:
    import argparse

    import scaler
    from scaler.cli.installed import brought

    others = sorted((name, f"brought by {dist}") for name, dist in brought(GROUP).items())
    known = COMMANDS | dict(others) | COMMANDS  # its own come first, and none takes their place
    width = max(map(len, known))
    listed = "\n".join(f"  {name:<{width}}  {text}" for name, text in known.items())
    parser = argparse.ArgumentParser(
        prog="scaler",
        usage="scaler [--help] [--version] COMMAND …",
        description="Self-hosted runners for workflow jobs: a fresh machine for every job.",
        epilog=f"commands:\n{listed}\n\n`scaler COMMAND --help` tells about one.",
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
        _tell(f'scaler: there is no command "{name}"{hint}; see scaler --help')
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
    if not isinstance(error, SettingsError):
        _tell(*str(error).split("\n"))
        return
    _tell(*error.problems)
    if len(error.problems) > 1:
        _tell(f"{len(error.problems)} problems in the settings")


def _tell(*lines: str) -> None:
    """Say something on the standard error, in lines that no name or value can break out of."""
    from scaler.log import printable

    try:
        for line in lines:
            print(printable(line), file=sys.stderr)
    except OSError:
        give_up(sys.stderr)  # there is nobody to tell; the exit code says it too
