"""`--from-servo`: every value is translated or listed, and the result is one that scaler loads."""

from __future__ import annotations

import copy
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler import FatalError
from scaler_github.init import servo, toml
from scaler_github.init.building import build
from scaler_github.init.collecting import collect
from scaler_github.init.document import Document

from .conftest import load, ran, unaccounted

GIVEN = {"url": ["https://github.com/acme"]}

#: Every key that its monitor has or had.
EVERYTHING: dict[str, Any] = {
    "listen_on": ["::1", "127.0.0.1", "192.168.100.1"],
    "external_base_url": "https://ci0.example.org/",
    "github_api_scope_url": "https://api.github.com/repos/acme/web",
    "github_api_is_forgejo": False,
    "allowed_qualified_repo_prefix": "acme/",
    "github_api_suffix": "ci0",
    "monitor_poll_interval": 5,
    "api_cache_timeout": 45,
    "tokenless_select_artifact_max_age": 200,
    "monitor_start_timeout": 130,
    "monitor_reserve_timeout": 70,
    "monitor_thread_send_timeout": 10,
    "monitor_thread_recv_timeout": 10,
    "destroy_all_non_busy_runners": True,
    "dont_register_runners": True,
    "dont_create_runners": True,
    "main_repo_path": "/srv/web",
    "base_image_max_age": 86400,
    "dont_update_cached_servo_repo": True,
    "libvirt_template_guest_prefix": "ci-template",
    "libvirt_rebuild_guest_prefix": "ci-rebuild",
    "libvirt_runner_guest_prefix": "ci-runner",
    "available_1g_hugepages": 96,
    "available_normal_memory": "16G",
    "queue_member": True,
    "queue": {"servers": ["https://ci0.example.org", "https://ci1.example.org"]},
    "something_new": {"deep": [1, {"er": 2}]},
    "profiles": {
        "linux": {
            "profile_name": "linux",
            "github_runner_label": "self-hosted-image:linux",
            "target_count": 3,
            "image_type": "Rust",
            "requires_1g_hugepages": 24,
            "requires_normal_memory": "1G",
        },
        "Windows_10.new": {
            "configuration_name": "windows10",
            "base_vm_name": "Windows_10.new",
            "base_image_snapshot": "ready",
            "github_runner_label": "self-hosted-image:windows10",
            "target_count": 0,
            "requires_1g_hugepages": 0,
            "requires_normal_memory": "24 G",
        },
    },
}


def written(
    values: Any,
    folder: Path,
    given: dict[str, list[str]] | None = None,
    checkout: Path | None = None,
) -> Document:
    path = folder / "monitor.toml"
    path.write_text(
        "".join(f"{toml.key(key)} = {toml.value(one)}\n" for key, one in values.items())
    )
    assert tomllib.loads(path.read_text()) == values
    found = servo.translate(path, checkout)
    done = collect({} if given is None else given, found.presets, None, found.profiles)
    build(done, found.document, boot_script=True)
    return found.document


def test_everything_that_has_a_counterpart_is_taken(folder: Path) -> None:
    loaded = load(written(EVERYTHING, folder).text(), folder)
    assert loaded.name == "ci0-scaler"  # not ci0: that monitor's runners would be taken for ours
    assert loaded.plugins["github"].url == "https://github.com/acme/web"
    assert loaded.plugins["github"].api_cache_timeout == 45
    (host,) = loaded.plugins["libvirt"].hosts
    assert (host.memory, host.hugepages_1g, host.vcpus) == (16 << 30, 96, None)
    monitor = loaded.plugins["monitor"]
    assert monitor.listen == ("[::1]:8000", "127.0.0.1:8000")
    assert monitor.guest_listen == ("192.168.100.1:8000",)
    assert monitor.external_base_url == "https://ci0.example.org/"
    assert monitor.static["/cache/servo"].dotfiles
    assert loaded.plugins["artifact-select"].allowed_repos == ("acme/*",)
    assert loaded.plugins["artifact-select"].artifact_max_age == 200
    assert list(loaded.profiles) == ["linux", "windows-10-new"]
    linux = loaded.profiles["linux"]
    assert linux.labels == ("self-hosted-image:linux",)
    assert (linux.target_count, linux.max_count, linux.source) == (3, 3, "github")
    assert (linux.start_timeout, linux.reserve_timeout) == (130, 70)
    assert linux.resources == {"memory": 1 << 30, "hugepages_1g": 24}
    assert loaded.profiles["windows-10-new"].resources["memory"] == 24 << 30


#: Taken without being where a setting came from: it is what its table's name says, or the default.
ALLOWED = {"github_api_is_forgejo", "profiles.linux.profile_name"}


def accounted(values: Any, document: Document) -> set[str]:
    lost = unaccounted(values, document, "monitor.toml")
    # (addresses are told by the list that they stand in)
    listed = any("listen_on in monitor.toml" in each for each in document.origins.values())
    return {each for each in lost if not (listed and each.startswith("listen_on["))} - ALLOWED


@st.composite
def monitors(draw: st.DrawFn) -> Any:
    """Some of all keys, a few with values that are no good."""
    values = copy.deepcopy(EVERYTHING)
    tables = [values, *values["profiles"].values()]
    places = [(at, key) for at, table in enumerate(tables) for key in table if key != "profiles"]
    for at, key in draw(st.sets(st.sampled_from(places), max_size=14)):
        del tables[at][key]
    odd = [-1, 0, "", "x y", "\n", True, [], {}, {"a": 1}, "api.github.com", "9" * 40, ["::1", 5]]
    for at, key in draw(st.sets(st.sampled_from(places), max_size=4)):
        tables[at][key] = draw(st.sampled_from(odd))
    return values


@pytest.mark.once
@settings(max_examples=25)
@given(values=monitors())
def test_every_value_is_translated_or_listed(values: Any, folder: Path) -> None:
    document = written(values, folder, GIVEN)
    assert load(document.text(), folder)
    assert accounted(values, document) == set()


def test_a_value_that_is_lost_would_be_found(folder: Path) -> None:
    document = written(EVERYTHING, folder)
    assert accounted(EVERYTHING, document) == set()
    del document.origins["plugins", "github", "api_cache_timeout"]
    document.notes = [note for note in document.notes if note.path != "queue"]
    assert accounted(EVERYTHING, document) == {
        *("api_cache_timeout", "queue.servers[0]", "queue.servers[1]")
    }


@pytest.mark.parametrize(
    ("key", "scope", "url"),
    [
        ("github_api_scope_url", "https://api.github.com/orgs/acme", "https://github.com/acme"),
        (
            "github_api_scope_url",
            "https://ghe.example.org/api/v3/orgs/acme/",
            "https://ghe.example.org/acme",
        ),
        ("github_api_scope_url", "https://api.acme.ghe.com/repos/a/b", "https://acme.ghe.com/a/b"),
        ("github_api_scope", "/repos/acme/web", "https://github.com/acme/web"),
        ("github_api_scope", "/orgs/acme", "https://github.com/acme"),
    ],
)
def test_the_scope_is_what_a_browser_shows(key: str, scope: str, url: str, folder: Path) -> None:
    values = {key: scope, "profiles": {"a": {}}}
    assert written(values, folder).get("plugins", "github", "url") == url


def test_files_of_a_checkout_are_named_where_they_are(folder: Path, tmp_path: Path) -> None:
    there = tmp_path / "profiles/linux"
    there.mkdir(parents=True)
    for name in ("boot-script", "guest.xml"):
        (there / name).write_text("x")
    document = written(EVERYTHING, folder, checkout=tmp_path)
    loaded = load(document.text(), folder)
    assert loaded.profiles["linux"].boot_script == str(there / "boot-script")
    assert loaded.own["libvirt"]["linux"].guest_xml == there / "guest.xml"
    assert loaded.own["libvirt"]["linux"].user_data is None


def test_names_of_profiles_stay_apart(folder: Path) -> None:
    values = {"profiles": {"A": {"target_count": 1}, "a": {"target_count": 2}, "é": {}}}
    document = written(values, folder, GIVEN)
    assert list(document.settings["profiles"]) == ["a", "a-2", "servo"]
    assert load(document.text(), folder)


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        ("", 1, "found no [profiles.…]"),
        ("a = ", 1, "is not TOML"),
        ("\xff", 1, "is not text in UTF-8"),
        ("[profiles.a]\n", 2, "--url"),
        ("github_api_is_forgejo = true\n[profiles.a]\n", 2, "--url"),
        ("a = " + "[" * 5000, 1, "monitor.toml: "),
    ],
    ids=range(6),
)
def test_what_is_no_such_file_is_told(
    text: str, code: int, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "monitor.toml"
    path.write_bytes(text.encode("latin-1"))
    assert ran("--from-servo", str(path), "-o", str(tmp_path / "scaler.toml")) == code
    assert told in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == ["monitor.toml"]


def test_forgejo_is_told_about(folder: Path) -> None:
    values = EVERYTHING | {"github_api_is_forgejo": True}
    notes = written(values, folder, GIVEN).notes
    assert any("scaler-forgejo" in note.instead for note in notes)
    assert any(note.path == "github_api_scope_url" for note in notes)


def test_a_checkout_that_is_none_is_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FatalError, match="found no folder `profiles` in it"):
        written(EVERYTHING, folder, checkout=tmp_path)


def test_one_of_which_none_stands_ready_is_no_mistake(folder: Path) -> None:
    document = written({"profiles": {"a": {"target_count": 0}}}, folder, GIVEN)
    profile = load(document.text(), folder).profiles["a"]
    assert (profile.target_count, profile.max_count) == (0, 1)


@pytest.mark.parametrize(
    "text",
    ["[profiles.{}]\n", "[{0}]\na=1\n[{0}]\n", "[profiles.a.{}]\nb=1\n", "{}\n", "{0}=1\n{0}=2\n"],
)
def test_a_token_in_a_wrong_place_is_not_shown(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"
    path, out = tmp_path / "monitor.toml", tmp_path / "scaler.toml"
    path.write_text(text.format(token))
    ran("--from-servo", str(path), "-o", str(out), "--url", "https://github.com/acme")
    said = capsys.readouterr()
    written = out.read_text() if out.exists() else said.err
    assert written
    assert token.lower() not in (said.out + said.err + written).lower()


def test_a_number_that_nobody_would_mean_is_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "monitor.toml", tmp_path / "scaler.toml"
    path.write_text(f"github_api_suffix = 0x{'f' * 6000}\n[profiles.a]\n")
    told = ["--from-servo", str(path), "-o", str(out), "--url", "https://github.com/acme"]
    assert ran(*told) == 0
    assert "github_api_suffix: " in capsys.readouterr().err


def test_a_secret_in_it_is_not_copied(folder: Path) -> None:
    token = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"
    values: dict[str, Any] = copy.deepcopy(EVERYTHING)
    values |= {"main_repo_path": f"/{token}", "github_api_suffix": token, "monitor_token": token}
    values["external_base_url"] = f"https://ci.example.org/{token}/"
    values["profiles"]["linux"]["github_runner_label"] = token
    document = written(values, folder)
    assert token not in document.text()
    assert token.lower() not in document.text()
