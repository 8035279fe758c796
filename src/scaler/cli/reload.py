"""Have the settings read anew; wrong ones are all listed, and what runs stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaler.cli.asking import LONG, asked, say_json
from scaler.cli.asking import arguments as common
from scaler.cli.terminal import say
from scaler.control.place import by_itself
from scaler.errors import ExitCode

if TYPE_CHECKING:
    import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """What can be given to it."""
    common(parser)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    # (what is wrong with the file, scaler tells)
    answer = asked(args, {"command": "reload"}, timeout=LONG, quiet=True)
    if args.json:
        return say_json(answer)
    applied = [str(each) for each in answer.get("applied") or []]
    restart = [str(each) for each in answer.get("restart") or []]
    lines = ["the settings were read anew" + ("" if applied or restart else ": nothing changed")]
    lines += [f"  {each}" for each in applied]
    waits = [each for each in restart if by_itself(each)]
    restart = [each for each in restart if each not in waits]
    if waits:
        lines += ["what does not count yet:", *(f"  {each}" for each in waits)]
    if restart:
        lines += ["what counts only after a restart:", *(f"  {each}" for each in restart)]
    say(*lines)
    return ExitCode.OK
