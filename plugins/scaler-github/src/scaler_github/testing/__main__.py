"""`python -m scaler_github.testing`: the simulator as a program of its own."""

from __future__ import annotations

import argparse
import signal
import sys

import trio

from scaler_github.testing.guests import Guests, Span
from scaler_github.testing.simulator import Simulator
from scaler_github.testing.tokens import Lifetimes


def _span(text: str) -> Span:
    low, dash, high = text.partition("-")
    return (float(low), float(high)) if dash else float(low)


def build_parser() -> argparse.ArgumentParser:
    """The command line; all times are in seconds."""
    parser = argparse.ArgumentParser(
        prog="python -m scaler_github.testing",
        description="Simulates GitHub's REST API and Actions service on one local port.",
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    add("--port", type=int, default=0, help="0 takes a free one (default)")
    add(
        "--flow",
        choices=("assigned", "offered"),
        default="assigned",
        help="assigned as github.com (default), offered as Enterprise Server",
    )
    add("--scope", default="acme", help="ORG, OWNER/REPO or enterprises/NAME (%(default)s)")
    add("--delay", type=float, default=0.0, help="added to every request")
    add("--poll", type=float, default=50.0, help="how long a poll without news is held")
    add("--token-lifetime", type=float, default=3600.0, help="of every token that expires")
    add("--session-timeout", type=float, default=60.0, help="a session without polls ends then")
    add("--boot", type=_span, help="boot time of automatic guests, N or N-M (no guests)")
    add("--work", type=_span, help="how long the guests' jobs take, N or N-M (no guests)")
    return parser


async def _stop_on_signal(scope: trio.CancelScope) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            scope.cancel()


async def run(arguments: argparse.Namespace) -> None:
    """Serve until SIGINT or SIGTERM; prints where, and with what token."""
    guests = None
    if arguments.boot is not None or arguments.work is not None:
        guests = Guests(boot=arguments.boot or 0.0, work=arguments.work or 0.0)
    sim = Simulator(
        scope=arguments.scope,
        flow=arguments.flow,
        host=arguments.host,
        port=arguments.port,
        guests=guests,
        lifetimes=Lifetimes(*[arguments.token_lifetime] * 4),
        delay=arguments.delay,
        poll_seconds=arguments.poll,
        session_timeout=arguments.session_timeout,
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_stop_on_signal, nursery.cancel_scope)
        url = await nursery.start(sim.serve)
        lines = f"url={url}\ntoken={sim.token}\ncontrol={sim.origin}/_control/\n"
        sys.stdout.write(lines)
        sys.stdout.flush()


def main(argv: list[str] | None = None) -> int:
    """Run the command; 0 when it was stopped, 1 when it cannot listen, 2 on wrong usage."""
    arguments = build_parser().parse_args(argv)
    failed: list[BaseException] = []
    try:
        trio.run(run, arguments)
    except* OSError as group:
        failed.append(_first(group))
    for error in failed:
        sys.stderr.write(f"cannot listen on {arguments.host}:{arguments.port}: {error}\n")
    return 1 if failed else 0


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


if __name__ == "__main__":
    sys.exit(main())
