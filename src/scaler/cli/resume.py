"""Have profiles that were paused start jobs again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaler.cli.asking import arguments as common
from scaler.cli.asking import asked, say_json
from scaler.cli.pause import profiles, request
from scaler.cli.terminal import say
from scaler.errors import ExitCode

if TYPE_CHECKING:
    import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """What can be given to it."""
    profiles(parser)
    common(parser)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    answer = asked(args, request("resume", args))
    if args.json:
        return say_json(answer)
    resumed = [str(name) for name in answer.get("resumed") or []]
    others = [] if args.all else [name for name in args.profiles if name not in resumed]
    lines = [f"{name} takes jobs again" for name in resumed]
    lines += [f"{name} was not paused" for name in others]
    say(*(lines or ["nothing was paused"]))
    return ExitCode.OK
