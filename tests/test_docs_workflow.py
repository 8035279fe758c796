"""The workflow in the docs, step by step, as GitHub would run it."""

from __future__ import annotations

import http.server
import os
import re
import shutil
import subprocess
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parent.parent / "docs/how-to/reserve-runners.md"
MISSING = [tool for tool in ("bash", "curl", "jq") if shutil.which(tool) is None]


def workflow() -> dict[str, Any]:
    found = re.search(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found
    loaded: dict[str, Any] = yaml.safe_load(found[1])
    return loaded


def script(job: str, name: str) -> str:
    steps = workflow()["jobs"][job]["steps"]
    [step] = [each for each in steps if each.get("id", each.get("name")) == name]
    return str(step["run"])


class Monitor(http.server.BaseHTTPRequestHandler):
    """Answers what the test says."""

    answers: list[tuple[int, bytes]]
    asked: list[str]

    def do_POST(self) -> None:
        self.asked.append(self.path)
        status, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def monitor() -> Iterator[tuple[type[Monitor], str]]:
    handler = type("Handler", (Monitor,), {"answers": [], "asked": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield handler, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def run(text: str, folder: Path, **environ: str) -> dict[str, str]:
    """Run a step as a runner does; its outputs."""
    output = folder / "output"
    output.touch()
    known = {
        "PATH": os.environ["PATH"],
        "GITHUB_OUTPUT": str(output),
        "GITHUB_REPOSITORY": "acme/widgets",
        "GITHUB_RUN_ID": "42",
        "no_proxy": "127.0.0.1",
        **workflow()["env"],
        **environ,
    }
    subprocess.run(["bash", "-e", "-c", text], cwd=folder, env=known, check=True, timeout=60)
    return dict(line.split("=", 1) for line in output.read_text().splitlines())


@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
def test_the_proof_says_what_is_looked_at(tmp_path: Path) -> None:
    outputs = run(script("select", "proof"), tmp_path)
    assert uuid.UUID(outputs["unique_id"]).version == 4
    assert (tmp_path / "proof.txt").read_text().splitlines() == [
        f"unique_id={outputs['unique_id']}",
        "qualified_repo=acme/widgets",
        "run_id=42",
        "self_hosted_image_name=bench",
    ]


UNIQUE = "0b0e7f4e-3a51-4c0e-9d52-0a8a6b5b2f11"
RESERVED = {"runner": f"reserved-for:{UNIQUE}", "reserved": "true"}
FALLBACK = {"runner": "ubuntu-latest", "reserved": "false"}


@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
@pytest.mark.parametrize(
    ("answers", "outputs"),
    [
        ([(200, b'[{"id": 7, "runner": {"id": 7}}]')], RESERVED),
        ([(200, b"null")], FALLBACK),
        ([(403, b'{"error": "artifact-too-old"}')], FALLBACK),
        ([(404, b"")], FALLBACK),
        ([(503, b'{"error": "unavailable"}'), (200, b"[{}]")], RESERVED),
        ([(200, b"<html>")], FALLBACK),
    ],
    ids=["given", "none free", "refused", "nothing there", "again", "no answer of ours"],
)
def test_a_runner_or_the_fallback(
    monitor: tuple[type[Monitor], str],
    tmp_path: Path,
    answers: list[tuple[int, bytes]],
    outputs: dict[str, str],
) -> None:
    handler, url = monitor
    handler.answers = answers
    assert run(script("select", "decide"), tmp_path, MONITOR=url, UNIQUE_ID=UNIQUE) == outputs
    query = f"unique_id={UNIQUE}&qualified_repo=acme/widgets&run_id=42"
    assert set(handler.asked) == {f"/select-runner?{query}"}


@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
def test_nobody_listens(tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:9"
    assert run(script("select", "decide"), tmp_path, MONITOR=nowhere, UNIQUE_ID=UNIQUE) == FALLBACK


def test_what_jobs_need_of_each_other_is_there() -> None:
    jobs = workflow()["jobs"]
    outputs = set(jobs["select"]["outputs"])
    used = set(re.findall(r"needs\.select\.outputs\.(\w+)", str(jobs)))
    assert used == outputs
    assert all("timeout-minutes" in job for job in jobs.values())
