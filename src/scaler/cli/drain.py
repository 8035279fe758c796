"""Have nothing new made on a host: idle runners go, busy ones finish; holds over a restart."""

from __future__ import annotations

import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from scaler.cli import confirming
from scaler.cli.asking import QUICK, asked, code_of, say_json
from scaler.cli.asking import arguments as common
from scaler.cli.showing.answers import find_room, jobs_of, named, there, working
from scaler.cli.terminal import Passing, say, warn
from scaler.errors import ExitCode, FatalError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

_LOOK = 2.0  # seconds between two looks whether it is empty
_NAMED = 8  # runners that are named at once


def arguments(parser: argparse.ArgumentParser) -> None:
    """What can be given to it."""
    parser.add_argument("host", metavar="HOST", help="as `scaler status` names it")
    parser.add_argument(
        "--now", action="store_true", help="end what runs there, with its jobs, too"
    )
    parser.add_argument(
        "--wait", action="store_true", help="until nothing is there, so that it can be switched off"
    )
    confirming.argument(parser)
    common(parser)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    if args.now:
        _confirm(args)
    answer = asked(args, {"command": "drain", "host": args.host, "now": args.now})
    name = str((answer.get("order") or {}).get("name") or args.host)
    if args.json and not args.wait:
        return say_json(answer)
    warn(answer.get("warning"))
    if not args.json:
        say(*_told(args, name, answer))
    return (_wait(args, name) if args.wait else 0) or code_of(answer)


def _confirm(args: argparse.Namespace) -> None:
    confirming.needs(args, "drain --now")
    status = asked(args, {"command": "status"}, timeout=QUICK)
    room = find_room(status, args.host)
    if room is None:  # scaler may know it all the same, before its plugin has told of it
        what = f"{args.host} is not told of by scaler status: whatever works there ends now."
        confirming.confirmed(args, [what], f"Drain {args.host} now?")
        return
    jobs = jobs_of(status)
    ending = [named(each, jobs) for each in working(there(status, room))]
    if not ending:
        return
    lines = ["These end now, with their jobs:", *(f"  {each}" for each in ending)]
    confirming.confirmed(args, lines, f"Drain {args.host} now?")


def _told(args: argparse.Namespace, name: str, answer: Mapping[str, Any]) -> list[str]:
    ended = [named(each, {}) for each in answer.get("runners") or []] if args.now else []
    lines = [
        f"{name} is drained: nothing new is made there; take it back with: scaler undrain {name}"
    ]
    if ended:
        lines += ["these end now:", *(f"  {each}" for each in ended)]
    machines = answer.get("machines")
    if machines == 0:
        return [*lines, "nothing is left there: it is safe to switch off"]
    if machines is None:
        lines.append(
            "what is left there is not known: it cannot be asked now; do not switch it off"
        )
    if args.wait:
        return lines
    status = asked(args, {"command": "status"}, timeout=QUICK)
    if (
        (room := find_room(status, name)) is not None
        and not ended
        and (left := _left(status, room))
    ):
        lines.append(f"still there: {left}")
    return [*lines, f"to wait until nothing is: scaler drain {name} --wait"]


def _wait(args: argparse.Namespace, name: str) -> int:
    """Look again and again until nothing is there."""
    passing = Passing(sys.stderr)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # else it ends the process
    try:
        room = _emptied(args, name, passing)
    finally:
        passing.show("")
        signal.signal(signal.SIGINT, before)
    if room.get("state") == "down":
        raise FatalError(f"{name} cannot be reached: whether it is empty is not known")
    if args.json:
        return say_json({"host": name, "machines": 0})
    say(f"nothing is left on {name}: it is safe to switch off")
    return ExitCode.OK


def _emptied(args: argparse.Namespace, name: str, passing: Passing) -> Mapping[str, Any]:
    """The room, once nothing is there."""
    last = ""
    while True:
        status = asked(args, {"command": "status"}, timeout=QUICK)
        room = find_room(status, name)
        if room is None:
            raise FatalError(f"{name} is not told of any more: whether it is empty is not known")
        if not room.get("drained"):
            raise FatalError(f"{name} is not drained any more: someone took that back")
        if not room.get("machines", room.get("runners", 0)):
            return room
        text = f"still there: {_left(status, room)}"
        passing.show(text)
        if text != last and not sys.stderr.isatty():
            warn(text)
        last = text
        time.sleep(_LOOK)


def _left(status: Mapping[str, Any], room: Mapping[str, Any]) -> str:
    jobs = jobs_of(status)
    runners = there(status, room)
    told = [named(each, jobs) for each in runners[:_NAMED]]
    if len(runners) > _NAMED:
        told.append(f"{len(runners) - _NAMED} more runners")
    if (others := room.get("machines", 0) - len(runners)) > 0:
        told.append(f"{others} that make{'s an image' if others == 1 else ' images'}")
    return ", ".join(told)
