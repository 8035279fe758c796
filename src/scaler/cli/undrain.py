"""Let new runners be made again on a host that was drained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scaler.cli.asking import arguments as common
from scaler.cli.asking import asked, say_json
from scaler.cli.terminal import say
from scaler.errors import ExitCode

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping


def arguments(parser: argparse.ArgumentParser) -> None:
    """What can be given to it."""
    parser.add_argument("host", metavar="HOST", help="as `scaler status` names it")
    common(parser)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    answer = asked(args, {"command": "undrain", "host": args.host})
    if args.json:
        return say_json(answer)
    say(_told(str(answer.get("undrained") or args.host).rstrip("/"), answer))
    return ExitCode.OK


def _told(name: str, answer: Mapping[str, Any]) -> str:
    was = "is not drained any more" if answer.get("was_drained", True) else "was not drained"
    match answer.get("state", "up"):
        case "up":
            return f"{name} {was}: it takes new runners"
        case "down":
            return f"{name} {was}: it takes new runners as soon as it can be reached"
        case "draining":
            return f"{name} {was}; its plugin drains it by itself: scaler why {name}"
    return f"{name} {was}; no plugin tells of it now"
