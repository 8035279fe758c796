"""Run the scaler until a signal stops it; a second signal stops it at once."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from scaler import log
from scaler.cli import places, process, tracing
from scaler.cli.notices import noticed, whose
from scaler.errors import ExitCode
from scaler.settings import load

if TYPE_CHECKING:
    import argparse

_log = logging.getLogger("scaler.api")


def arguments(parser: argparse.ArgumentParser) -> None:
    """What can be given to it."""
    places.argument(parser)
    tracing.argument(parser)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    with noticed() as notices:
        settings, loaded = load(places.settings_file(args.config))
        log.setup(settings.log, hide=settings.secrets)
        notices.listen(
            lambda notice: _log.warning("%s", notice, extra={"plugin": whose(notice.file, loaded)})
        )
        os.umask(0o077)
        import scaler.app as app  # only now: wrong settings are told without trio's start
        from scaler.watchdog import Guard

        process.tune()
        guard = Guard()
        with guard.over_threads():
            trace = tracing.tracer(args)
            app.main(settings, loaded, guard=guard, trace=trace, hung_up=process.hung_up)
    return ExitCode.OK
