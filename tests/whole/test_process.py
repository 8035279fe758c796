"""`scaler run` as a process: what a service manager and a person at a terminal see."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio


class Process:
    """A scaler in a process of its own, and what it logged."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.log = ""
        self.ended = trio.Event()

    async def read(self) -> None:
        assert self.process.stderr is not None
        async for chunk in self.process.stderr:
            self.log += chunk.decode()
        self.ended.set()

    def messages(self) -> list[str]:
        return [json.loads(line)["message"] for line in self.log.splitlines() if line[:1] == "{"]

    async def until(self, what: Callable[[], Any], seconds: float = 20) -> None:
        """Wait until something is true, while the process lives."""
        with trio.fail_after(seconds):
            while not what():
                assert self.process.poll() is None, self.log
                await trio.sleep(0.01)

    async def stop(self, number: int, seconds: float = 10) -> int:
        self.process.send_signal(number)
        with trio.fail_after(seconds):
            await self.ended.wait()
            return await self.process.wait()


@asynccontextmanager
async def scaler_process(settings: Path, token: str) -> AsyncIterator[Process]:
    """Run it for as long as the block lasts; killed at the end if it still runs."""
    command = [sys.executable, "-m", "scaler", "run", "-c", str(settings)]
    process = await trio.lowlevel.open_process(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={"TEST_TOKEN": token, "PATH": "/usr/bin:/bin"},
    )
    async with trio.open_nursery() as nursery:
        running = Process(process)
        nursery.start_soon(running.read)
        try:
            yield running
        finally:
            if process.poll() is None:
                process.kill()
            await running.ended.wait()
            await process.wait()


def check_settings(settings: Path, token: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scaler", "check", "-c", str(settings)]
    return subprocess.run(
        command,
        env={"TEST_TOKEN": token},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_it_cleanly(place: Any, flow: str, number: int) -> None:
    async with place(flow=flow) as here:
        async with scaler_process(here.settings(), here.simulator.token) as scaler:
            await scaler.until(lambda: here.simulator.count("poll"))
            here.simulator.queue_jobs("linux", 2)
            await scaler.until(lambda: scaler.log.count("is booting") == 2)
            for agent in here.simulator.agents[:1]:
                here.simulator.bring_online(agent.name)
            await scaler.until(lambda: "is running on" in scaler.log)
            assert await scaler.stop(number) == 0
        assert here.simulator.scale_set("linux").session is None
        assert len(here.simulator.jobs_in("running")) == 1
        assert len(here.simulator.agents) == 2  # both machines exist, and were left alone
        assert "Traceback" not in scaler.log


async def test_it_starts_without_github_and_goes_on_when_it_comes_back(place: Any) -> None:
    async with place() as here:
        here.simulator.faults.outage(2.0, kind="drop")
        async with scaler_process(here.settings(), here.simulator.token) as scaler:
            await scaler.until(lambda: here.simulator.count("poll"))
            assert await scaler.stop(signal.SIGTERM) == 0
        assert "Traceback" not in scaler.log


async def test_a_second_signal_stops_it_at_once(place: Any) -> None:
    async with place() as here:
        async with scaler_process(here.settings(), here.simulator.token) as scaler:
            await scaler.until(lambda: here.simulator.count("poll"))
            here.simulator.faults.add("delete-session", kind="hang", times=9)
            scaler.process.send_signal(signal.SIGTERM)
            await scaler.until(lambda: "SIGTERM: stopping; once more" in scaler.log)
            await trio.sleep(0.2)  # sooner it would count as the first one's echo
            with trio.fail_after(8):
                assert await scaler.stop(signal.SIGTERM) == 0


async def test_the_echo_of_a_signal_is_no_second_signal(place: Any) -> None:
    """`timeout` sends its signal to the process and then to its whole group."""
    async with place() as here:
        async with scaler_process(here.settings(), here.simulator.token) as scaler:
            await scaler.until(lambda: here.simulator.count("poll"))
            scaler.process.send_signal(signal.SIGTERM)
            assert await scaler.stop(signal.SIGTERM) == 0
        assert here.simulator.scale_set("linux").session is None
        assert "stopping at once" not in scaler.log


async def test_a_token_without_rights_is_told_which_right_is_missing(place: Any) -> None:
    async with place() as here:
        weak = here.simulator.add_token("ghp_weak", ["repo"])
        async with scaler_process(here.settings(), weak) as scaler:
            await scaler.until(lambda: "admin:org" in scaler.log)
            assert await scaler.stop(signal.SIGTERM) == 0
        assert weak not in scaler.log
        told = await trio.to_thread.run_sync(check_settings, here.settings(), weak)
        assert told.returncode == 1
        assert "the scope admin:org" in told.stdout
        assert weak not in told.stdout + told.stderr


async def test_check_tells_of_a_profile_that_fits_no_room(place: Any) -> None:
    async with place() as here:
        path = here.settings()
        told = await trio.to_thread.run_sync(check_settings, path, here.simulator.token)
        assert "no room is large enough" not in told.stdout
        path.write_text(path.read_text().replace('memory = "1G"', 'memory = "65G"'))
        told = await trio.to_thread.run_sync(check_settings, path, here.simulator.token)
        assert told.returncode == 1
        assert "here lacks memory (65G wanted, 64G free)" in told.stdout


async def test_a_second_scaler_on_the_same_folder_is_refused(place: Any) -> None:
    async with place() as here:
        async with (
            scaler_process(here.settings(), here.simulator.token) as first,
            scaler_process(here.settings(), here.simulator.token) as second,
        ):
            await here.until(
                lambda: (
                    None not in (first.process.poll(), second.process.poll())
                    or (first.process.poll() is None) != (second.process.poll() is None)
                ),
                20,
            )
            loser, winner = (first, second) if first.process.poll() is not None else (second, first)
            await loser.ended.wait()
            assert loser.process.poll() == 1
            assert f"another scaler (process {winner.process.pid})" in loser.log
            assert "Traceback" not in loser.log
            await winner.until(lambda: here.simulator.count("poll"))
            assert await winner.stop(signal.SIGTERM) == 0
