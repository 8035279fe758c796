"""Have profiles start no more jobs: idle runners go, busy ones finish; holds over a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scaler.cli.asking import QUICK, Misunderstood, asked, code_of, say_json
from scaler.cli.asking import arguments as common
from scaler.cli.showing.answers import paused
from scaler.cli.terminal import say, warn

if TYPE_CHECKING:
    import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """What can be given to it."""
    profiles(parser)
    common(parser)


def profiles(parser: argparse.ArgumentParser) -> None:
    """Some profiles, or all."""
    parser.add_argument("profiles", nargs="*", metavar="PROFILE", help="its name in the settings")
    parser.add_argument("--all", action="store_true", help="every profile that there is")


def request(command: str, args: argparse.Namespace) -> dict[str, Any]:
    """What is asked of scaler.

    Raises:
        Misunderstood: Neither profiles were named nor all, or both.
    """
    if args.all == bool(args.profiles):
        found = "both" if args.all else "neither"
        raise Misunderstood(f"scaler {command}: found {found}, wanted PROFILE … or --all")
    if args.all:
        return {"command": command, "all": True}
    return {"command": command, "profiles": list(args.profiles)}


def run(args: argparse.Namespace) -> int:
    """Do it."""
    order = request("pause", args)
    before = asked(args, {"command": "status"}, timeout=QUICK)
    answer = asked(args, order)
    if args.json:
        return say_json(answer)
    known = {each.get("name"): each for each in before.get("profiles") or []}
    lines = []
    for order in answer.get("orders") or []:
        name = str(order.get("name"))
        lines += paused(name, known.get(name), before.get("time"))
    say(*(lines or ["there is no profile"]))
    warn(answer.get("warning"))
    return code_of(answer)
