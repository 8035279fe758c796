"""The command: its files, its exit codes, and what it says in the end."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path

import pytest

from scaler import FatalError
from scaler_github.init import command
from scaler_github.init.files import boot_script

from .conftest import ROOT, ran

SAID = ["--url", "https://github.com/acme", "--source-image", "debian.qcow2"]
TOKEN = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_boot_script_is_the_one_of_the_examples() -> None:
    example = ROOT / "docs/examples/guests/cloud-boot.sh"
    assert boot_script() == example.read_text(), "copy it to scaler_github/init/guest"


def test_the_files_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(SAID) == 0
    assert sorted(os.listdir(tmp_path)) == ["cloud-boot.sh", "scaler.toml"]
    assert stat.S_IMODE(Path("scaler.toml").stat().st_mode) == 0o600
    assert Path("cloud-boot.sh").read_text() == boot_script()
    out = capsys.readouterr().out
    steps = [line.split("  # ")[0].strip() for line in out.splitlines() if line.startswith("  ")]
    assert steps == [
        "1. export GITHUB_TOKEN=…",
        "2. scaler check -c scaler.toml",
        "3. scaler run -c scaler.toml",
    ]


def test_it_prints_with_a_dash(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command([*SAID, "-o", "-"]) == 0
    made = tomllib.loads(capsys.readouterr().out)
    assert "boot_script" not in made["profiles"]["linux"]
    assert os.listdir(tmp_path) == []


def test_a_file_that_is_there_stays(capsys: pytest.CaptureFixture[str]) -> None:
    Path("scaler.toml").write_text("mine")
    assert ran(*SAID) == 1
    assert "scaler.toml is there already and stays as it is" in capsys.readouterr().err
    assert Path("scaler.toml").read_text() == "mine"


def test_force_keeps_the_one_that_was_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):  # within one second, too
        Path("scaler.toml").write_text(f"mine {number}")
        assert command([*SAID, "--force"]) == 0
    kept = sorted(tmp_path.glob("scaler.toml.bak-*"))
    assert sorted(path.read_text() for path in kept) == ["mine 0", "mine 1", "mine 2"]
    assert kept[0].name in capsys.readouterr().out
    assert tomllib.loads(Path("scaler.toml").read_text())
    assert len(os.listdir(tmp_path)) == 5


def test_a_link_is_not_replaced() -> None:
    Path("real").write_text("mine")
    Path("scaler.toml").symlink_to("real")
    with pytest.raises(FatalError, match="is no plain file"):
        command([*SAID, "--force"])
    assert Path("real").read_text() == "mine"


def test_a_boot_script_that_is_there_stays(capsys: pytest.CaptureFixture[str]) -> None:
    Path("cloud-boot.sh").write_text("mine")
    assert command(SAID) == 0
    assert Path("cloud-boot.sh").read_text() == "mine"
    assert "cloud-boot.sh was there and stays as it is" in capsys.readouterr().out


def test_nothing_is_left_where_the_settings_cannot_be_written(tmp_path: Path) -> None:
    assert ran(*SAID, "-o", f"{'a' * 250}.toml.long") == 1
    assert os.listdir(tmp_path) == []


def test_a_boot_script_that_was_there_stays_where_the_settings_cannot_be_written(
    tmp_path: Path,
) -> None:
    Path("cloud-boot.sh").write_text("mine")
    assert ran(*SAID, "-o", f"{'a' * 250}.toml.long") == 1
    assert Path("cloud-boot.sh").read_text() == "mine"


def test_no_boot_script_is_written_where_none_is_wanted(tmp_path: Path) -> None:
    assert command([*SAID, "--no-boot-script", "-o", "a.toml"]) == 0
    assert command([*SAID[:2], "--machines", "test", "-o", "b.toml"]) == 0
    assert sorted(os.listdir(tmp_path)) == ["a.toml", "b.toml"]


def test_a_folder_that_is_not_there_is_told() -> None:
    with pytest.raises(FatalError, match="there is no folder nowhere"):
        command([*SAID, "-o", "nowhere/scaler.toml"])


def test_a_folder_that_cannot_be_written_to_is_told() -> None:
    with pytest.raises(FatalError, match=r"cloud-boot.sh cannot be written: "):
        command([*SAID, "-o", "/proc/scaler.toml"])


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        ([], "--url"),
        (["--source-image", "a"], "--url"),
        (["--token", TOKEN], "name the variable that has it"),
        ([f"--token={TOKEN}"], "name the variable that has it"),
        (["--tokn", TOKEN], "unrecognized arguments"),
        ([TOKEN], "unrecognized arguments"),
        ([*SAID, "--token-env", TOKEN], "looks like a token"),
        ([*SAID, "--servo-checkout", "."], "goes with --from-servo"),
        ([*SAID, "--from-servo", "a", "--from-arc", "b"], "not allowed with"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_repeats_no_secret(
    argv: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ran(*argv) == 2
    out, err = capsys.readouterr()
    assert told in err
    assert TOKEN not in out + err
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("said", "step"),
    [
        (["--token-file", "/etc/a b"], "(umask 077; cat > '/etc/a b')"),
        (
            ["--app-client-id", "1", "--app-installation-id", "2"],
            "install -m 600 DOWNLOADED.pem /etc/scaler/app.pem",
        ),
        (["--monitor-token-env", "A_TOKEN_THAT_IS_NOT_SET"], "export A_TOKEN_THAT_IS_NOT_SET=…"),
    ],
)
def test_the_steps_say_how_the_secret_gets_to_its_place(
    said: list[str], step: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command([*SAID, *said]) == 0
    assert step in capsys.readouterr().out
