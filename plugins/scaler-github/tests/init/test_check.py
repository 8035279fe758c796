"""`scaler check` on a file that was just written, against a simulated GitHub."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from scaler_github.testing import Simulator


@pytest.mark.once
async def test_check_finds_nothing_wrong_with_it(tmp_path: Path) -> None:
    simulator = Simulator()
    environ = {**os.environ, "GITHUB_TOKEN": simulator.token}

    async def scaler(*arguments: str) -> str:
        done = await trio.run_process(
            [sys.executable, "-m", "scaler", *arguments],
            cwd=tmp_path,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_stdout=True,
            stderr=subprocess.STDOUT,
            check=False,
        )
        assert done.returncode == 0, done.stdout.decode()
        return done.stdout.decode()

    async with trio.open_nursery() as nursery:
        await nursery.start(simulator.serve)
        with trio.fail_after(60):
            await scaler(
                *("init", "--url", simulator.url, "--machines", "test"),
                *("--state-dir", str(tmp_path / "state"), "--listen", "127.0.0.1:0"),
            )
            told = await scaler("check", "-c", "scaler.toml")
        nursery.cancel_scope.cancel()
    assert "1 to 8 runners, registered by actions-queue, made by libvirt" in told
    assert "WRONG" not in told
