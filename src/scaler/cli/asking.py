"""What all commands share that ask a scaler that runs: whom they ask, and what errors mean."""

from __future__ import annotations

import json
import os
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaler.cli import places
from scaler.cli.showing.answers import names
from scaler.cli.terminal import say, warn
from scaler.control.client import ControlError, NotAllowed, NotRunning, ask
from scaler.control.place import LEDGER
from scaler.errors import ExitCode, FatalError, SettingsError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

QUICK = 10.0  # seconds for what only has to be told
SLOW = 30.0  # seconds for what is answered once it was done, or tried for a while
LONG = 90.0  # seconds for what reads files and asks each plugin
_STANDARD = ("/usr/bin", "/usr/local/bin", "/bin")  # sudo finds what is there by its name


class Misunderstood(FatalError):
    """The command line makes no sense in itself."""

    exit_code = ExitCode.USAGE


class Refusal(FatalError):
    """What was asked for was not done.

    Attributes:
        code: The protocol's word for it.
    """

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.code = code


class WrongSettings(Refusal):
    """The settings do not say which scaler is meant, or the one that runs found them wrong."""

    exit_code = ExitCode.SETTINGS


def arguments(parser: argparse.ArgumentParser, *, as_json: bool = True) -> None:
    """Which scaler is meant, and in what form it answers."""
    group = parser.add_mutually_exclusive_group()
    places.argument(group, "of the scaler that is meant")
    group.add_argument("--state-dir", metavar="DIR", help="its state_dir, in place of its settings")
    if as_json:
        parser.add_argument("--json", action="store_true", help="JSON, for programs")


@dataclass(frozen=True)
class Target:
    """The scaler that is meant.

    Attributes:
        folder: Its state folder.
        name: Its name; empty where it is not known.
        profiles: `[profiles]` of its settings as it stands there, where it is known.
    """

    folder: Path
    name: str = ""
    profiles: Mapping[str, Any] = field(default_factory=dict)

    def left_something(self) -> bool:
        """Whether there is a ledger to be read where none runs."""
        return os.path.lexists(self.folder / LEDGER)


def target(args: argparse.Namespace, *, quiet: bool = False) -> Target:
    """The scaler that is meant.

    Args:
        args: What was typed.
        quiet: Do not tell of settings that are otherwise unreadable.

    Raises:
        SettingsError: There are no settings, or they do not say.
        FatalError: This user may not read them.
    """
    if args.state_dir is not None:
        if not args.state_dir:
            raise Misunderstood("--state-dir: found nothing, wanted a folder")
        return Target(Path(args.state_dir).absolute())
    file = places.settings_file(args.config)
    try:
        os.close(os.open(file, os.O_RDONLY | os.O_CLOEXEC))
    except PermissionError:
        owner = _owner_of(file)
        whose = f": it is {owner}'s" if owner else ""
        raise FatalError(
            f"{file}: cannot be read by this user{whose}\n"
            f"→ {as_user(args, owner)}; or name the folder with --state-dir"
        ) from None
    except OSError:
        pass  # reading it says why
    # (after that: it takes longer to import than all else)
    from scaler.settings.where import look_scaler

    try:
        where = look_scaler(file)
    except SettingsError as error:
        hint = (
            "→ until that is mended, name its folder: --state-dir DIR, which is its state_dir"
            " (/var/lib/scaler where none is given)"
        )
        raise WrongSettings("\n".join([*error.problems, hint])) from None
    if where.trouble and not quiet and not getattr(args, "warned", False):
        args.warned = True  # a command may ask several times
        warn(where.trouble)
        warn("→ mend it before the next start or reload; a scaler that runs goes on meanwhile")
    return Target(where.state_dir, where.name, where.profiles)


def asked(
    args: argparse.Namespace,
    request: Mapping[str, Any],
    *,
    timeout: float = SLOW,
    quiet: bool = False,
) -> dict[str, Any]:
    """Ask; what was answered.

    Args:
        args: What was typed.
        request: What is asked.
        timeout: How long an answer may take.
        quiet: See `target`.

    Raises:
        FatalError: It was not done; the text says why, and what to do.
    """
    where = target(args, quiet=quiet)
    try:
        return ask(where.folder, request, timeout=timeout)
    except (ControlError, NotAllowed, NotRunning) as error:
        raise told(args, error, _meant(where, request, error)) from None


def _meant(where: Target, request: Mapping[str, Any], error: Exception) -> str:
    """What may have been meant by a name that scaler does not know."""
    if not (isinstance(error, ControlError) and error.code == "not-found"):
        return ""
    if "did you mean" in error.text:
        return ""
    from difflib import get_close_matches  # takes long, and is needed for this alone

    try:
        status = ask(where.folder, {"command": "status"}, timeout=QUICK)
    except (ControlError, NotAllowed, NotRunning):
        return ""
    for key, name in request.items():
        known = names(status, key)
        for each in name if isinstance(name, list) else [name]:
            if known and each not in known and (close := get_close_matches(each, known, n=1)):
                return f' (did you mean "{close[0]}"?)'
    return ""


def told(args: argparse.Namespace, error: Exception, hint: str = "") -> Refusal:
    """What an error means to who asked, and what to do about it, in lines."""
    match error:
        case NotAllowed():
            return Refusal(f"{error.text}\n→ {as_user(args, error.owner)}", "not-allowed")
        case NotRunning():
            return Refusal("\n".join([error.text, *start(args, error)]), "not-running")
        case ControlError():
            lines = [error.text + hint, *(f"  {each}" for each in error.problems)]
            fix = error.fix
            if error.code == "timeout":
                fix = (
                    "look at its log (journalctl -u scaler); where it does not come back, start it"
                    " anew (systemctl restart scaler): runners and their jobs go on meanwhile"
                )
            lines += [f"→ {fix}"] if fix else []
            kind = WrongSettings if error.code == "settings" else Refusal
            return kind("\n".join(lines), error.code)
        case _:
            raise error


def start(args: argparse.Namespace, error: NotRunning) -> list[str]:
    """What to do where none runs."""
    if error.state in ("starting", "deaf"):
        return []
    config = f" -c {shlex.quote(args.config)}" if args.config is not None else ""
    lines = [f"→ start it with: systemctl start scaler, or: scaler run{config}"]
    if error.state == "absent" and args.state_dir is None:
        lines.insert(
            0,
            "→ where state_dir was changed while it ran, it runs on with the old one, and a second"
            " one must not be started beside it: ask with --state-dir OLD, or restart it",
        )
    return lines


def as_user(args: argparse.Namespace, owner: str) -> str:
    """The same command as another user."""
    program = sys.argv[0] if sys.argv else ""
    if os.path.basename(program) != "scaler" or os.path.dirname(program) in _STANDARD:
        program = "scaler"
    who = f"-u {shlex.quote(owner)} " if owner and owner != "root" else ""
    return f"sudo {who}{shlex.join([program, *getattr(args, 'argv', [])])}"


def say_json(answer: Mapping[str, Any]) -> int:
    """Print an answer as it came; the exit code that it stands for."""
    say(json.dumps(answer, indent=2, ensure_ascii=False))
    return code_of(answer)


def code_of(answer: Mapping[str, Any]) -> int:
    """Of an order that counts and could not be written: whoever restarts next would lose it."""
    return ExitCode.FAILED if answer.get("warning") else ExitCode.OK


def _owner_of(file: str) -> str:
    import pwd

    try:
        return pwd.getpwuid(os.stat(file).st_uid).pw_name
    except (OSError, KeyError):
        return ""
