"""What the pages say of `scaler init`: its help, its keys, and the commands of both moves."""

from __future__ import annotations

import fnmatch
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import trio
import yaml  # type: ignore[import-untyped]

from scaler_github.init import command
from scaler_github.testing import Simulator

from .conftest import ROOT
from .test_arc import EVERYTHING as VALUES
from .test_arc import written as from_arc
from .test_servo import EVERYTHING as MONITOR
from .test_servo import written as from_servo

pytestmark = pytest.mark.once

REFERENCE = (ROOT / "docs/reference/init.md").read_text()
ARC = (ROOT / "docs/how-to/move-from-arc.md").read_text()
SERVO = (ROOT / "docs/how-to/move-from-servo.md").read_text()


def unspaced(text: str) -> str:
    """A help text, no matter how a Python folds it and writes its options."""
    text = re.sub(r"(-\w) (\S+), (--\S+) \2", r"\1, \3 \2", text)
    return re.sub(r"\s+", "", text)


def test_the_help_is_as_the_reference_shows_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command(["--help"])
    found = re.search(r"```console\n\$ scaler init --help\n(.*?)```", REFERENCE, re.DOTALL)
    assert found
    assert unspaced(found[1]) == unspaced(capsys.readouterr().out)


def told(heading: str) -> set[str]:
    """The other system's keys in a section's table."""
    section = REFERENCE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE)
    return {key for row in rows for key in re.findall(r"`([^`]+)`", row)}


def fits(key: str, patterns: set[str]) -> bool:
    plain = re.sub(r"\[\d+\]", ".0", key)
    return any(fnmatch.fnmatchcase(plain, pattern) for pattern in patterns)


def test_the_tables_of_keys_are_what_is_translated(folder: Path) -> None:
    older = MONITOR | {"github_api_scope": "/orgs/acme"}
    del older["github_api_scope_url"]
    http = VALUES | {"proxy": {"http": VALUES["proxy"]["http"]}}
    requests = {"containers": [{"name": "runner", "resources": {"requests": {"cpu": 1}}}]}
    for heading, file, documents in (
        (
            "From a monitor.toml",
            "monitor.toml",
            [from_servo(MONITOR, folder), from_servo(older, folder)],
        ),
        (
            "From a values.yaml",
            "values.yaml",
            [
                from_arc(VALUES, folder, {"app_key_file": ["x"]}),
                from_arc(http, folder, {"app_key_file": ["x"]}),
                from_arc({"template": {"spec": requests}}, folder),
            ],
        ),
    ):
        texts = [
            text
            for document in documents
            for text in (*document.origins.values(), *(why for _, why in document.later.values()))
        ]
        used = {found for text in texts for found in re.findall(rf"(\S+) in {file}", text)}
        used -= {f"profiles.{key}" for key in MONITOR["profiles"]}  # where a whole table is from
        assert len(used) > 10
        assert [key for key in used if not fits(key, told(heading))] == []
        assert [each for each in told(heading) if not any(fits(key, {each}) for key in used)] == []


def commands(page: str) -> list[list[str]]:
    """The `scaler init` of a page's blocks, as a shell would have them."""
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", page, re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line.split()[:1] == ["scaler"]]


async def check(folder: Path, words: list[str], environ: dict[str, str]) -> str:
    done = await trio.run_process(
        [sys.executable, "-m", *words],
        cwd=folder,
        env=os.environ | environ,
        stdin=subprocess.DEVNULL,
        capture_stdout=True,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return done.stdout.decode()


async def played(folder: Path, page: str) -> str:
    """Run a page's `scaler init` and `scaler check` in a folder; answer what was checked."""
    simulator, said = Simulator(), ""
    async with trio.open_nursery() as nursery:
        await nursery.start(simulator.serve)
        with trio.fail_after(120):
            for words in commands(page):
                # GitHub is the simulator, no hypervisor of this machine is asked, and the state
                # is kept here
                words = [word.replace("qemu:///system", "test:///default") for word in words]
                extra = ["--url", simulator.url, "--state-dir", str(folder / "state")]
                if "--host" not in words:
                    extra += ["--host", "test:///default,memory=8G,vcpus=4"]
                if words[1] == "init":
                    assert command([*words[2:], *extra]) == 0
                elif words[1] == "check":
                    said = await check(folder, words, {"GITHUB_TOKEN": simulator.token})
        nursery.cancel_scope.cancel()
    return said


def test_the_commands_of_the_move_from_arc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    values = re.search(r"```yaml\n(.*?)```", ARC, re.DOTALL)
    assert values
    text = re.sub(r"^   ", "", values[1], flags=re.MULTILINE)
    assert yaml.safe_load(text)
    (tmp_path / "values.yaml").write_text(text)
    said = trio.run(played, tmp_path, ARC)
    made = capsys.readouterr().err
    listed = re.search(r"```text\n(.*?)```", ARC, re.DOTALL)
    assert listed
    for line in listed[1].splitlines():
        assert line.strip().partition("…")[0].strip() in made
    file = (tmp_path / "scaler.toml").read_text()
    assert 'scale_set = "arc-linux-scaler"' in file
    assert "target_count = 1\n" in file
    assert "max_count = 10\n" in file
    assert "profile arc-linux" in said
    assert "1 to 10 runners, registered by actions-queue, made by libvirt" in said


def test_the_commands_of_the_move_from_servo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    there = tmp_path / "ci-runners/profiles/servo-ubuntu2204"
    there.mkdir(parents=True)
    script = "curl http://192.168.100.1:8000/boot\n"
    (there / "boot-script").write_text(script)
    values = {
        **{key: MONITOR[key] for key in MONITOR if key != "profiles"},
        "profiles": {"servo-ubuntu2204": MONITOR["profiles"]["linux"]},
    }
    from_servo(values, tmp_path)
    said = trio.run(played, tmp_path, SERVO)
    made = capsys.readouterr().err
    file = (tmp_path / "scaler.toml").read_text()
    assert "listen_on in monitor.toml, with that monitor's port: not taken" in made
    assert 'listen = ["127.0.0.1:8001"]' in file
    assert 'memory = "8G", hugepages_1g = 48, network = "cinet"' in file
    assert list(tmp_path.glob("scaler.toml.bak-*"))
    assert "profile servo-ubuntu2204" in said
    assert "3 runners, registered by github, made by libvirt" in said
    sed = re.search(r"^sed .*?\n.*?$", SERVO, re.MULTILINE)
    assert sed
    subprocess.run(["sh", "-ec", sed[0]], cwd=tmp_path, check=True)
    assert (tmp_path / "servo-ubuntu2204.boot").read_text() == script.replace("8000", "8001")
