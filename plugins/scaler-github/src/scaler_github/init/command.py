"""The command itself: flags, questions, the files, and what to do next."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import shlex
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from scaler import printable
from scaler_github.init import arc, files, servo
from scaler_github.init.asking import Terminal
from scaler_github.init.building import BOOT_SCRIPT, build
from scaler_github.init.collecting import UsageError, collect
from scaler_github.init.document import Document
from scaler_github.init.questions import QUESTIONS
from scaler_github.init.secrecy import hidden
from scaler_github.init.translation import Translation

if TYPE_CHECKING:
    from collections.abc import Iterator

_ABOUT = """\
Write a settings file that explains itself. What no flag says is asked on a terminal; without a
terminal defaults count, and what has none must be given. No secret is written into it, nor taken
on the command line.
"""
_HEAD = (
    "Settings of scaler, written by `scaler init`. `scaler check` says what is wrong with them and "
    "how to mend it; `scaler run` starts. Lines that begin with #, and no space behind it, are "
    "settings that are off, with their default or an example."
)


def command(argv: list[str]) -> int:
    """Do it; answer the exit code."""
    parser = _parser()
    args = parser.parse_args(argv)
    printed = args.output == "-"
    target = Path(args.output)
    if not printed:
        files.check_free(target, force=args.force)
    found = _translated(args)
    given = {
        question.key: [told] if isinstance(told, str) else told
        for question in QUESTIONS
        if question.flag and (told := getattr(args, question.key)) is not None
    }
    asker = Terminal(sys.stdin, sys.stderr) if _at_a_terminal() else None
    if asker is not None:
        _say(
            "An empty answer takes what is in brackets. Nothing is written before the end: "
            "Ctrl-C leaves all as it was."
        )
    try:
        done = collect(given, found.presets, asker, found.profiles)
    except UsageError as error:
        parser.error(str(error))
    scripted = not (printed or args.no_boot_script)
    document = found.document
    document.head = [_HEAD, *document.head]
    build(done, document, boot_script=scripted)
    text = document.text()
    _tell_notes(document)
    if printed:
        sys.stdout.write(text)
        return 0
    needs_script = scripted and _names_script(document)
    with files.boot_script_in(target.parent) if needs_script else nullcontext() as made:
        kept = files.write(target, text, force=args.force)
    sys.stdout.write(
        "\n".join([*_written(target, kept, made), "", *_next(document, target)]) + "\n"
    )
    return 0


class _Parser(argparse.ArgumentParser):
    """One that never says what looks like a secret."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and leave with 2."""
        self.print_usage(sys.stderr)
        lines = hidden(message).split("\n")
        _say(f"{self.prog}: error: {printable(lines[0])}", *map(printable, lines[1:]))
        raise SystemExit(2)


class _Refused(argparse.Action):
    """A flag that somebody may expect, and that there is not."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        _namespace: argparse.Namespace,
        _values: object,
        option_string: str | None = None,
    ) -> None:
        """Say what to do instead, and nothing of the value."""
        parser.error(
            f"{option_string}: a command line is kept in the shell's history and seen by everybody "
            "on the machine, so no token is taken there: name the variable that has it by "
            "--token-env, or the file by --token-file; and better make a new one"
        )


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="scaler init", description=_ABOUT, allow_abbrev=False, usage="scaler init [OPTION …]"
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        default="scaler.toml",
        help="where to write it; - prints it (%(default)s)",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="replace a file that is there; it is kept as FILE.bak-TIME",
    )
    parser.add_argument(
        "--no-boot-script", action="store_true", help="do not write cloud-boot.sh beside it"
    )
    moving = parser.add_argument_group("moving here")
    one = moving.add_mutually_exclusive_group()
    one.add_argument(
        "--from-servo", metavar="FILE", help="begin with the monitor.toml of servo/ci-runners"
    )
    one.add_argument(
        "--from-arc",
        metavar="FILE",
        help="begin with the values.yaml of the chart gha-runner-scale-set",
    )
    moving.add_argument(
        "--servo-checkout",
        metavar="FOLDER",
        help="with --from-servo: where its profiles' files are (profiles/NAME/boot-script)",
    )
    answers = parser.add_argument_group("answers")
    for question in QUESTIONS:
        if question.flag:
            answers.add_argument(
                question.flag,
                dest=question.key,
                metavar=question.metavar or question.flag.rpartition("-")[2].upper(),
                action="append" if question.several else "store",
                help=question.help,
            )
    parser.add_argument("--token", action=_Refused, help=argparse.SUPPRESS)
    return parser


def _translated(args: argparse.Namespace) -> Translation:
    if args.servo_checkout and not args.from_servo:
        raise SystemExit(_parser().error("--servo-checkout goes with --from-servo"))
    if args.from_servo:
        checkout = Path(args.servo_checkout) if args.servo_checkout else None
        return servo.translate(Path(args.from_servo), checkout)
    if args.from_arc:
        return arc.translate(Path(args.from_arc))
    return Translation()


def _at_a_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def _say(*lines: str) -> None:
    sys.stderr.write("".join(f"{line}\n" for line in lines))
    sys.stderr.flush()


def _tell_notes(document: Document) -> None:
    if document.notes:
        _say("", "What had no counterpart here (the same stands at the end of the file):")
        _say(*(f"  - {note}" for note in document.notes), "")


def _names_script(document: Document) -> bool:
    profiles = document.settings.get("profiles", {}).values()
    return any(each.get("boot_script") == BOOT_SCRIPT for each in profiles)


def _written(target: Path, kept: Path | None, made: tuple[Path, bool] | None) -> Iterator[str]:
    shown = printable(str(target))
    yield f"{shown} is written, for nobody but you to read; it holds no secret"
    if kept is not None:
        yield f"{printable(str(kept))} is the one that was there before"
    if made is not None:
        script, other = made
        says = "was there and stays as it is" if other else "is what its machines run as they boot"
        yield f"{printable(str(script))} {says}"


def _next(document: Document, target: Path) -> list[str]:
    file = shlex.quote(printable(str(target)))
    steps = [*_missing(document), *_secrets(document)]
    steps += [
        (f"scaler check -c {file}", "says what is wrong or missing, and how to mend it"),
        (f"scaler run -c {file}", "runs it, until Ctrl-C"),
    ]
    width = max(len(what) for what, _ in steps)
    return [
        "What to do next:",
        *(f"  {number}. {what:<{width}}  # {why}" for number, (what, why) in enumerate(steps, 1)),
    ]


def _missing(document: Document) -> Iterator[tuple[str, str]]:
    """Which plugins are not installed here."""
    points = importlib.metadata.entry_points(group="scaler.plugins")
    for name in document.settings["plugins"]:
        if name not in points.names:
            yield (
                f"pip install ./plugins/scaler-{name}",
                "in the environment of scaler, from its repository",
            )


def _secrets(document: Document) -> Iterator[tuple[str, str]]:
    """What puts the secrets where the settings say they are."""
    github = document.settings["plugins"]["github"]
    source = github.get("token") or github["app"]["private_key"]
    if "env" in source:
        yield f"export {source['env']}=…", "the token; in the environment that scaler runs in"
    elif "token" in github:
        quoted = shlex.quote(printable(source["file"]))
        yield f"(umask 077; cat > {quoted})", "paste the token, then Enter and Ctrl-D"
    else:
        quoted = shlex.quote(printable(source["file"]))
        yield f"install -m 600 DOWNLOADED.pem {quoted}", "the App's private key"
    token = document.get("plugins", "monitor", "token", "env")
    if token and token not in os.environ:
        yield f"export {token}=…", "the Monitor API's token, such as openssl rand -hex 32 makes"
