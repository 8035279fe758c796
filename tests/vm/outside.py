"""What people ask of a scaler that runs, by command and dashboard; and jobs that they hold."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

if TYPE_CHECKING:
    from tests.vm.site import Site

PATIENCE = 60.0  # seconds for an answer on a busy machine

HELD = """
cat >/tmp/goes-on <<'END'
while control "$door/world" | grep -q '"name":"{mark}"'; do sleep 3; done
END
sed '/^sleep 1$/r /tmp/goes-on' /runner >/tmp/runner
chmod 755 /tmp/runner
RUNNER=/tmp/runner
"""


def held(mark: str) -> str:
    """What stands before a boot script where jobs go on for as long as there is this mark."""
    return HELD.format(mark=mark)


async def command(here: Site, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `scaler …` with the site's settings, in the network that the scaler has."""
    run = partial(
        subprocess.run,
        [*here.hypervisor.inside, sys.executable, "-m", "scaler", *words, "-c", here.settings],
        env={"TEST_TOKEN": here.simulator.token, "PATH": os.environ["PATH"]},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    return await trio.to_thread.run_sync(run)


async def get(here: Site, path: str) -> tuple[int, bytes]:
    """Ask the dashboard's listener."""

    def asked() -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("localhost", timeout=PATIENCE)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(PATIENCE)
        connection.sock.connect(str(here.folder / "monitor"))
        with closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()

    return await trio.to_thread.run_sync(asked)


async def dashboard(here: Site) -> dict[str, Any]:
    """`/dashboard.json`."""
    status, body = await get(here, "/dashboard.json")
    assert status == 200, body
    shown: dict[str, Any] = json.loads(body)
    return shown


def rooms(shown: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Its rooms by their names."""
    return {room["name"]: room for room in shown["rooms"]}


def change(settings: Path, before: str, after: str) -> None:
    """Change a piece of the settings that is there once."""
    text = settings.read_text()
    assert text.count(before) == 1, f"{before!r} is there {text.count(before)} times"
    settings.write_text(text.replace(before, after))
