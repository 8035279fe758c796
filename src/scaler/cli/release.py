"""Let go of a runner that is reserved for someone, or whose machine is kept after a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaler.cli.asking import arguments as common
from scaler.cli.asking import asked, say_json
from scaler.cli.showing.rows import short
from scaler.cli.terminal import say
from scaler.errors import ExitCode

if TYPE_CHECKING:
    import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """What can be given to it."""
    parser.add_argument("runner", metavar="RUNNER", help="its number or its name, such as linux.7")
    common(parser)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    answer = asked(args, {"command": "release", "runner": args.runner})
    if args.json:
        return say_json(answer)
    runner = answer.get("runner") or {}
    name = short(str(runner.get("name") or args.runner))
    state = runner.get("state")
    if state == "idle":
        say(f"{name} is free again: its reservation was taken back")
    else:
        say(f"{name} is let go: {state or 'its machine goes'}")
    return ExitCode.OK
