"""The command itself: puts the pieces together, shows them, and sums up."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio
from rich.console import Console
from rich.live import Live

from scaler import FatalError, ScalerError, load_settings, printable, serve
from scaler_github.demo import settings
from scaler_github.demo.play import guests, waves
from scaler_github.demo.record import Record
from scaler_github.demo.table import render
from scaler_github.testing import Simulator

if TYPE_CHECKING:
    from rich.console import RenderableType

    from scaler import Running

REFRESH = 0.2  # seconds between two pictures


def command(argv: list[str]) -> int:
    """Show jobs arrive and machines come and go, without an account, a daemon or root."""
    parser = argparse.ArgumentParser(prog="scaler demo", description=command.__doc__)
    parser.add_argument(
        "--flow",
        choices=("assigned", "offered"),
        default="assigned",
        help="how jobs come: as from github.com, or as from an Enterprise Server (%(default)s)",
    )
    parser.add_argument(
        "--seconds", type=_seconds, help="stop after so many seconds; otherwise at Ctrl-C"
    )
    args = parser.parse_args(list(map(printable, argv)))
    return trio.run(_demo, args.flow, args.seconds)


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0
    if number >= 86400:
        raise argparse.ArgumentTypeError(f"found {text}, wanted less than a day (86400)")
    if not number > 0:
        raise argparse.ArgumentTypeError(f"found {text}, wanted seconds above 0")
    return number


class _Screen:
    """Where it is shown: a table on a terminal that can move its cursor, plain lines elsewhere."""

    def __init__(self) -> None:
        # no environment variable makes a pipe a terminal here
        self.live = sys.stdout.isatty() and os.environ.get("TERM") not in ("dumb", "unknown", "")
        self.console = Console()
        self.lost = trio.Event()  # what is written gets nowhere
        self._error: OSError | None = None
        self._began = trio.current_time()

    def line(self, text: str) -> None:
        """Show a step. Never raises: it is called from hooks."""
        if not self.live:
            with self.writing():
                print(f"{trio.current_time() - self._began:6.2f}  {text}", flush=True)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Note when it turns out that the output is lost."""
        try:
            yield
        except OSError as error:
            self._error = self._error or error
            self.lost.set()

    def look(self) -> None:
        """Raise what was noted."""
        if isinstance(self._error, BrokenPipeError):
            raise self._error
        if self._error is not None:
            raise FatalError(f"the output cannot be written: {self._error.strerror}")


async def _demo(flow: str, seconds: float | None) -> int:
    with (
        trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals,
        tempfile.TemporaryDirectory(prefix="scaler-demo-") as folder,
    ):
        return await _play(Path(folder), flow, seconds, signals)


async def _play(folder: Path, flow: str, seconds: float | None, signals: AsyncIterator[int]) -> int:
    screen = _Screen()
    log_file = _log_to(folder / "demo.log")
    simulator = Simulator(flow="offered" if flow == "offered" else "assigned")
    record = Record(screen.line)
    async with trio.open_nursery() as nursery:
        await nursery.start(simulator.serve)
        config = folder / "scaler.toml"
        config.write_text(settings.text(simulator.url, str(folder / "state")))
        environ: Mapping[str, str] = {**os.environ, settings.TOKEN: simulator.token}
        loaded = load_settings(config, extra={"demo": guests(simulator, record)}, environ=environ)
        screen.line(f"a simulator of GitHub ({flow} jobs) at {simulator.url}, and a scaler for it")
        running: list[Running] = []
        failed: list[BaseException] = []
        try:
            await _perform(loaded, simulator, record, signals, seconds, running, screen)
        except* ScalerError as group:
            failed += group.exceptions
        nursery.cancel_scope.cancel()
    if failed:
        told = [f"the demo could not go on: {failed[0]}", log_file.read_text()[-4000:]]
        for each in "\n".join(told).splitlines():
            print(printable(each), file=sys.stderr)
        return 1
    screen.look()
    left = sum(runner.machine is not None for each in running for runner in each.view().runners)
    with screen.writing():
        print(*record.summary(left), sep="\n", flush=True)
    screen.look()
    return 0


async def _perform(
    loaded: tuple[Any, Any],
    simulator: Simulator,
    record: Record,
    signals: AsyncIterator[int],
    seconds: float | None,
    running: list[Running],
    screen: _Screen,
) -> None:
    """Run the scaler and the play until they are stopped."""
    async with trio.open_nursery() as nursery:
        running.append(await nursery.start(serve, *loaded))
        nursery.start_soon(_until_stopped, running[0], signals, seconds, nursery)
        nursery.start_soon(_until_lost, running[0], screen)
        nursery.start_soon(_find_dashboard, running[0], record, screen)
        if screen.live:
            nursery.start_soon(_show, running[0], record, screen)
        async with trio.open_nursery() as acts:
            acts.start_soon(waves, simulator)
            await running[0].stopping.wait()
            acts.cancel_scope.cancel()
        await running[0].stopped.wait()
        nursery.cancel_scope.cancel()


async def _until_stopped(
    running: Running, signals: AsyncIterator[int], seconds: float | None, nursery: trio.Nursery
) -> None:
    """Stop at a signal or when the time is over; a second signal stops at once."""
    with trio.move_on_after(seconds if seconds is not None else float("inf")):
        async for _ in signals:
            break
    running.stop()
    async for _ in signals:
        nursery.cancel_scope.cancel()


async def _until_lost(running: Running, screen: _Screen) -> None:
    """Stop when nobody can see it."""
    await screen.lost.wait()
    running.stop()


async def _find_dashboard(running: Running, record: Record, screen: _Screen) -> None:
    """Tell where the dashboard is, as soon as the Monitor serves it."""
    while not record.dashboard:
        for report in running.view().reports:
            addresses = report.facts.get("addresses")
            if report.plugin == "monitor" and addresses:
                record.dashboard = f"{addresses[0]}/"
                screen.line(f"the dashboard is at {record.dashboard}")
        await trio.sleep(REFRESH)


async def _show(running: Running, record: Record, screen: _Screen) -> None:
    """Show the table; the last one stays."""

    def picture() -> RenderableType:
        return render(running.view(), record, screen.console.width, screen.console.height)

    with screen.writing(), Live(console=screen.console, auto_refresh=False) as live:
        try:
            while True:
                live.update(picture(), refresh=True)
                await trio.sleep(REFRESH)
        finally:
            live.update(picture())


def _log_to(path: Path) -> Path:
    """The scaler's log goes into a file: the table has the screen."""
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    return path
