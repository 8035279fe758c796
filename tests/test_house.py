"""Set-up, pins and the runner of the tiers: what `make demo` and `make test` stand on."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
OURS = {
    *("scaler", "scaler-github", "scaler-libvirt", "scaler-monitor"),
    *("scaler-forgejo", "scaler-process"),
}
BASICS = ("cat", "cksum", "dirname", "realpath", "sed", "flock", "rm")


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import a script of tools/ by its name."""
    monkeypatch.syspath_prepend(ROOT / "tools")

    def load(name: str) -> Any:
        spec = importlib.util.spec_from_file_location(f"tools_{name}", ROOT / f"tools/{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        return module

    return load


# --- pins ------------------------------------------------------------------------------


def pins() -> dict[str, str]:
    """The versions that constraints.txt gives for this Python."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    requirements = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {
        canonicalize_name(each.name): str(each.specifier).removeprefix("==")
        for each in requirements
        if each.marker is None or each.marker.evaluate()
    }


def test_everything_installed_is_pinned_at_the_version_it_has() -> None:
    installed = {
        canonicalize_name(each.metadata["Name"]): each.version
        for each in importlib.metadata.distributions()
    }
    beside = OURS | {"pip", "setuptools", "wheel"}  # of the environment, not of the project
    assert {name: version for name, version in installed.items() if name not in beside} == {
        name: version
        for name, version in pins().items()
        if name in installed and name not in beside
    }


def test_merged_pins_differ_only_where_pythons_do(tool: Any) -> None:
    merged = tool("pin").merge(
        {
            "3.11": {"trio": "1", "quart": "1", "old": "1", "sphinx": "1"},
            "3.12": {"trio": "1", "quart": "1", "sphinx": "2"},
            "3.13": {"trio": "1", "quart": "2", "sphinx": "3"},
        }
    )
    assert merged.splitlines() == [
        "old==1",
        'quart==1; python_version < "3.13"',
        'quart==2; python_version >= "3.13"',
        'sphinx==1; python_version < "3.12"',
        'sphinx==2; python_version >= "3.12" and python_version < "3.13"',
        'sphinx==3; python_version >= "3.13"',
        "trio==1",
    ]


# --- the tiers -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        ("==== 3 failed, 120 passed in 12.34s ====", {"failed": 3, "passed": 120}),
        ("\x1b[32m=== \x1b[1m4 passed\x1b[0m in 61.20s (0:01:01) ===", {"passed": 4}),
        ("2 passed, 1 xfailed, 1 error in 0.02s", {"passed": 2, "xfailed": 1, "error": 1}),
        ("py311: 3 passed", None),
        ("tests/test_x.py ....  [100%]", None),
    ],
)
def test_closing_line_of_pytest_is_understood(
    tool: Any, line: str, counts: dict[str, int] | None
) -> None:
    assert tool("test").closing_counts(line) == (None if counts is None else Counter(counts))


def test_a_tier_that_was_asked_for_and_cannot_run_fails(
    tool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = tool("test")
    absent = tool("pythons").Found(why_not="no python3.13 on this machine")
    monkeypatch.setattr(test, "find", lambda _version: absent)
    default = test.run_tier("py313", required=False)
    asked = test.run_tier("py313", required=True)
    assert (default.outcome, default.note) == ("not run", "no python3.13 on this machine")
    assert asked.outcome == "FAILED"
    assert test.exit_code([default]) == 1, "nothing ran, so nothing passed"
    assert test.exit_code([default, test.Result(tier="lint", outcome="passed")]) == 0
    assert test.exit_code([asked, test.Result(tier="lint", outcome="passed")]) == 1


def test_laws_take_all_their_examples_on_the_first_python_that_ran(
    tool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    test, pythons = tool("test"), tool("pythons")
    here = pythons.Found(path=Path(sys.executable))
    absent = pythons.Found(why_not="no python3.11 on this machine")
    seen: list[tuple[str, str | None]] = []

    def run(command: list[str], environ: dict[str, str]) -> tuple[int, Counter[str] | None]:
        tier = command[3]
        seen.append((tier, environ.get("HYPOTHESIS_PROFILE")))
        return 0, Counter(passed=1) if tier.startswith("py") else None

    monkeypatch.delenv("HYPOTHESIS_PROFILE", raising=False)
    monkeypatch.delenv("TIERS", raising=False)
    monkeypatch.setattr(test, "find", lambda version: absent if version == "3.11" else here)
    monkeypatch.setattr(test, "run", run)
    monkeypatch.setattr(test, "stale", lambda _tier: False)
    monkeypatch.setattr(test, "mark_fresh", lambda _tier: None)
    assert test.main() == 0
    assert seen[3:] == [("py312", None), ("py313", "few")]
    monkeypatch.setenv("HYPOTHESIS_PROFILE", "scaler")
    assert test.main() == 0
    assert seen[-1] == ("py313", "scaler"), "what was asked for counts more"


def test_a_tier_that_nobody_knows_is_told_with_those_there_are(
    tool: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIERS", "lint py310")
    assert tool("test").main() == 1
    assert capsys.readouterr().out == (
        "TIERS: found py310, wanted some of lint, type, docs, py311, py312, py313, authors, "
        "operating, faults, crash, browser, vm, fresh, bench\n"
    )


def test_a_python_that_does_not_run_is_not_there(
    tool: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path / "python3.12", "echo 'pyenv: python3.12: command not found' >&2; exit 127")
    script(tmp_path / "python3.13", "echo 3.13; echo False")
    monkeypatch.setenv("PATH", str(tmp_path))
    pythons = tool("pythons")
    assert pythons.find("3.12").why_not == "no python3.12 on this machine"
    assert "has no headers (Python.h)" in pythons.find("3.13").why_not


def test_a_python_among_those_of_pyenv_is_found(
    tool: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path / "bin/pyenv", f"echo {tmp_path}")
    script(tmp_path / "versions/3.12.9/bin/python3.12", "echo 3.12; echo True")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    found = tool("pythons").find("3.12")
    assert found.path == tmp_path / "versions/3.12.9/bin/python3.12"


# --- set-up ----------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What set-up reads, with a PATH of the basic tools alone in bin/."""
    for path in ["tools/setup", "constraints.txt", "pyproject.toml", "Makefile"]:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    for file in ROOT.glob("plugins/*/pyproject.toml"):
        copy = tmp_path / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True)
        shutil.copy(file, copy)
    (tmp_path / "bin").mkdir()
    for name in BASICS:
        if where := shutil.which(name):
            (tmp_path / "bin" / name).symlink_to(where)
    script(tmp_path / "bin/id", "echo 1000")
    return tmp_path


def script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def set_up(checkout: Path, **variables: str) -> tuple[int, str]:
    done = subprocess.run(
        ["/bin/sh", "tools/setup"],
        cwd=checkout,
        env={"PATH": str(checkout / "bin"), **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stderr


OLD = 'case "$2" in *print*) echo 3.9.2;; *) exit 1;; esac'


def test_a_python_that_is_too_old_is_named_with_what_to_do(checkout: Path) -> None:
    script(checkout / "bin/python3", OLD)
    code, said = set_up(checkout)
    assert code != 0
    assert "python3 is Python 3.9.2, and scaler needs 3.11 or newer" in said
    assert "PYTHON=python3.12 make test" in said


def test_a_python_that_was_chosen_and_is_too_old_is_named(checkout: Path) -> None:
    script(checkout / "bin/python3.9", OLD)
    code, said = set_up(checkout, PYTHON="python3.9")
    assert code != 0
    assert "PYTHON=python3.9 is Python 3.9.2, and scaler needs 3.11 or newer" in said


def test_no_python_at_all_is_said(checkout: Path) -> None:
    code, said = set_up(checkout)
    assert code != 0
    assert "there is no python3" in said


def real_python(checkout: Path) -> None:
    base = os.path.realpath(sys.executable)
    script(checkout / "bin/python3", f'exec "{base}" "$@"')


def test_an_ordinary_user_is_told_the_command(checkout: Path) -> None:
    real_python(checkout)
    script(checkout / "bin/apt-get", "echo 'apt-get was run' >&2")
    code, said = set_up(checkout)
    assert code != 0
    assert re.search(
        r"^setup: +sudo apt-get install --no-install-recommends pkg-config libvirt-dev gcc\b",
        said,
        re.MULTILINE,
    )
    assert "apt-get was run" not in said
    assert not (checkout / ".venv").exists()


def test_a_system_without_apt_is_told_what_is_missing(checkout: Path) -> None:
    real_python(checkout)
    code, said = set_up(checkout)
    assert code != 0
    assert "missing here: pkg-config libvirt-dev gcc" in said


def test_ctrl_c_in_the_middle_is_told_in_words(checkout: Path) -> None:
    interrupted = "echo Traceback >&2; trap - INT; kill -INT 0"  # as Ctrl-C, to the whole group
    script(
        checkout / "bin/python3",
        f'case "$*" in "-m venv"*) {interrupted};; *include*) echo "$PWD";; *) echo 3.12;; esac',
    )
    (checkout / "Python.h").touch()
    for name in ("gcc", "pkg-config"):
        script(checkout / "bin" / name, "exit 0")
    (checkout / "bin/mkdir").symlink_to(shutil.which("mkdir") or "")
    done = subprocess.run(
        ["/bin/sh", "tools/setup"],
        cwd=checkout,
        env={"PATH": str(checkout / "bin")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        start_new_session=True,
    )
    assert done.returncode == 130
    first, *_, last = done.stderr.splitlines()
    assert "one to two minutes" in first
    assert last == "setup: interrupted; the same command goes on where it can"
    assert "Traceback" not in done.stderr


def test_a_finished_set_up_has_nothing_to_do(checkout: Path) -> None:
    """Whether the mark is understood: the interpreter and the inputs are those it names."""
    wanted = subprocess.run(
        ["/bin/sh", "-c", "cat tools/setup constraints.txt pyproject.toml "
         "plugins/*/pyproject.toml | cksum; pwd"],
        cwd=checkout, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    script(checkout / ".venv/bin/python", "exit 0")
    (checkout / ".venv/.made-from").write_text(f"python3\n{wanted}")
    assert set_up(checkout) == (0, "")
    with (checkout / "constraints.txt").open("a") as file:
        file.write("# changed\n")
    code, said = set_up(checkout)
    assert code != 0, "the inputs changed, so it starts over, and there is no Python here"
    assert "there is no python3" in said
