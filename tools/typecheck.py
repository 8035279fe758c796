"""Run mypy over the sources together, then over each tree of tests by itself.

Two trees may each have a conftest.py; mypy would take them for one module.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCES = ("src", "plugins/*/src")
EACH = ("tests", "plugins/*/tests", "tools", "benchmarks")


def main() -> int:
    """Check everything, whatever failed before; 0 if nothing did."""
    runs = [trees(*SOURCES), *([tree] for tree in trees(*EACH))]
    failed = False
    for run in runs:
        print(f"mypy {' '.join(run)}", flush=True)
        failed |= subprocess.run([sys.executable, "-m", "mypy", *run], cwd=ROOT).returncode != 0
    return int(failed)


def trees(*patterns: str) -> list[str]:
    """The folders that match and have something to check: mypy refuses those that have not."""
    return [
        str(folder.relative_to(ROOT))
        for pattern in patterns
        for folder in sorted(ROOT.glob(pattern))
        if next(folder.rglob("*.py"), None)
    ]


if __name__ == "__main__":
    sys.exit(main())
