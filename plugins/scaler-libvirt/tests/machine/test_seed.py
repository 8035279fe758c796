"""A machine's seed: what guests find on it, for any texts whatever."""

from __future__ import annotations

import io
import json
import re
import shlex
import subprocess
import time
from pathlib import Path
from typing import Any

import pycdlib
import pytest
import yaml  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler_libvirt.machine.identity import domain_name, new_key
from scaler_libvirt.machine.seed import Seed, SeedError, contents, make_seed

UUID = "0d9c1c9c-6a2f-4d4e-9d0c-1c2b3a495867"
HOSTILE = "x'\"$(touch /tmp/x)`id`;\\ #: {}[]&*!|>%@, - y"
anything = st.text(st.characters(exclude_categories=["Cs"]))
printable = anything.filter(str.isprintable)


def seed(**changes: Any) -> Seed:
    values: dict[str, Any] = {
        "uuid": UUID,
        "name": "linux-7-here",
        "url": "http://10.0.0.1:8000/",
        "key": "s3cret",
    }
    return Seed(**{**values, **changes})


def files(iso: bytes, kind: str = "rr_path") -> dict[str, bytes]:
    """What is on a CD, by one of the names that each file has there."""
    opened = pycdlib.PyCdlib()
    opened.open_fp(io.BytesIO(iso))
    found = {}
    for child in opened.list_children(**{kind: "/"}):
        if child.is_dir():
            continue
        if kind == "rr_path":
            name = child.rock_ridge.name().decode()
        else:
            name = child.file_identifier().decode("utf-16-be")
        data = io.BytesIO()
        opened.get_file_from_iso_fp(data, **{kind: f"/{name}"})
        found[name] = data.getvalue()
    opened.close()
    return found


def sourced(env: bytes) -> dict[str, str]:
    """What a shell makes of it."""
    done = subprocess.run(
        ["sh", "-c", "set -a; . /dev/stdin; exec env -0"],
        input=env,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=True,
    )
    pairs = (each.split("=", 1) for each in done.stdout.decode().split("\0") if each)
    return {name: value for name, value in pairs if name.startswith("SCALER_")}


@pytest.mark.parametrize("kind", ["rr_path", "joliet_path"])
def test_every_file_is_found_by_its_own_name(kind: str) -> None:
    told = seed(config="c0nfig", boot="#!/bin/sh\n")
    assert files(make_seed(told), kind) == contents(told)
    names = {"meta-data", "user-data", "scaler.env", "jitconfig", "boot"}
    assert set(contents(told)) == names
    assert set(contents(seed())) == names - {"jitconfig", "boot"}


def test_the_label_is_what_nocloud_looks_for() -> None:
    iso = make_seed(seed())
    assert iso[32769:32774] == b"CD001"
    assert iso[32808:32840].decode().strip() == "cidata"


def test_blkid_sees_the_label(tmp_path: Path) -> None:
    (tmp_path / "seed.iso").write_bytes(make_seed(seed()))
    try:
        told = subprocess.run(
            ["/usr/sbin/blkid", "-p", "-o", "export", tmp_path / "seed.iso"],
            capture_output=True,
            text=True,
            check=True,
        )
    except FileNotFoundError:
        pytest.skip("there is no blkid here")
    assert {"LABEL=cidata", "TYPE=iso9660"} <= set(told.stdout.split())


def test_only_root_of_the_guest_reads_it() -> None:
    opened = pycdlib.PyCdlib()
    opened.open_fp(io.BytesIO(make_seed(seed())))
    modes = [
        child.rock_ridge.get_file_mode()
        for child in opened.list_children(rr_path="/")
        if not child.is_dir()
    ]
    opened.close()
    assert modes == [0o100400] * 3


@given(name=anything, boot=anything, config=anything)
@settings(max_examples=25, deadline=None)
def test_d22_whatever_stands_in_it_is_read_back(name: str, boot: str, config: str) -> None:
    found = files(make_seed(seed(name=domain_name(name), boot=boot, config=config)))
    assert (found["boot"], found["jitconfig"]) == (boot.encode(), config.encode())
    meta = yaml.safe_load(found["meta-data"])
    assert meta == {"instance-id": UUID, "local-hostname": domain_name(name)}


@given(name=anything, uuid=anything)
def test_d22_meta_data_is_two_texts_whatever_they_are(name: str, uuid: str) -> None:
    # JSON has characters that PyYAML refuses; cloud-init's reader is PyYAML too, so by it
    meta = json.loads(contents(seed(name=name, uuid=uuid))["meta-data"])
    assert meta == {"instance-id": uuid, "local-hostname": name}


def test_user_data_is_what_cloud_init_reads() -> None:
    data = contents(seed())["user-data"]
    assert data.startswith(b"#cloud-config\n")
    told = yaml.safe_load(data)
    assert set(told) == {"write_files", "runcmd"}
    script = told["write_files"][0]
    assert script["permissions"] == "0700"
    assert told["runcmd"] == [[script["path"]]]
    assert script["content"].startswith("#!/bin/sh\n")
    assert json.loads(data.split(b"\n", 1)[1]) == told


def test_d27_no_secret_stands_where_cloud_init_keeps_it() -> None:
    told = contents(seed(key="k3y", config="c0nfig"))
    for name in ("user-data", "meta-data"):
        assert b"k3y" not in told[name]
        assert b"c0nfig" not in told[name]
    assert b"c0nfig" not in told["scaler.env"]
    assert "k3y" not in repr(seed(key="k3y", config="c0nfig"))
    assert "c0nfig" not in repr(seed(key="k3y", config="c0nfig"))
    assert "n0nce" not in repr(seed(nonce="n0nce"))


def test_the_sites_own_user_data_has_the_rest_beside_it() -> None:
    told = contents(seed(user_data=b"#cloud-config\nx: \xff\n"))
    assert told["user-data"] == b"#cloud-config\nx: \xff\n"
    assert b"SCALER_KEY=s3cret\n" in told["scaler.env"]


def test_the_environment_has_what_scripts_need() -> None:
    told = seed(profile="linux", runner=7, role="runner", hold=True, nonce="n0")
    assert sourced(contents(told)["scaler.env"]) == {
        "SCALER_URL": "http://10.0.0.1:8000",
        "SCALER_KEY": "s3cret",
        "SCALER_ROLE": "runner",
        "SCALER_HOLD": "1",
        "SCALER_PROFILE": "linux",
        "SCALER_RUNNER": "7",
        "SCALER_NONCE": "n0",
    }


def test_a_reader_of_lines_sees_the_same_as_a_shell() -> None:
    env = contents(seed(key=new_key(), profile="linux"))["scaler.env"]
    lines = dict(line.split("=", 1) for line in env.decode().splitlines())
    assert lines == sourced(env)


@given(key=printable, profile=printable, nonce=printable)
def test_d22_the_environment_is_texts_and_no_commands(key: str, profile: str, nonce: str) -> None:
    env = contents(seed(key=key, profile=profile, nonce=nonce))["scaler.env"].decode()
    words = dict(word.split("=", 1) for word in shlex.split(env))
    assert (words["SCALER_KEY"], words["SCALER_PROFILE"], words["SCALER_NONCE"]) == (
        key, profile, nonce,
    )  # fmt: skip


def test_d22_a_shell_runs_nothing_of_it() -> None:
    assert sourced(contents(seed(key=HOSTILE))["scaler.env"])["SCALER_KEY"] == HOSTILE


@pytest.mark.parametrize("bad", ["a\nb", "a\0b", "\x1b[31m", "\ud800"])
def test_d23_a_line_break_is_refused_and_not_shown(bad: str) -> None:
    with pytest.raises(SeedError, match="SCALER_KEY has a line break") as told:
        make_seed(seed(key=f"s3cret{bad}"))
    assert not re.search("s3cret", repr(told.value))


def test_it_is_made_in_ten_milliseconds() -> None:
    took = []
    for _ in range(10):
        began = time.perf_counter()
        make_seed(seed())
        took.append(time.perf_counter() - began)
    assert min(took) < 0.010
