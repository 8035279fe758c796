"""What is generated works at once: installed, listed, tested, linted and typed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from tests.scaffold.environment import make_environment

from scaler.scaffold import KINDS, named, render, render_file, write_file, write_folder

ROOT = Path(__file__).parent.parent.parent
TESTS = "tests/test_plugin.py"
BUSY = 3  # times as long as on a machine with nothing else to do
LONGEST = "a-name-of-forty-characters-" + "x" * 13


def run(*command: str | Path, at: Path, environ: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command, cwd=at, env=environ, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def packaged(folder: Path) -> list[Path]:
    """What is to be in the distribution."""
    files = (folder / "src/scaler_my_cloud").iterdir()
    return [file for file in files if file.name != "__pycache__"]


def lint(folder: Path) -> None:
    """By the rules of this repository, whatever the generated pyproject.toml asks for."""
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]
    select, ignore = (",".join(rules["lint"][each]) for each in ("select", "ignore"))
    ruff = (sys.executable, "-m", "ruff")
    plain = ("--isolated", f"--line-length={rules['line-length']}", "--target-version=py311")
    own = (f"--select={select}", f"--ignore={ignore}", "--per-file-ignores=tests/**:D1")
    run(*ruff, "check", *plain, *own, ".", at=folder)
    run(*ruff, "format", "--diff", *plain, ".", at=folder)


@pytest.mark.authors
@pytest.mark.parametrize("kind", KINDS)
def test_a_package_is_installed_listed_and_tested(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "scaler-my-cloud"
    write_folder(folder, render(named("my-cloud", {}), kind))
    environ = make_environment(tmp_path / "env")
    run("pip", "install", "-e", ".[test]", at=folder, environ=environ)
    listed = run("scaler", "plugins", at=folder, environ=environ)
    assert re.search(r"^my-cloud +scaler-my-cloud +0\.1\.0 ", listed, re.MULTILINE), listed
    said = run("pytest", "-q", at=folder, environ=environ)
    passed = re.search(r"(\d+) passed in ([\d.]+)s", said)
    assert passed, said
    assert int(passed[1]) == len(re.findall(r"def test_", (folder / TESTS).read_text()))
    assert float(passed[2]) < 10 * BUSY
    wheel = run("pip", "wheel", "--no-deps", "-w", "dist", ".", at=folder, environ=environ)
    assert "scaler_my_cloud-0.1.0-py3-none-any.whl" in wheel
    with zipfile.ZipFile(folder / "dist/scaler_my_cloud-0.1.0-py3-none-any.whl") as packed:
        inside = {each for each in packed.namelist() if each.startswith("scaler_my_cloud/")}
    assert inside == {str(file.relative_to(folder / "src")) for file in packaged(folder)}


@pytest.mark.authors
def test_everything_is_typed(tmp_path: Path) -> None:
    """All of it at once, and as strictly as this repository itself, which is more than it asks."""
    sources = []
    for kind in KINDS:
        name = named(f"my-{kind}", {})
        folder = tmp_path / kind
        write_folder(folder, render(name, kind))
        (folder / TESTS).rename(tmp_path / f"test_{kind}.py")  # two modules of one name cannot be
        write_file(tmp_path / f"single_{kind}.py", render_file(name, kind))
        sources += [folder / "src", tmp_path / f"test_{kind}.py", tmp_path / f"single_{kind}.py"]
    paths = ":".join(str(tmp_path / kind / "src") for kind in KINDS)
    settings = ("--config-file", ROOT / "pyproject.toml", "--cache-dir", ROOT / ".mypy_cache")
    mypy = (sys.executable, "-m", "mypy", "--strict", *settings)
    run(*mypy, *sources, at=tmp_path, environ={**os.environ, "MYPYPATH": paths})


@pytest.mark.authors
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["a", LONGEST])
def test_it_is_well_formed_whatever_its_name_is_long(kind: str, name: str, tmp_path: Path) -> None:
    write_folder(tmp_path / "package", render(named(name, {}), kind))
    lint(tmp_path / "package")
    write_file(tmp_path / "single/plugin.py", render_file(named(name, {}), kind))
    lint(tmp_path / "single")


@pytest.mark.authors
@pytest.mark.parametrize("kind", KINDS)
def test_a_single_file_loads_by_the_settings_it_shows(kind: str, tmp_path: Path) -> None:
    name = named("my-cloud", {})
    file = tmp_path / "plugins/my_cloud.py"
    write_file(file, render_file(name, kind))
    shown = re.search(r"\n\n(\[scaler\].*?)\"\"\"", file.read_text(), re.DOTALL)
    assert shown
    (tmp_path / "scaler.toml").write_text(
        f'{shown[1]}\n[plugins.github]\nurl = "https://github.com/acme"\n'
        'token = { env = "TOKEN" }\n' + ("" if kind == "provisioner" else "[plugins.libvirt]\n")
    )
    environ = {
        **os.environ,
        "TOKEN": "ghp_" + "x" * 36,
        "MYPY_CACHE_DIR": str(ROOT / ".mypy_cache"),
    }
    scaler = (sys.executable, "-m", "scaler")
    listed = run(*scaler, "plugins", "-c", "scaler.toml", at=tmp_path, environ=environ)
    assert re.search(r"^my-cloud +\S+my_cloud\.py .*yes ", listed, re.MULTILINE), listed
