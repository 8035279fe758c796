"""D25: whatever goes wrong, no output has a secret in it, and none can play tricks on who reads it.

A process with a secret in every place that has one, a plugin that tells everything it can get hold
of in every way there is, and a job whose names are made to be printed.
"""

from __future__ import annotations

import json
import re
import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio
from tests.whole.test_process import Process, scaler_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.whole.conftest import Place

TOKENS = ["first-monitor-token-0123456789-abcdefghij", "second-monitor-token-9876543210-zyxwvu"]
EVIL = "\x1b[2J\x1b]0;owned\x07\r\nfake line\u2028\u202eevil<script>alert(1)</script>"
IN_JSON = re.compile("[\x00-\x08\x0b-\x1f]")
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u202e]")

TALKATIVE = '''
"""Tells whatever it knows, by every way that a plugin has."""
import json
import logging

import trio

from scaler import Machine, Panel, Refused, hookimpl


def everything(*known):
    return " ".join(str(each) for each in known)


class Talkative:
    def __init__(self, context):
        self.context = context
        self.secret = open("SECRET").read().strip()
        self.made = {}

    @hookimpl
    async def run_service(self, task_status):
        task_status.started()
        text = f"went to https://x:{self.secret}@example.org/"
        self.context.report(text, ok=False, why=self.secret)
        logging.getLogger("httpx").warning("GET https://example.org/?key=%s", self.secret)
        await trio.sleep(0.3)
        raise ExceptionGroup("many", [ValueError(self.secret), KeyError({"token": self.secret})])

    @hookimpl
    async def provision_runner(self, runner, registration):
        config = registration.config
        self.context.log.info("made %s %r of %s %r", runner, runner, registration, config)
        with open("SECRET.configs", "a") as file:
            print(config.reveal(), file=file)
        self.context.log.info("with %s", config.reveal())
        self.context.log.info("as %s", json.dumps({"token": self.secret}))
        if runner.id % 2:
            raise RuntimeError(f"{self.secret} {config.reveal()} {registration}")
        machine = Machine(id=f"m{runner.id}", runner=runner.id, facts={"note": "plain"})
        self.made[runner.id] = machine
        return machine

    @hookimpl
    async def destroy_runner(self, runner):
        self.made.pop(runner.id, None)

    @hookimpl
    async def list_machines(self):
        return list(self.made.values())

    @hookimpl
    async def on_job_changed(self, job, before):
        self.context.log.warning("job %s", job)
        raise RuntimeError(f"no idea of {job} and {self.secret}")

    @hookimpl
    async def select_runner(self, request):
        raise RuntimeError(self.secret)

    @hookimpl
    async def render_dashboard(self, view):
        return Panel(title="talkative", data={"everything": everything(view)}, html="<p>x</p>")
'''

SETTINGS = """
[scaler]
name = "whole"
state_dir = "{folder}/state"
log = "debug"
tick = "1s"
shutdown_grace = "2s"
plugin_dir = "{folder}/plugins"

[plugins.github]
url = "{url}"
token = {{ file = "{folder}/token" }}
[plugins.actions-queue]
[plugins.talkative]
[plugins.monitor]
listen = ["127.0.0.1:{port}"]
token = [{{ file = "{folder}/first" }}, {{ file = "{folder}/second" }}]

[profiles.linux]
target_count = 1
max_count = 4
[profiles.linux.actions-queue]
"""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def fetch(port: int, method: str, path: str, token: str = "") -> str:
    """What is answered, its headers too; also where it is an error."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    address = f"http://127.0.0.1:{port}{path}"
    request = urllib.request.Request(address, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return f"{answer.headers}\n{answer.read().decode()}"
    except urllib.error.HTTPError as error:
        with error:
            return f"{error.headers}\n{error.read().decode()}"


def asked(folder: Path, **request: Any) -> str:
    """What the control socket answers."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(str(folder / "control.sock"))
        sock.sendall(json.dumps(request).encode() + b"\n")
        with sock.makefile() as lines:
            return lines.readline()


def files(folder: Path) -> Iterator[tuple[str, str]]:
    """What is kept for people."""
    for path in sorted((folder / "evidence").rglob("*")):
        if path.is_file():
            yield str(path), path.read_bytes().decode("utf-8", "replace")


@pytest.mark.once
async def test_d25_no_secret_in_any_output(
    place: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with place() as here:
        port = await _settings(here, tmp_path)
        async with scaler_process(tmp_path / "scaler.toml", "") as scaler:
            await scaler.until(lambda: "talkative: its service failed" in scaler.log, 60)
            here.simulator.queue_jobs("linux", 2, display_name=f"build {EVIL}", workflow=EVIL)
            here.simulator.faults.add("jitconfig", times=1, status=500)
            here.simulator.faults.add("poll", times=1, kind="reset")
            await scaler.until(lambda: scaler.log.count("came to nothing") >= 2, 60)
            await scaler.until(lambda: "no idea of" in scaler.log, 60)
            said = await trio.to_thread.run_sync(_outputs, port, tmp_path / "state")
            await scaler.stop(15)
        said["log"] = scaler.log
        said |= dict(files(tmp_path / "state"))
        configs = (tmp_path / "token.configs").read_text().split()
        assert configs, "no machine was made, so nothing was tried"
        _judge(scaler, said, [here.simulator.token, *TOKENS, *configs, *_issued(here)])


async def _settings(here: Place, folder: Path) -> int:
    port = free_port()
    for name, text in zip(
        ("token", "first", "second"), (here.simulator.token, *TOKENS), strict=True
    ):
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    (folder / "plugins").mkdir()
    code = TALKATIVE.replace("SECRET", str(folder / "token"))
    (folder / "plugins/talkative.py").write_text(code)
    text = SETTINGS.format(folder=folder, url=here.simulator.url, port=port)
    (folder / "scaler.toml").write_text(text)
    return port


def _outputs(port: int, state: Path) -> dict[str, str]:
    said = {}
    pages = ["/", "/dashboard.json", "/dashboard.html", "/metrics", "/readyz", "/healthz"]
    for path in [*pages, "/runner/1/screenshot", "/openapi.json", "/nothing", "/boot"]:
        said[f"GET {path}"] = fetch(port, "GET", path)
    proof = "unique_id=d2719d0e-6bd7-4b21-9fdd-4f3d3a1c9b4e&qualified_repo=acme/x&run_id=7"
    for path in [
        f"/select-runner?{proof}",
        f"/profile/linux/take?{proof}",
        "/policy/override?linux=1",
    ]:
        said[f"POST {path}"] = fetch(port, "POST", path, TOKENS[0])
        said[f"POST {path}, no token"] = fetch(port, "POST", path, "wrong" + TOKENS[1])
    for request in (
        {"command": "status"},
        {"command": "why"},
        {"command": "why", "about": "linux"},
        {"command": "why", "about": "1"},
        {"command": "reload"},
        {"command": "nonsense", "token": TOKENS[0][:5]},
    ):
        said[f"control {request}"] = asked(state, **request)
    return said


def _issued(here: Place) -> Iterator[str]:
    """Every token that GitHub gave out, in all its forms."""
    for token in here.simulator._tokens._known.values():
        yield from (text for text in (token.text, token.ticket) if text and len(text) > 8)


def _judge(scaler: Process, said: dict[str, str], secrets: list[str]) -> None:
    for name, text in said.items():
        for secret in secrets:
            assert secret not in text, (name, text[max(0, text.index(secret) - 300) :][:600])
        # (JSON is for programs, and has its own way of writing them)
        odd = IN_JSON if '{"' in text else CONTROLS
        tricks = odd.search(text.replace("\r\n", "\n"))
        assert not tricks, (name, tricks)
        assert "<script>alert" not in text or '{"' in text, name
    for line in scaler.log.splitlines():
        assert isinstance(json.loads(line), dict), line
    assert any("***" in text for text in said.values()), "nothing was hidden, so nothing was tried"
