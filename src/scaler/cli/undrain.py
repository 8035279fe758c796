"""Let new runners be made again on a host that was drained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaler.cli.asking import arguments as common
from scaler.cli.asking import asked, say_json
from scaler.cli.terminal import say
from scaler.errors import ExitCode

if TYPE_CHECKING:
    import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """What can be given to it."""
    parser.add_argument("host", metavar="HOST", help="as `scaler status` names it")
    common(parser)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    answer = asked(args, {"command": "undrain", "host": args.host})
    if args.json:
        return say_json(answer)
    say(f"{answer.get('undrained') or args.host} is not drained any more: it takes new runners")
    return ExitCode.OK
