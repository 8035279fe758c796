"""`scaler config schema`: which plugins it tells of, and what it says of those that are broken."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from scaler.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GOOD = """
    [scaler]
    plugin_dir = "."
    [plugins.both]
    [plugins.my_other]
    enabled = false
"""


def plugins(capsys: pytest.CaptureFixture[str], *args: str) -> dict[str, Any]:
    assert main(["config", "schema", *args]) == 0
    made = json.loads(capsys.readouterr().out)
    found: dict[str, Any] = made["properties"]["plugins"]["properties"]
    return found


def test_with_settings_it_has_the_plugins_that_they_enable(
    write: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(plugins(capsys, "-c", write(GOOD))) == ["both"]


def test_without_it_has_all_that_are_installed(capsys: pytest.CaptureFixture[str]) -> None:
    found = plugins(capsys)
    assert {"github", "libvirt", "monitor"} <= found.keys()
    assert "memory" in found["libvirt"]["properties"]["hosts"]["items"]["properties"]


def test_all_adds_to_what_is_installed_the_files_of_the_folder_as_they_are_spelt(
    write: Callable[[str], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("my_other", "my_third"):
        (tmp_path / f"{name}.py").write_text((tmp_path / "both.py").read_text())
    path = write(GOOD.replace("    enabled = false\n", ""))
    found = list(plugins(capsys, "-c", path, "--all"))
    assert {"both", "libvirt", "my-third"} <= {*found}
    assert "my_other" in found
    assert "my-other" not in found


def test_d33_only_plugins_that_the_settings_enable_are_imported(
    write: Callable[[str], str], tmp_path: Path
) -> None:
    (tmp_path / "my_other.py").write_text("raise SystemExit('it was imported')")
    code = (
        "import json, sys\nfrom scaler.cli.main import main\n"
        f"code = main(['config', 'schema', '-c', {write(GOOD)!r}])\n"
        "print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    status, modules = json.loads(done.stderr)
    assert status == 0
    assert not {"libvirt", "scaler_libvirt", "scaler_github", "scaler_monitor"} & {*modules}


def test_one_that_is_broken_is_told_and_ends_it_only_where_it_is_enabled(
    write: Callable[[str], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my_other.py").write_text("import nowhere_at_all")
    path = write(GOOD)
    assert main(["config", "schema", "-c", path, "--all"]) == 0
    said = capsys.readouterr()
    assert "plugin my-other: cannot be imported: ModuleNotFoundError" in said.err
    shown = json.loads(said.out)["properties"]["plugins"]["properties"]["my-other"]
    assert shown["description"].startswith("BROKEN: plugin my-other: cannot be imported")
    assert main(["config", "schema", "-c", write(GOOD.replace("enabled = false", ""))]) == 4
    said = capsys.readouterr()
    assert said.out == ""
    assert "plugin my-other: cannot be imported" in said.err


def test_settings_that_no_file_can_fill_are_told(
    write: Callable[[str], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = tmp_path / "both.py"
    both.write_text(both.read_text().replace("class Both:", "class Both:\n    Config = int"))
    assert main(["config", "schema", "-c", write(GOOD)]) == 4
    assert "plugin both: int is not a dataclass" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["config"], 2, "the following arguments are required: ACTION"),
        (["config", "shema"], 2, "invalid choice: 'shema'"),
        (["config", "schema", "-c", "/nowhere/at.toml"], 3, "/nowhere/at.toml: cannot be read"),
    ],
)
def test_what_is_typed_wrongly_is_told(
    args: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(args) == code
    found = capsys.readouterr()
    assert found.out == ""
    assert said in found.err
