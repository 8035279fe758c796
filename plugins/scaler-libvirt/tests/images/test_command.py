"""`scaler images`, with and without a scaler that runs."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scaler import FatalError
from scaler_libvirt.cli import images as module
from scaler_libvirt.cli.images import command
from scaler_libvirt.images.requests import Answer, Box

SETTINGS = """
[scaler]
name = "here"
state_dir = "{folder}/state"
[plugins.github]
url = "https://github.com/acme"
token = {{ env = "A_TOKEN_THAT_IS_NOT_SET" }}
[plugins.libvirt]
hosts = [
  {{ name = "vm1", uri = "test:///default" }},
  {{ name = "vm2", uri = "test:///default" }},
]
[profiles.linux]
max_count = 1
[profiles.linux.github]
[profiles.linux.libvirt]
{disk}
"""

ROWS = [
    {
        "host": host,
        "profile": "linux",
        "live": {"number": 3, "built": 1.0},
        "older": [{"number": 2}, {"number": 1}],
        "text": f"image 3 of 2026-11-03 09:12\x1b[31m on {host}",
    }
    for host in ("vm1", "vm2")
]


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "scaler.toml"
    path.write_text(SETTINGS.format(folder=tmp_path, disk='source_image = "/srv/source.img"'))
    return str(path)


@pytest.fixture
def box(tmp_path: Path) -> Box:
    found = Box(tmp_path / "state" / "plugins" / "libvirt" / "images")
    found.make()
    found.show({"time": time.time(), "images": ROWS})
    return found


@contextmanager
def served(box: Box, answer: Answer | None) -> Iterator[None]:
    """A scaler that runs, and answers."""
    over, lock = threading.Event(), box.serve()

    def serve() -> None:
        while not over.wait(0.01):
            for wish in box.wishes()[0]:
                if answer is not None:
                    box.done(wish, answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        lock.close()


def test_a_table_of_what_there_is(
    config: str, box: Box, capsys: pytest.CaptureFixture[str]
) -> None:
    with served(box, None):
        assert command(["-c", config]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "HOST  PROFILE  OLDER  IMAGE",
        r"vm1   linux    2, 1   image 3 of 2026-11-03 09:12\x1b[31m on vm1",
        r"vm2   linux    2, 1   image 3 of 2026-11-03 09:12\x1b[31m on vm2",
    ]
    assert command(["list", "-c", config, "--host", "vm2"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("scaler does not run; this is how it was at 2")
    assert "vm1" not in text


def test_json_for_programs(config: str, box: Box, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["list", "--json", "-c", config]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["running"], found["images"]) == (False, ROWS)


@pytest.mark.parametrize("arguments", [["rebuild", "linux"], ["back", "linux", "--host", "vm1"]])
def test_a_scaler_that_runs_answers(
    config: str, box: Box, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with served(box, Answer(ok=True, lines=("vm1: it is done",))):
        assert command([*arguments, "-c", config]) == 0
    assert capsys.readouterr().out == "vm1: it is done\n"
    with served(box, Answer(ok=False, lines=("vm1: no", "vm2: no"))):
        with pytest.raises(FatalError, match="vm1: no\nvm2: no"):
            command([*arguments, "-c", config])
        assert command([*arguments, "-c", config, "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {
        "running": True,
        "ok": False,
        "lines": ["vm1: no", "vm2: no"],
    }


def test_without_a_scaler_the_wish_is_kept(
    config: str, box: Box, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["rebuild", "linux", "-c", config]) == 0
    assert "does not run: this is kept" in capsys.readouterr().out
    [wish] = box.wishes()[0]
    assert (wish.action, wish.profile, wish.host) == ("rebuild", "linux", "")


def test_a_scaler_that_does_not_answer(
    config: str, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    with served(box, None), pytest.raises(FatalError, match="has not answered within"):
        command(["rebuild", "linux", "-c", config])


def test_no_way_back_is_said_at_once(config: str, box: Box) -> None:
    box.show({"time": 1.0, "images": [row | {"older": []} for row in ROWS]})
    with pytest.raises(FatalError, match="no older image of linux"):
        command(["back", "linux", "-c", config])
    assert box.wishes() == ([], [])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["rebuild", "linus"], r'found "linus", wanted a profile .*did you mean "linux"'),
        (["rebuild", "linux", "--host", "vm3"], r'found "vm3", wanted a host: vm1, vm2'),
        (["list", "--host", "vm3"], r'found "vm3", wanted a host: vm1, vm2'),
    ],
)
def test_names_that_nobody_has(config: str, box: Box, arguments: list[str], told: str) -> None:
    with pytest.raises(FatalError, match=told):
        command([*arguments, "-c", config])


@pytest.mark.parametrize("action", [["list"], ["rebuild", "linux"]])
def test_a_scaler_that_never_ran(config: str, action: list[str]) -> None:
    with pytest.raises(FatalError, match="has run yet"):
        command([*action, "-c", config])


def test_nothing_that_is_built(tmp_path: Path, config: str) -> None:
    Path(config).write_text(SETTINGS.format(folder=tmp_path, disk='base_image = "/a.img"'))
    with pytest.raises(FatalError, match="give one a source_image"):
        command(["-c", config])
    Path(config).write_text('[scaler]\nname = "here"\nstate_dir = "/tmp/x"\n')
    with pytest.raises(FatalError, match=r"no \[plugins.libvirt\]"):
        command(["-c", config])


@pytest.mark.parametrize("junk", ["", "{", "[]", '{"images": 5}', "[" * 100_000])
def test_a_damaged_status(config: str, box: Box, tmp_path: Path, junk: str) -> None:
    (tmp_path / "state/plugins/libvirt/images/status.json").write_text(junk)
    with pytest.raises(FatalError, match=r"status\.json is"):
        command(["-c", config])


def test_strange_rows_are_shown_as_far_as_they_go(
    config: str, box: Box, capsys: pytest.CaptureFixture[str]
) -> None:
    box.show({"time": "soon", "images": [None, {}, {"older": 5, "host": "vm1", "text": "a\nb"}]})
    assert command(["-c", config]) == 0
    assert "a\\nb" in capsys.readouterr().out


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_who_may_not_is_told_who_may(config: str, box: Box, tmp_path: Path) -> None:
    (tmp_path / "state/plugins/libvirt/images").chmod(0)
    with pytest.raises(FatalError, match="run this as the user"):
        command(["-c", config])


def test_the_system_s_settings_count_where_there_are_none_here(
    config: str,
    box: Box,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setattr(module, "SYSTEM", config)
    assert command(["list"]) == 0
    assert "vm1" in capsys.readouterr().out
    Path("scaler.toml").write_text("")
    with pytest.raises(FatalError, match=r"^scaler\.toml: there is no"):
        command(["list"])


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["rebuild"], ["destroy", "linux"], ["--colour"]):
        with pytest.raises(SystemExit) as stop:
            command(arguments)
        assert stop.value.code == 2
    assert "usage: scaler images" in capsys.readouterr().err
