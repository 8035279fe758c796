"""Asking before something is done that cannot be taken back."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from scaler.cli.asking import Misunderstood
from scaler.errors import FatalError
from scaler.log import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def argument(parser: argparse.ArgumentParser) -> None:
    """Let it be confirmed from the start."""
    parser.add_argument("--yes", action="store_true", help="do not ask whether that is meant")


def needs(args: argparse.Namespace, what: str) -> None:
    """See that somebody can be asked, before anything else is done.

    Raises:
        Misunderstood: Nobody can, and it was not confirmed.
    """
    if not args.yes and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Misunderstood(
            f"{what} ends jobs, and there is no terminal to ask at: add --yes if that is meant"
        )


def confirmed(args: argparse.Namespace, lines: Sequence[str], question: str) -> None:
    """Ask at the terminal, where it was not confirmed from the start.

    Raises:
        FatalError: The answer was no.
    """
    if args.yes:
        return
    for line in lines:
        print(printable(line), file=sys.stderr)
    print(printable(f"{question} [y/N] "), end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        print(file=sys.stderr)
    if answer.strip().casefold() not in ("y", "yes"):
        raise FatalError("nothing was done")
