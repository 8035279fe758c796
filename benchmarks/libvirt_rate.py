"""How fast machines are made and destroyed through libvirt, and what a hanging libvirt costs.

    python benchmarks/libvirt_rate.py

Domains a second, made and destroyed again through the plugin's hooks on libvirt's own test driver
(`test:///default`, which remembers machines and runs none): bare ones; ones with a disk of their
own on a base image; ones with a disk and an address fixed in a network. Then the event loop's
worst lag while a libvirt daemon hangs (SIGSTOP) and machines are asked for all the time.
"""

from __future__ import annotations

import logging
import statistics
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import libvirt
import trio
from bench import results

from scaler import Profile, Registration, Runner, RunnerState, Secret, Unavailable
from scaler_libvirt.hosts.connection import Pace
from scaler_libvirt.plugin import Libvirt
from scaler_libvirt.settings import HostSettings, ProfileConfig
from scaler_libvirt.testing import NO_LIBVIRTD, Listener, PrivateLibvirtd, context_for

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

MACHINES = 400
AT_ONCE = 16
HANG = 5.0  # seconds
WANTED = 200  # domains a second
LAG = 50  # milliseconds
HOST = HostSettings(name="local", uri="test:///default")
DISK = ProfileConfig(base_image="/images/base.qcow2")
CASES = {
    "bare": ("made and destroyed a second", HOST, ProfileConfig()),
    "disk": ("with a disk of their own", HOST, DISK),
    "address": ("with a disk and a fixed address", replace(HOST, network="default"), DISK),
}
HEAD = ["what", "wanted", "median", "min", "max"]


def plugin_with(listener: Listener, host: HostSettings, own: ProfileConfig) -> Libvirt:
    """The plugin with one host and one profile."""
    profiles = {"linux": Profile(name="linux", max_count=4)}
    context = context_for(listener, host, profiles=profiles, own={"linux": own})
    quick = Pace(keepalive=(1, 2), first_pause=0.05, longest_pause=0.5, open=3, close=0.5)
    return Libvirt(context, pace=quick)


def runner(number: int) -> Runner:
    """A runner."""
    name = f"linux.{number}@here"
    return Runner(id=number, name=name, profile="linux", state=RunnerState.REGISTERED, room="local")


async def in_crowds(numbers: range, work: Callable[[int], Awaitable[object]]) -> None:
    """Do it for all, some at once."""
    waiting = iter(numbers)

    async def worker() -> None:
        for number in waiting:
            await work(number)

    async with trio.open_nursery() as nursery:
        for _ in range(AT_ONCE):
            nursery.start_soon(worker)


async def rate(host: HostSettings, own: ProfileConfig, count: int) -> float:
    """Machines a second that are made and destroyed."""
    plugin = plugin_with(Listener(), host, own)

    async def life(number: int) -> None:
        one = runner(number)
        config = Registration(name=one.name, config=Secret("config"))
        await plugin.provision_runner(one, config)
        await plugin.destroy_runner(one)

    async with trio.open_nursery() as nursery:
        await nursery.start(plugin.run_service)
        began = time.perf_counter()
        await in_crowds(range(1, count + 1), life)
        took = time.perf_counter() - began
        nursery.cancel_scope.cancel()
    return count / took


class Lag:
    """How late the loop is at worst, in milliseconds."""

    def __init__(self) -> None:
        self.worst = 0.0

    async def watch(self) -> None:
        """Look, until cancelled."""
        while True:
            before = trio.current_time()
            await trio.sleep(0.002)
            self.worst = max(self.worst, (trio.current_time() - before - 0.002) * 1e3)


async def idle_lag(seconds: float) -> float:
    """The lag of a loop that has nothing to do: what the machine itself costs."""
    lag = Lag()
    with trio.move_on_after(seconds):
        await lag.watch()
    return lag.worst


async def worst_lag(seconds: float) -> float:
    """The lag while libvirt hangs."""
    lag = Lag()
    with PrivateLibvirtd() as daemon:
        host = replace(HOST, uri=daemon.uri)
        plugin = plugin_with(Listener(), host, DISK)

        async def ask(number: int) -> None:
            one = runner(number)
            try:
                await plugin.provision_runner(
                    one, Registration(name=one.name, config=Secret("config"))
                )
            except Unavailable:  # as it must be while libvirt hangs: what counts is the loop
                await trio.sleep(0.05)

        async with trio.open_nursery() as nursery:
            await nursery.start(plugin.run_service)
            await in_crowds(range(1, 50), ask)  # everything is warm
            nursery.start_soon(lag.watch)
            daemon.hang()
            with trio.move_on_after(seconds):
                await in_crowds(range(50, 1_000_000), ask)
            nursery.cancel_scope.cancel()
            daemon.go_on()
    return lag.worst


def main() -> int:
    """Measure, and tell."""
    options = results.arguments(__doc__ or "").parse_args()
    logging.disable(logging.WARNING)
    rounds, count = (1, 100) if options.quick else (5, MACHINES)
    kept = libvirt.open("test:///default")  # it forgets all with its last connection
    figures: dict[str, object] = {}
    rows: list[list[object]] = []
    for key, (text, host, own) in CASES.items():
        some = min(count, 200) if key == "address" else count  # a network has 253 addresses
        values = [trio.run(rate, host, own, some) for _ in range(rounds)]
        figures[key] = results.spread(values, 0)
        rows.append([text, WANTED, *(f"{value:.0f}" for value in _three(values))])
    kept.close()
    if NO_LIBVIRTD:
        print(NO_LIBVIRTD)
    else:
        seconds = HANG / (5 if options.quick else 1)
        for key, text, wanted, lag in (
            ("idle_lag_ms", "worst lag of a loop with nothing to do, ms", "", idle_lag),
            ("lag_ms", "worst lag of the loop while libvirt hangs, ms", LAG, worst_lag),
        ):
            values = [trio.run(lag, seconds) for _ in range(rounds)]
            figures[key] = results.spread(values, 1)
            rows.append([text, wanted, *(f"{value:.1f}" for value in _three(values))])
    print(results.table(HEAD, rows))
    if options.save:
        results.save("libvirt_rate", {"figures": figures})
    return 0


def _three(values: list[float]) -> tuple[float, float, float]:
    return statistics.median(values), min(values), max(values)


if __name__ == "__main__":
    sys.exit(main())
