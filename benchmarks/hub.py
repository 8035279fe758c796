"""A stand-in for GitHub's Actions service that is quick enough not to be what is measured.

    python benchmarks/hub.py --delay 20

One process, one port; it prints where it listens, a line each, and ends at SIGTERM or when its
`--lifetime` is over. It speaks what the client of scaler-github needs, in the protocol's own forms,
and checks little: for tests of behaviour there is `scaler_github.testing`. Guests are played here
too: `--boot` seconds after a runner's machine exists (`benchmarks/plugins/machines.py` tells), or
after its JIT configuration was answered, it is online and takes a job.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

from bench import results
from bench.control import Control, Guests
from bench.service import TOKEN, Connection, Service
from bench.world import Options, World


def parser() -> argparse.ArgumentParser:
    """The command line; the delay is in milliseconds, all other times are in seconds."""
    made = argparse.ArgumentParser(prog="hub.py", description=__doc__.partition("\n")[0])
    add = made.add_argument
    add("--flow", choices=("assigned", "offered"), default="assigned", help="how jobs come")
    add("--delay", type=results.milliseconds, default=0.0, help="milliseconds before every answer")
    add("--poll", type=float, default=50.0, help="seconds that a poll without news is held")
    add("--boot", type=float, default=0.05, help="seconds until a guest is online (%(default)s)")
    add("--boot-from", choices=("machine", "config"), default="machine", help="what it counts from")
    add("--seed", type=int, default=1, help="of the jobs' durations, 50 to 100 ms")
    add(
        "--lifetime",
        type=float,
        default=600.0,
        help="seconds until it ends by itself (%(default)s)",
    )
    return made


async def serve(arguments: argparse.Namespace) -> None:
    """Serve until told to stop."""
    loop = asyncio.get_running_loop()
    options = Options(
        flow=arguments.flow,
        delay=arguments.delay / 1000,
        poll=arguments.poll,
        boot=arguments.boot,
        boot_from=arguments.boot_from,
        seed=arguments.seed,
    )
    world = World(options, loop)
    holder: list[Service] = []
    control = Control(world)
    server = await loop.create_server(
        lambda: Connection(holder[0], control), "127.0.0.1", 0, backlog=1024
    )
    origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    holder.append(Service(world, origin))
    guests = await loop.create_server(lambda: Guests(world), "127.0.0.1", 0)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.call_later(arguments.lifetime, stop.set)
    port = guests.sockets[0].getsockname()[1]
    sys.stdout.write(f"origin={origin}\nurl={origin}/acme\ntoken={TOKEN}\nguests={port}\n\n")
    sys.stdout.flush()
    await stop.wait()


if __name__ == "__main__":
    asyncio.run(serve(parser().parse_args()))
