"""Which settings file is read where none is named, and what of it finds a scaler that runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scaler import SettingsError
from scaler.cli import places
from scaler.cli.main import main
from scaler.settings.where import look_scaler

pytestmark = pytest.mark.once


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "etc").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def test_the_file_here_comes_first_and_then_the_systems() -> None:
    with pytest.raises(SettingsError) as caught:
        places.settings_file(None)
    (told,) = caught.value.problems
    assert f"no scaler.toml in {os.getcwd()}, and no {places.SYSTEM}: name" in told
    assert places.any_settings_file(None) is None
    Path(places.SYSTEM).write_text("")
    assert places.settings_file(None) == places.SYSTEM
    Path("scaler.toml").write_text("")
    assert places.settings_file(None) == "scaler.toml"
    assert places.settings_file("other.toml") == "other.toml"


def test_a_link_that_leads_nowhere_was_meant() -> None:
    Path(places.SYSTEM).write_text("")
    Path("scaler.toml").symlink_to("gone.toml")
    assert places.settings_file(None) == "scaler.toml"


def test_a_folder_that_was_deleted_is_no_traceback(tmp_path: Path) -> None:
    os.rmdir(tmp_path / "here")
    with pytest.raises(SettingsError, match="name the settings with -c"):
        places.settings_file(None)


@pytest.mark.parametrize("command", [["run"], ["check"], ["status"], ["pause", "linux"]])
def test_every_command_names_both_where_there_is_neither(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command) == 3
    said = capsys.readouterr().err
    assert "there is no scaler.toml in " in said
    assert places.SYSTEM in said


def test_plugins_and_config_go_by_the_file_that_is_here(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("scaler.toml").write_text("[plugins.monitor]\n")
    assert main(["plugins", "monitor", "libvirt"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[3] for line in lines[1:]] == ["yes", "no"]
    assert main(["config", "schema"]) == 0
    assert "qemu" not in capsys.readouterr().out


# --- of which scaler it speaks --------------------------------------------------------------


def where(text: str) -> tuple[str, Path]:
    Path("scaler.toml").write_text(text)
    found = look_scaler("scaler.toml")
    return found.name, found.state_dir


def test_only_two_keys_are_looked_at() -> None:
    text = """
        nonsense = 1
        [scaler]
        name = "vm"
        state_dir = "state"
        tick = "never"
        stat_dir = 7
        [plugins.nowhere]
        token = { file = "gone" }
        [profiles]
        linux = 3
    """
    assert where(text) == ("vm", Path.cwd() / "state")


def test_what_is_left_out_has_its_default() -> None:
    name, folder = where("")
    assert name
    assert folder == Path("/var/lib/scaler")


@pytest.mark.parametrize(
    "text",
    [
        "[scaler]\nstate_dir = 'state'\n[profiles.linux\n",
        "x = \n[scaler] # mine\r\nstate_dir = 'state'\r\n",
        "[plugins.a]\nb = 'c\n  [ scaler ]\nname = 'n'\nstate_dir = 'state'\n  [profiles.x]\nx\n",
    ],
)
def test_one_table_is_read_where_the_others_are_no_toml(text: str) -> None:
    Path("scaler.toml").write_bytes(text.encode())
    found = look_scaler("scaler.toml")
    assert found.state_dir == Path.cwd() / "state"
    assert "is not TOML" in found.trouble
    assert not found.profiles


def test_it_is_not_guessed_where_that_is_not_clear() -> None:
    for text in (
        "[scaler]\nstate_dir = 'a'\n[scaler]\nstate_dir = 'b'\n",
        "[scaler]\nstate_dir = 'a\n",
        "[plugins.a\nstate_dir = 'a'\n",
        "x = [\n# [scaler]\nstate_dir = 'a'\n",
        "[scaler]\nname = 'n'\n[oops\nstate_dir = 'a'\n",
        "x = '''\n[scaler]\nstate_dir = 'a'\n'''\n[scaler\n",
    ):
        with pytest.raises(SettingsError, match="is not TOML"):
            where(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("scaler = 1", "scaler.toml:1: scaler: found 1, wanted a table"),
        ("[scaler]\nstate_dir = 1", "scaler.toml:2: scaler.state_dir: found 1, wanted a path"),
        ("[scaler]\nname = ''\nstate_dir = ''", "scaler.toml:2: scaler.name: found"),
        ("[scaler", "scaler.toml:1: is not TOML"),
    ],
)
def test_what_is_wrong_of_them_is_told(text: str, told: str) -> None:
    with pytest.raises(SettingsError) as caught:
        where(text)
    assert caught.value.problems[0].startswith(told)
