"""A virtual environment on top of this one: what is installed into it is gone with its folder.

`python -m venv --system-site-packages` would sit on the Python below this environment, which has
none of what the tests need.
"""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import sysconfig
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = ("pip", "pytest", "scaler")
_KEPT = ("HOME", "LANG", "LC_ALL", "TMPDIR", "COVERAGE_PROCESS_START")


def make_environment(folder: Path) -> dict[str, str]:
    """Make it; answer the variables with which programs are in it. Nothing reaches the network."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=60)
    programs = folder / "bin"
    below = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (own,) = folder.glob("lib/python*/site-packages")
    lines = [f"import site; site.addsitedir({path!r})\n" for path in sorted(below)]
    (own / "below.pth").write_text("".join(lines))
    for point in importlib.metadata.entry_points(group="console_scripts"):
        if point.name in COMMANDS:
            file = programs / point.name
            file.write_text(
                f"#!{programs / 'python'}\nimport sys\nfrom {point.module} import {point.attr}\n"
                f"sys.exit({point.attr}())\n"
            )
            file.chmod(0o755)
    return {name: os.environ[name] for name in _KEPT if name in os.environ} | {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "VIRTUAL_ENV": str(folder),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # as pip reads it: without isolation
        "PIP_NO_INDEX": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
    }
