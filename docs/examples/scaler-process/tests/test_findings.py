"""What `check` says is missing, each with how to mend it."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from typing import Any

import pytest

from scaler import Size
from scaler_process.findings import findings
from scaler_process.settings import Limits, ProfileConfig


def wrong(folder: Path, **own: Any) -> list[tuple[str, str]]:
    """What is not well with a profile: the need, and the text without the profile's name."""
    own.setdefault("command", ("sleep", "1"))
    found = findings(folder, {"linux": ProfileConfig(**own)})
    assert all(each.fix for each in found if not each.ok)
    return [(each.need, each.text.removeprefix("profile linux: ")) for each in found if not each.ok]


@pytest.fixture(autouse=True)
def _ordinary(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests, this is no root."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """An unpacked runner."""
    folder = tmp_path / "unpacked"
    folder.mkdir()
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    return folder


def test_all_is_well(tmp_path: Path, unpacked: Path) -> None:
    assert wrong(tmp_path) == []
    assert wrong(tmp_path / "to-be-made") == []
    assert wrong(tmp_path, command=("./run.sh",), runner_dir=unpacked) == []


def test_nothing_is_changed(tmp_path: Path, unpacked: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    wrong(tmp_path / "to-be-made", command=("./run.sh",), runner_dir=unpacked)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    assert wrong(tmp_path / "a/b") == []  # it is made with what is above it
    (tmp_path / "file").touch()
    assert wrong(tmp_path / "file/b") == [("required", f"{tmp_path}/file is no folder")]
    tmp_path.chmod(0o555)
    if not os.access(tmp_path, os.W_OK):  # root may
        assert wrong(tmp_path) == [("required", f"the folder {tmp_path} cannot be written to")]


def test_a_command_that_is_not_there(tmp_path: Path, unpacked: Path) -> None:
    assert wrong(tmp_path, command=("no-such",)) == [
        ("required", "no-such is not in /usr/local/bin:/usr/bin:/bin")
    ]
    (unpacked / "run.sh").chmod(0o644)
    assert wrong(tmp_path, command=("./run.sh",), runner_dir=unpacked) == [
        ("required", f"{unpacked}/run.sh is no program")
    ]
    assert wrong(tmp_path, command=("./run.sh",)) == [
        ("required", "./run.sh is to be run in a folder that nothing fills")
    ]


def test_a_runner_that_is_configured_already(tmp_path: Path, unpacked: Path) -> None:
    (unpacked / ".credentials").write_text("{}")
    assert wrong(tmp_path, runner_dir=unpacked) == [
        ("required", f"{unpacked} holds another runner's .credentials")
    ]
    assert wrong(tmp_path, runner_dir=tmp_path / "gone") == [
        ("required", f"{tmp_path}/gone is no folder that can be read")
    ]


def test_a_limit_above_scalers_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (1 << 20, 1 << 20))
    limits = Limits(file_size=Size(2 << 20), open_files=16)
    assert wrong(tmp_path, limits=limits) == [
        ("required", "the limit RLIMIT_FSIZE cannot be 2097152: it is 1048576 here")
    ]


def test_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ("required", "there is no user no-such") in wrong(tmp_path, user="no-such")
    assert ("required", "only root can run jobs as nobody") in wrong(tmp_path, user="nobody")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o700)
    assert ("required", f"nobody may not enter {locked}") in wrong(locked, user="nobody")


def test_root(tmp_path: Path, unpacked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    found = wrong(
        tmp_path, command=("./run.sh",), runner_dir=unpacked, limits=Limits(processes=100)
    )
    assert found == [
        ("useful", "its jobs run as root"),
        ("required", "the official runner refuses to run as root"),
        ("useful", "nothing keeps root within limits.processes"),
    ]


def test_another_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert wrong(tmp_path) == [("required", "this is no Linux of 5.3 or newer")]
