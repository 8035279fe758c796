"""Clients of Servo's Monitor, as they are: shell steps of workflows, and a queue's program."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from scaler import Refused, Selection
from scaler_monitor.api import reserving
from scaler_monitor.plugin import Monitor
from scaler_monitor.settings import StaticFolder

from .fakes import BEARER, TOKEN, UNIQUE, WHO, FakeCore, FakeGuest, served

needs_shell = pytest.mark.skipif(
    not (shutil.which("curl") and shutil.which("jq")), reason="needs curl and jq"
)
SELECTED = f"/select-runner?{WHO}"
CURL = "curl --noproxy '*' -sS --fail-with-body --connect-timeout 5 --max-time 30"
SELECT = f"{CURL} -X POST"


def client_of(monitor: Monitor) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=monitor.addresses[0], trust_env=False)


class Shell:
    """Runs the lines of a workflow's step, as GitHub's runner does."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self._url = url.rstrip("/")

    async def __call__(self, text: str) -> tuple[int, str]:
        assigned = "\n".join(
            f"{name}={shlex.quote(value)}"
            for name, value in {
                "monitor": self._url,
                "token": TOKEN,
                "who": f"unique_id={UNIQUE}&qualified_repo=acme/widget&run_id=42",
                "out": str(self._folder / "out"),
            }.items()
        )
        done: subprocess.CompletedProcess[bytes] = await trio.run_process(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", f"{assigned}\n{text}"],
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
        return done.returncode, done.stdout.decode() + done.stderr.decode()


@needs_shell
async def test_select_runner_in_a_shell(core: FakeCore, tmp_path: Path) -> None:
    lines = f"""
        {SELECT} "$monitor/select-runner?$who" > "$out"
        jq -e . "$out" > /dev/null && jq -er '.[0].runner.name' "$out"
    """
    async with served(core, tmp_path) as monitor:
        shell = Shell(tmp_path, monitor.addresses[0])
        assert await shell(lines) == (0, "linux.1@here\n")
        core.idle = []
        code, _ = await shell(lines)
        assert code == 1  # jq -e: the answer is null
        core.errors["select"] = Refused("artifact-too-old", "it is too old")
        code, text = await shell(lines)
        assert code == 22  # curl: an HTTP error
        assert "403" in text
        assert json.loads((tmp_path / "out").read_text())["error"] == "artifact-too-old"


@needs_shell
@pytest.mark.parametrize("end", ["take", "take/1"])
async def test_take_in_a_shell(core: FakeCore, tmp_path: Path, end: str) -> None:
    first = "" if end == "take" else ".[0]"
    lines = f"""
        {SELECT} -H "Authorization: Bearer $token" "$monitor/profile/linux/{end}?$who" |
            tee "$out" | jq -e . > /dev/null
        jq -er '{first}.runner.registration.labels[].name' "$out" | grep ^reserved-for:
    """
    async with served(core, tmp_path) as monitor:
        shell = Shell(tmp_path, monitor.addresses[0])
        assert await shell(lines) == (0, f"reserved-for:{UNIQUE}\n")
        core.idle = []
        assert (await shell(lines))[0] == 1
        code, _ = await shell(lines.replace("Bearer $token", "Bearer x"))
        assert code == 22


@needs_shell
async def test_a_guest_that_boots(core: FakeCore, tmp_path: Path) -> None:
    static = {"/image-deps": StaticFolder(path=tmp_path / "deps")}
    (tmp_path / "deps").mkdir()
    (tmp_path / "deps" / "image").write_bytes(b"x" * 3_000_000)
    core.guests["127.0.0.1", None] = FakeGuest(gives="the config")
    lines = f"""
        {CURL} "$monitor/github-jitconfig" | jq -er .
        {CURL} "$monitor/boot"; echo
        {CURL} "$monitor/image-deps/image" -o "$out"
        {CURL} "$monitor/image-deps/image" -o "$out.part" --range 0-999999
        {CURL} "$monitor/image-deps/image" -o "$out.part" --continue-at 1000000
        cmp "$out" "$out.part"
        {CURL} -I "$monitor/image-deps/image" | grep -i ^content-length | tr -d '\\r'
    """
    async with served(core, tmp_path, guest_listen=("127.0.0.1:0",), static=static) as monitor:
        for address in (monitor.guest_addresses[0], monitor.addresses[0]):
            (tmp_path / "out.part").unlink(missing_ok=True)
            code, text = await Shell(tmp_path, address)(lines)
            assert (code, text.lower()) == (0, "the config\nthe config\ncontent-length: 3000000\n")


@needs_shell
async def test_an_override_in_a_shell(core: FakeCore, tmp_path: Path) -> None:
    lines = f"""
        {CURL} -H "Authorization: Bearer $token" -X POST "$monitor/policy/override?linux=2"
        {CURL} "$monitor/policy/override" | jq -e .linux
        {CURL} -H "Authorization: Bearer $token" -X DELETE "$monitor/policy/override"
        {CURL} "$monitor/policy/override"
    """
    async with served(core, tmp_path) as monitor:
        done = await Shell(tmp_path, monitor.addresses[0])(lines)
        assert done == (0, '{"linux": 2}2\n{"linux": 2}null')


async def test_the_program_of_a_queue(core: FakeCore, tmp_path: Path) -> None:
    """It looks at what is idle, and then takes one with the token: an array is the answer."""
    async with served(core, tmp_path) as monitor, client_of(monitor) as client:
        counts = (await client.get("/dashboard.json")).json()["profile_runner_counts"]
        chosen = max(counts, key=lambda key: counts[key]["idle"])
        assert chosen == "linux"
        assert {"idle", "healthy", "target"} <= counts[chosen].keys()
        query = {"unique_id": UNIQUE, "qualified_repo": "acme/widget", "run_id": "42"}
        path = f"/profile/{chosen}/take/1"
        response = await client.post(path, params=query, headers=BEARER)
        found: list[dict[str, Any]] = response.json()
        assert [each["id"] for each in found] == [1]
        core.idle = []
        response = await client.post(path, params=query, headers=BEARER)
        assert response.json() is None
    assert core.calls[0][1][0] == Selection(profile="linux", count=1)


async def test_c49_whoever_hangs_up_leaves_its_place(core: FakeCore, tmp_path: Path) -> None:
    core.gate = trio.Event()
    asked = reserving.PLACES + reserving.QUEUE
    async with served(core, tmp_path) as monitor, client_of(monitor) as client:
        host, _, port = monitor.addresses[0].removeprefix("http://").rpartition(":")
        streams = []
        for number in range(asked):
            path = SELECTED.replace("run_id=42", f"run_id={number + 1}")
            streams.append(await trio.open_tcp_stream(host, int(port)))
            await streams[-1].send_all(f"POST {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        with trio.fail_after(5):
            while len(core.calls) < reserving.PLACES:  # noqa: ASYNC110 - nobody tells
                await trio.sleep(0.02)
        for stream in streams:
            await stream.aclose()
        core.gate = None  # those before still wait for what never comes
        response = await client.post(SELECTED.replace("42", "4242"))
        assert [each["id"] for each in response.json()] == [1]
