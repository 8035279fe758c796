"""Write constraints.txt: what the newest releases resolve to, on every Python supported.

Run it with `.venv/bin/python tools/pin.py`. It needs all of 3.11, 3.12 and 3.13, since one
release does not always serve them all, and takes some minutes. Where several of one minor
version are here, the oldest counts: Debian 12 has 3.11.2, which not everything serves that
serves a later 3.11.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

from pythons import VERSIONS, candidates, probe

ROOT = Path(__file__).parent.parent
EDITABLE = (
    *(".[dev]", "plugins/scaler-github", "plugins/scaler-libvirt", "plugins/scaler-monitor"),
    *("docs/examples/scaler-forgejo", "docs/examples/scaler-process"),
)
HEADER = """\
# Every distribution that set-up or a test environment installs, at the version that the
# tests ran with. Written by tools/pin.py.
"""


def main() -> None:
    """Resolve afresh on each Python and write down what came out."""
    versions: dict[str, dict[str, str]] = {}
    for version in VERSIONS:
        oldest = min((release(path), path) for path in candidates(version) if probe(path))
        print(f"{oldest[1]} is {oldest[0]}", flush=True)
        versions[version] = resolve(oldest[1])
    (ROOT / "constraints.txt").write_text(HEADER + merge(versions))


def release(python: Path) -> tuple[int, ...]:
    """The full version of a Python; (3, 11, 2)."""
    printed = run(python, "-c", "import sys; print(*sys.version_info[:3])")
    return tuple(int(part) for part in printed.split())


def resolve(python: Path) -> dict[str, str]:
    """Install everything without constraints into a new environment; what is in it then."""
    with tempfile.TemporaryDirectory() as folder:
        run(python, "-m", "venv", folder)
        pip = (Path(folder, "bin", "python"), "-m", "pip")
        run(*pip, "install", "-q", "--upgrade", "pip", "setuptools")
        run(*pip, "install", "-q", *(word for path in EDITABLE for word in ("-e", path)))
        frozen = run(*pip, "freeze", "--all", "--exclude-editable")
    return {
        re.sub(r"[-_.]+", "-", name).lower(): version
        for name, _, version in (line.partition("==") for line in frozen.splitlines())
    }


def merge(versions: dict[str, dict[str, str]]) -> str:
    """One line a distribution; one for each range of Pythons where they differ."""
    lines = []
    for name in sorted(set().union(*versions.values())):
        runs: list[tuple[str, list[str]]] = []  # a release and the Pythons that take it
        for python, pinned in versions.items():
            release = pinned.get(name)
            if release is None:
                continue
            if runs and runs[-1][0] == release:
                runs[-1][1].append(python)
            else:
                runs.append((release, [python]))
        for at, (release, pythons) in enumerate(runs):
            markers = []
            if at > 0:
                markers.append(f'python_version >= "{pythons[0]}"')
            if at < len(runs) - 1:
                markers.append(f'python_version < "{runs[at + 1][1][0]}"')
            marker = f"; {' and '.join(markers)}" if markers else ""
            lines.append(f"{name}=={release}{marker}")
    return "".join(f"{line}\n" for line in lines)


def run(*command: str | Path) -> str:
    """Run a command in the root of the repository and return what it prints."""
    return subprocess.run(command, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE).stdout


if __name__ == "__main__":
    main()
