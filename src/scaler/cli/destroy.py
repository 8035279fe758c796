"""Unregister a runner and destroy its machine; one that is busy is left alone without --busy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaler.cli import confirming
from scaler.cli.asking import QUICK, SLOW, asked, say_json
from scaler.cli.asking import arguments as common
from scaler.cli.showing.answers import find_runner, jobs_of, named
from scaler.cli.showing.rows import short
from scaler.cli.terminal import say
from scaler.errors import ExitCode

if TYPE_CHECKING:
    import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """What can be given to it."""
    parser.add_argument("runner", metavar="RUNNER", help="its number or its name, such as linux.7")
    parser.add_argument(
        "--busy", action="store_true", help="also if it runs a job, which then ends"
    )
    confirming.argument(parser)
    common(parser)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    if args.busy:
        confirming.needs(args, "destroy --busy")
        status = asked(args, {"command": "status"}, timeout=QUICK)
        runner = find_runner(status, args.runner)
        if runner is None:
            # (it may have come just now, or is called in a way that only scaler knows)
            what = f"{args.runner} is not told of by scaler status: if it has a job, that ends."
            confirming.confirmed(args, [what], "Destroy it?")
        elif runner.get("job") or runner.get("state") == "busy":
            what = f"{named(runner, jobs_of(status))}: its job ends, and fails."
            confirming.confirmed(args, [what], "Destroy it?")
    request = {"command": "destroy", "runner": args.runner, "busy": args.busy}
    answer = asked(args, request, timeout=SLOW)
    if args.json:
        return say_json(answer)
    runner = answer.get("runner") or {}
    name = short(str(runner.get("name") or args.runner))
    if answer.get("gone"):
        say(f"{name} is gone")
        return ExitCode.OK
    reason = f": {runner['reason']}" if runner.get("reason") else ""
    say(
        f"{name} is still {runner.get('state') or 'there'}{reason}",
        f"→ it goes as soon as that is possible; see: scaler why {runner.get('id') or name}",
    )
    return ExitCode.OK
