"""Run the scaler until a signal stops it; a second signal stops it at once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from scaler import log
from scaler.cli import process
from scaler.errors import ExitCode
from scaler.settings import load

if TYPE_CHECKING:
    import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """What can be given to it."""
    parser.add_argument(
        "-c", "--config", default="scaler.toml", metavar="FILE", help="settings (%(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Do it."""
    settings, loaded = load(args.config)
    log.setup(settings.log, hide=settings.secrets)
    os.umask(0o077)
    import scaler.app as app  # only now: wrong settings are told without trio's start

    process.tune()
    app.main(settings, loaded)
    return ExitCode.OK
