"""Run mypy over the sources together, then over each tree of tests and scripts by itself.

Several folders of tests have a conftest.py, which mypy would take for one module: it is told to
name modules by their folders, from where the tree of tests is.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCES = ("src", "plugins/*/src", "docs/examples/*/src")
TESTS = ("tests", "plugins/*/tests", "docs/examples/*/tests")
SCRIPTS = ("tools", "benchmarks")
FILES = "docs/examples/*.py"  # each by itself, as a site has it


def main() -> int:
    """Check everything, whatever failed before; 0 if nothing did."""
    passed = [mypy(ROOT, *trees(*SOURCES))]
    passed += [mypy(tree.parent, "--explicit-package-bases", tree) for tree in trees(*TESTS)]
    passed += [mypy(ROOT, tree) for tree in trees(*SCRIPTS)]
    passed += [mypy(ROOT, file) for file in sorted(ROOT.glob(FILES))]
    return int(not all(passed))


def mypy(folder: Path, *arguments: str | Path) -> bool:
    """Run mypy in a folder; tell whether it found nothing."""
    shown = " ".join(str(each).removeprefix(f"{ROOT}/") for each in arguments)
    print(f"mypy {shown}", flush=True)
    settings = ("--config-file", ROOT / "pyproject.toml", "--cache-dir", ROOT / ".mypy_cache")
    command = [sys.executable, "-m", "mypy", *settings, *arguments]
    return subprocess.run(command, cwd=folder, check=False).returncode == 0


def trees(*patterns: str) -> list[Path]:
    """The folders that match and have something to check: mypy refuses those that have not."""
    return [
        folder
        for pattern in patterns
        for folder in sorted(ROOT.glob(pattern))
        if next(folder.rglob("*.py"), None)
    ]


if __name__ == "__main__":
    sys.exit(main())
