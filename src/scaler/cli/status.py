"""Tell how everything is: what is wrong and what mends it, profiles, hosts, runners, jobs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from scaler.cli import watching
from scaler.cli.asking import QUICK, Target, say_json, start, target, told
from scaler.cli.asking import arguments as common
from scaler.cli.showing.columns import folded
from scaler.cli.showing.status import SHORT, Page, shown
from scaler.cli.terminal import painter, say, width_of
from scaler.control.client import ControlError, NotAllowed, NotRunning, ask
from scaler.errors import ExitCode

if TYPE_CHECKING:
    import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """What can be given to it."""
    parser.add_argument(
        "--watch", action="store_true", help="go on, and tell of every change, until Ctrl-C"
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help=f"every runner and job, also on a terminal: there it is {SHORT} at most",
    )
    common(parser)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    where = target(args)
    if args.watch:
        return watching.run(args, where)
    page = Page(
        width=width_of(sys.stdout),
        paint=painter(sys.stdout),
        most=None if args.all or not sys.stdout.isatty() else SHORT,
    )
    try:
        status = ask(where.folder, {"command": "status"}, timeout=QUICK)
    except NotRunning as error:
        return _left_behind(args, where, page, error)
    except (ControlError, NotAllowed) as error:
        raise told(args, error) from None
    if args.json:
        return say_json(status)
    say(*shown(status, page))
    return ExitCode.OK


def _left_behind(args: argparse.Namespace, where: Target, page: Page, error: NotRunning) -> int:
    """What the ledger says of a scaler that does not run."""
    if not where.left_something():
        raise told(args, error) from None
    # (only here: what reads a ledger takes as long to import as all else)
    from scaler.telling import offline_status

    status: dict[str, Any] = offline_status(where.folder, name=where.name, profiles=where.profiles)
    if args.json:
        return say_json(status)
    first = folded(error.text, page.width)
    head = [page.paint(line, "red") for line in first]
    for line in start(args, error):
        head += folded(line, page.width, rest="  ")
    say(*head, *shown(status, page)[1:])
    return ExitCode.OK
