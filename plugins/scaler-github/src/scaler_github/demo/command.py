"""The command itself: puts the pieces together, shows them, and sums up."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio
from rich.console import Console
from rich.live import Live

from scaler import ScalerError, load_settings, serve
from scaler_github.demo import settings
from scaler_github.demo.play import guests, waves
from scaler_github.demo.record import Record
from scaler_github.demo.table import render
from scaler_github.testing import Simulator

if TYPE_CHECKING:
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
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="scaler-demo-") as folder:
        return trio.run(_demo, Path(folder), args.flow, args.seconds)


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < 86400:
        raise argparse.ArgumentTypeError(f"found {text}, wanted seconds above 0")
    return number


async def _demo(folder: Path, flow: str, seconds: float | None) -> int:
    console = Console()
    live = console.is_terminal
    began = trio.current_time()

    def line(text: str) -> None:
        if not live:
            print(f"{trio.current_time() - began:6.2f}  {text}", flush=True)

    log_file = _log_to(folder / "demo.log")
    simulator = Simulator(flow="offered" if flow == "offered" else "assigned")
    record = Record(line)
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            await nursery.start(simulator.serve)
            config = folder / "scaler.toml"
            config.write_text(settings.text(simulator.url, str(folder / "state")))
            environ: Mapping[str, str] = {**os.environ, settings.TOKEN: simulator.token}
            loaded = load_settings(
                config, extra={"demo": guests(simulator, record)}, environ=environ
            )
            line(f"a simulator of GitHub ({flow} jobs) at {simulator.url}, and a scaler for it")
            running: list[Running] = []
            failed: list[BaseException] = []
            try:
                await _perform(loaded, simulator, record, signals, seconds, running, console)
            except* ScalerError as group:
                failed += group.exceptions
            nursery.cancel_scope.cancel()
    if failed:
        print(f"the demo could not go on: {failed[0]}", file=sys.stderr)
        sys.stderr.write(log_file.read_text()[-4000:])
        return 1
    left = sum(runner.machine is not None for each in running for runner in each.view().runners)
    for text in record.summary(left):
        print(text)
    return 0


async def _perform(
    loaded: tuple[Any, Any],
    simulator: Simulator,
    record: Record,
    signals: AsyncIterator[int],
    seconds: float | None,
    running: list[Running],
    console: Console,
) -> None:
    """Run the scaler and the play until they are stopped."""
    async with trio.open_nursery() as nursery:
        running.append(await nursery.start(serve, *loaded))
        nursery.start_soon(_until_stopped, running[0], signals, seconds, nursery)
        async with trio.open_nursery() as acts:
            acts.start_soon(waves, simulator)
            if console.is_terminal:
                acts.start_soon(_show, running[0], record, console)
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


async def _show(running: Running, record: Record, console: Console) -> None:
    with Live(console=console, auto_refresh=False, screen=False, transient=True) as live:
        while True:
            live.update(render(running.view(), record, console.height), refresh=True)
            await trio.sleep(REFRESH)


def _log_to(path: Path) -> Path:
    """The scaler's log goes into a file: the table has the screen."""
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    return path
