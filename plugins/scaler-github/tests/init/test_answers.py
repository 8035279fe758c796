"""Whatever is answered, the file that is written is one that scaler loads, and holds no secret."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler_github.init.building import build
from scaler_github.init.collecting import UsageError, collect
from scaler_github.init.document import Document

from .conftest import load

URL = "https://github.com/acme"
QUICK = {"url": [URL], "source_image": ["debian.qcow2"]}

_names = st.from_regex(r"[a-z0-9][a-z0-9-]{0,49}", fullmatch=True)
_sizes = st.builds("{}{}".format, st.integers(1, 999), st.sampled_from("MGT"))
_hosts = st.builds(
    lambda uri, options: ",".join([uri, *options]),
    st.sampled_from(
        [
            "qemu:///system",
            "qemu+ssh://scaler@vm2.example.org/system?no_verify=1",
            "qemu+tls://h/system",
        ]
    ),
    st.tuples(
        st.builds("memory={}T".format, st.integers(1, 9)),
        st.builds("vcpus={}".format, st.one_of(st.integers(64, 999), st.just("none"))),
        st.sampled_from(["network=default", "network=br 0", "hugepages_1g=7"]),
    ),
)


@st.composite
def answered(draw: st.DrawFn) -> dict[str, list[str]]:
    """What flags may say, with nothing that goes against the rest."""
    said: dict[str, list[str]] = {
        "url": [
            draw(
                st.sampled_from(
                    [
                        URL,
                        f"{URL}/web",
                        "https://github.com/enterprises/acme/",
                        "http://127.0.0.1:8/a",
                    ]
                )
            )
        ]
    }
    match draw(st.sampled_from(["env", "file", "app", "none"])):
        case "env":
            said["token_env"] = [draw(st.from_regex(r"[A-Z_][A-Z_]{0,30}", fullmatch=True))]
        case "file":
            said["token_file"] = ["token"]
        case "app":
            said |= {"app_client_id": ["Iv23liAbCdEf"], "app_installation_id": ["42"]}
    some = {
        "name": _names,
        "state_dir": st.sampled_from(["/var/lib/scaler", "/tmp/a b", '/tmp/"quoted"', "/tmp/ä"]),
        "profile": _names,
        "scale_set": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,20}[a-z]", fullmatch=True),
        "runner_group": st.sampled_from(["default", "Big Machines"]),
        "max_lifetime": st.sampled_from(["6h", "90m", "1d12h"]),
        "max_count": st.integers(50, 99).map(str),
        "target_count": st.integers(0, 50).map(str),
        "runner_memory": st.integers(1, 900).map("{}G".format),
        "runner_vcpus": st.integers(1, 12).map(str),
        "monitor_token_env": st.just("MONITOR_API_TOKEN"),
    }
    for key, values in some.items():
        if draw(st.booleans()):
            said[key] = [draw(values)]
    if draw(st.booleans()):
        said["labels"] = draw(
            st.lists(
                st.sampled_from(["gpu", "self-hosted-image:linux", "ä"]), min_size=1, max_size=3
            )
        )
    if draw(st.booleans()):
        said["listen"] = draw(
            st.sampled_from(
                [["[::1]:8000", "0.0.0.0:80"], ["unix:/run/s.sock"], ["ci.example.org:0"]]
            )
        )
    if draw(st.booleans()):
        said["machines"] = ["test"]
        for key in ("runner_memory", "runner_vcpus"):
            said.pop(key, None)
        return said
    said["hosts"] = draw(st.lists(_hosts, min_size=1, max_size=3))
    if draw(st.booleans()):
        said["source_image"] = [draw(st.sampled_from(["a.qcow2", "/srv/a b.raw"]))]
        if draw(st.booleans()):
            said["disk_size"] = [draw(_sizes)]
    else:
        said["base_image"] = ["/srv/base.qcow2"]
    if draw(st.booleans()):
        said["guest_listen"] = draw(
            st.sampled_from([["none"], ["192.168.7.1:1", "[fd00::1]:8000"]])
        )
    return said


def written(said: dict[str, list[str]], *, boot_script: bool = True) -> str:
    document = Document(head=["A head."])
    build(collect(said, {}, None), document, boot_script=boot_script)
    return document.text()


@pytest.mark.once
@settings(max_examples=25)
@given(said=answered(), script=st.booleans())
def test_every_file_that_can_be_written_is_loaded(
    said: dict[str, list[str]], script: bool, folder: Path, key_file: Path
) -> None:
    if "app_client_id" in said:
        said["app_key_file"] = [str(key_file)]
    loaded = load(written(said, boot_script=script), folder)
    (profile,) = loaded.profiles.values()
    assert profile.source == "actions-queue"
    assert profile.max_count >= 1
    assert loaded.name == said.get("name", [loaded.name])[0]
    if "labels" in said:
        assert set(profile.labels) == set(said["labels"])


_OFF = re.compile(r"^#(\[.*\]|[\w-]+ = .*)$")


def off_lines(text: str) -> list[list[int]]:
    """The settings that are off, by their lines; a table that is off with all that is below it."""
    found: list[list[int]] = []
    for number, line in enumerate(text.splitlines()):
        if _OFF.match(line):
            table = found and found[-1][-1] == number - 1
            if table and text.splitlines()[found[-1][0]].startswith("#["):
                found[-1].append(number)
            else:
                found.append([number])
    return found


@pytest.mark.parametrize(
    "said", [QUICK, {"url": [URL], "machines": ["test"]}], ids=["libvirt", "test driver"]
)
def test_every_setting_that_is_off_may_be_switched_on(
    said: dict[str, list[str]], folder: Path
) -> None:
    text = written(said, boot_script=False)
    lines = text.splitlines()
    groups = off_lines(text)
    assert len(groups) > 12
    for group in groups:
        changed = [line[1:] if at in group else line for at, line in enumerate(lines)]
        load("\n".join(changed), folder)
    switched = {at for group in groups for at in group}
    load("\n".join(line[1:] if at in switched else line for at, line in enumerate(lines)), folder)


def test_every_setting_that_is_on_is_explained() -> None:
    lines = written(QUICK).splitlines()
    for at, line in enumerate(lines):
        if re.match(r"[\w-]+ = ", line):
            assert lines[at - 1].startswith("# "), line


def test_without_a_terminal_defaults_count() -> None:
    made = tomllib.loads(written(QUICK))
    assert made["plugins"]["github"]["token"] == {"env": "GITHUB_TOKEN"}
    assert made["plugins"]["libvirt"]["hosts"][0]["uri"] == "qemu:///system"
    assert made["profiles"]["linux"]["actions-queue"]["scale_set"] == "linux"
    assert made["profiles"]["linux"]["boot_script"] == "cloud-boot.sh"


def test_what_is_missing_and_what_is_wrong_is_told_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        collect({"name": ["A_B"], "hosts": ["qemu+ssh://vm2/system"]}, {}, None)
    told = str(caught.value)
    assert '--name: found "A_B"' in told
    for flag in (
        "--url",
        "--source-image",
        "--host qemu+ssh://vm2/system,memory=…",
        "--host qemu+ssh://vm2/system,vcpus=…",
    ):
        assert f"  {flag}" in told


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"url": ["github.com/acme"]}, "--url: found 'github.com/acme': not a web address"),
        ({"token_file": ["/etc/"]}, '--token-file: found "/etc/", which names a folder'),
        ({"name": ["x" * 51]}, "wanted lower-case letters"),
        ({"state_dir": ["state"]}, 'found "state", wanted its whole path'),
        ({"machines": ["kvm"]}, 'found "kvm", wanted libvirt or test'),
        ({"hosts": ["vm1"]}, 'found "vm1", wanted a URI of libvirt'),
        ({"hosts": ["qemu:///system,ram=4G"]}, 'found "ram=4G" behind qemu:///system'),
        ({"hosts": ["qemu:///system,memory=4"]}, "wanted a unit too, such as 4G"),
        ({"hosts": ["qemu:///system,memory=0G"]}, 'found "0G", wanted 1M or more'),
        ({"hosts": ["qemu:///a,name=a", "qemu:///b,name=a"]}, "two hypervisors of one name"),
        ({"target_count": ["9"], "max_count": ["3"]}, "found 3, wanted 9 or more"),
        ({"hosts": ["qemu:///a,memory=2G"], "runner_memory": ["3G"]}, "wanted 2G at most"),
        ({"hosts": ["qemu:///a,vcpus=2"], "runner_vcpus": ["3"]}, "wanted 2 at most"),
        ({"labels": ["reserved-for:me"]}, "which scaler puts and deletes itself"),
        ({"listen": ["8000"]}, "wanted HOST:PORT"),
        ({"listen": ["[::g]:8000"]}, "wanted HOST:PORT"),
        ({"listen": ["a:1"], "guest_listen": ["a:1"]}, "guests get another"),
        ({"source_image": ["images/a.qcow2"]}, "wanted a whole path on the hypervisor"),
        ({"source_image": ["a"], "base_image": ["b"]}, "wanted one of them"),
        ({"token_env": ["A"], "token_file": ["b"]}, "found --token-env and --token-file"),
        ({"token_env": ["A-B"]}, "wanted the name of an environment variable"),
        (
            {"app_installation_id": ["0"], "app_client_id": ["x"]},
            "wanted a whole number, 1 or more",
        ),
        ({"machines": ["test"], "disk_size": ["1G"]}, "--disk-size: does not go with"),
        ({"max_lifetime": ["0s"]}, "wanted more than 0"),
    ],
)
def test_a_wrong_flag_is_told_with_what_was_wanted(said: dict[str, list[str]], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        collect(QUICK | said, {}, None)
    assert told in str(caught.value)


def test_a_secret_is_refused_wherever_it_is_written_and_never_repeated() -> None:
    token = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"
    keys = ("url", "token_env", "token_file", "name", "profile", "source_image", "labels", "listen")
    for key in keys:
        with pytest.raises(UsageError) as caught:
            collect(QUICK | {key: [token]}, {}, None)
        assert "looks like a token" in str(caught.value)
        assert token not in str(caught.value)
