"""`status --watch`: on a terminal anew in place, elsewhere a block or a line for each change."""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from scaler.cli.asking import QUICK, Refusal, Target, told
from scaler.cli.screen import Ended, Screen
from scaler.cli.showing.status import Page, fitted, shown
from scaler.cli.showing.times import clock, span
from scaler.cli.terminal import painter, say
from scaler.control.client import ControlError, NotAllowed, NotRunning, watch
from scaler.errors import ExitCode

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

_REQUEST = {"command": "status", "watch": True}
_TICK = 1.0  # seconds after which what is told in "ago" is shown anew
_BEATS = 25.0  # seconds within which scaler tells something, if only that it is alive
_RESIZED = object()


def run(args: argparse.Namespace, target: Target) -> int:
    """Watch until a signal, or until scaler ends.

    Raises:
        FatalError: It does not run, or runs no more.
    """
    try:
        if not args.json and sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
            return _on_screen(target)
        return _in_lines(args, target)
    except (ControlError, NotAllowed, NotRunning) as error:
        if isinstance(error, ControlError) and error.code == "closed":
            raise Refusal("scaler has ended\n→ how it is now: scaler status", "closed") from None
        raise told(args, error) from None


def _in_lines(args: argparse.Namespace, target: Target) -> int:
    before = signal.signal(signal.SIGINT, _leave)
    try:
        return _told_in_lines(args, target)
    finally:
        signal.signal(signal.SIGINT, before)


def _told_in_lines(args: argparse.Namespace, target: Target) -> int:
    page = Page(width=None, paint=painter(sys.stdout), most=None)
    between = False
    for status in watch(target.folder, _REQUEST, timeout=QUICK):
        if args.json:
            say(json.dumps(status, ensure_ascii=False))
            continue
        head = f"== {clock(status.get('time'))}"
        say(*([""] if between else []), head, *shown(status, page))
        between = True
    return ExitCode.OK


def _leave(_number: int, _frame: object) -> None:
    """Ctrl-C is how it is ended: there is nothing to tidy up."""
    os._exit(ExitCode.OK)


def _on_screen(target: Target) -> int:
    news: queue.SimpleQueue[Any] = queue.SimpleQueue()
    reading = threading.Thread(target=_read, args=(target, news), name="watch", daemon=True)
    reading.start()
    first = news.get()
    if isinstance(first, Exception):
        raise first
    try:
        with Screen(sys.stdout, lambda: news.put(_RESIZED)) as screen:
            _redraw(screen, news, first)
    except OSError:  # the terminal has gone
        return ExitCode.FAILED
    except Ended as ended:
        if ended.number != signal.SIGINT:
            signal.signal(ended.number, signal.SIG_DFL)
            os.kill(os.getpid(), ended.number)
    return ExitCode.OK


def _redraw(screen: Screen, news: queue.SimpleQueue[Any], status: Mapping[str, Any]) -> None:
    """Show the newest again and again. Ends only by what is raised."""
    came = time.monotonic()
    while True:
        columns, lines = screen.size()
        page = Page(width=columns, paint=painter(sys.stdout), more="")
        now = status.get("time")
        silent = time.monotonic() - came
        if isinstance(now, int | float):
            now += silent
        top = clock(now) + (f" · no news for {span(silent)}: scaler may hang" * (silent > _BEATS))
        screen.show(fitted({**status, "time": now}, page, lines, top))
        try:
            new = news.get(timeout=_TICK)
            while not news.empty():
                if isinstance(new, Exception):
                    break
                new = news.get()
        except queue.Empty:
            continue
        if isinstance(new, Exception):
            raise new
        if new is not _RESIZED:
            status, came = new, time.monotonic()


def _read(target: Target, news: queue.SimpleQueue[Any]) -> None:
    try:
        for status in watch(target.folder, _REQUEST, timeout=QUICK):
            news.put(status)
    except Exception as error:  # told by who waits for it
        news.put(error)
