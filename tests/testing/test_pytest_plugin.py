"""The fixtures, in a pytest of their own; and what everybody who has scaler installed pays."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.once

TESTS = """
from dataclasses import dataclass

from scaler import Machine, hookimpl
from scaler.testing import FakeProvisioner


@dataclass(frozen=True)
class Config:
    size: int = 1


async def test_a_context_remembers_by_name(scaler_context, tmp_path):
    context = scaler_context(Config(size=3), name="mine")
    assert (context.config.size, context.name) == (3, "mine")
    assert tmp_path in context.folder.parents
    (context.folder / "file").touch()
    await context.save("seen", [1, 2])
    await scaler_context(name="other").save("seen", "else")
    again = scaler_context(name="mine")
    assert await again.load("seen") == [1, 2]
    assert (again.folder / "file").exists()
    context.report("all is well", left=2)
    assert context.core.reports[0].facts == {"left": 2}


async def test_a_scaler_runs(scaler_run, scaler_hooks, tmp_path):
    async with scaler_run(settings="[profiles.linux]\\ntarget_count = 1") as scaler:
        runner = await scaler.runner("idle")
        assert scaler_hooks.of("provision_runner")[0].arguments["runner"].id == runner.id
    assert (tmp_path / "state").is_dir()
"""


def run_pytest(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *more]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def test_its_fixtures_are_found_and_work(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    done = run_pytest(tmp_path, "-o", "trio_mode=true", "-W", "error")
    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_who_tests_something_else_imports_nothing_of_it(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import sys\n\n\ndef test_it():\n"
        "    loaded = {name for name in sys.modules if name.partition('.')[0] == 'scaler'}\n"
        "    assert loaded == {'scaler', 'scaler.testing', 'scaler.testing.pytest_plugin'}\n"
        "    assert not {'trio', 'msgspec'} & set(sys.modules)\n"
    )
    done = run_pytest(tmp_path, "-p", "no:trio", "-p", "no:schemathesis", "-p", "no:anyio")
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_the_checks_need_no_pytest() -> None:
    code = (
        "import sys, scaler.testing as t\n"
        "[getattr(t, name) for name in t.__all__]\n"
        "assert 'pytest' not in sys.modules and '_pytest' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
