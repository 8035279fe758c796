"""Tell why a job waits, what holds a profile, or what became of a runner; all that waits or is held
where none is named."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from scaler.cli.asking import QUICK, Refusal, Target, say_json, start, target, told
from scaler.cli.asking import arguments as common
from scaler.cli.showing.why import shown
from scaler.cli.terminal import painter, say, warn, width_of
from scaler.control.client import ControlError, NotAllowed, NotRunning, ask
from scaler.errors import ExitCode

if TYPE_CHECKING:
    import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """What can be given to it."""
    parser.add_argument(
        "about",
        nargs="?",
        metavar="JOB|RUNNER|PROFILE",
        help="a job's number, a runner's number or name, a profile's name; a host or a plugin, too",
    )
    common(parser)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    where = target(args)
    request = {"command": "why"} | ({"about": args.about} if args.about is not None else {})
    try:
        answer = ask(where.folder, request, timeout=QUICK)
    except NotRunning as error:
        if not where.left_something():
            raise told(args, error) from None
        warn(error.text)
        for line in start(args, error):
            warn(line)
        answer = _left_behind(args, where)
    except (ControlError, NotAllowed) as error:
        raise told(args, error) from None
    if args.json:
        return say_json(answer)
    lines = shown(answer, time.time(), width_of(sys.stdout), painter(sys.stdout))
    say(*(lines or ["nothing waits, and nothing is held"]))
    return ExitCode.OK


def _left_behind(args: argparse.Namespace, where: Target) -> dict[str, Any]:
    """What the ledger says."""
    # (only here: what reads a ledger takes as long to import as all else)
    from scaler.telling import Unknown, offline_why

    try:
        return offline_why(where.folder, args.about, name=where.name, profiles=where.profiles)
    except Unknown as error:
        raise Refusal(f"{error.text}\n→ {error.fix}", "not-found") from None
