"""Runs `scaler` with the arguments given after a file, and writes there what cProfile saw."""

from __future__ import annotations

import cProfile
import sys


def main() -> int:
    """The exit code of scaler."""
    from scaler.cli.main import main as scaler

    path = sys.argv[1]
    sys.argv = ["scaler", *sys.argv[2:]]
    profile = cProfile.Profile()
    try:
        return int(profile.runcall(scaler) or 0)
    except SystemExit as leaving:
        return int(leaving.code or 0)
    finally:
        profile.dump_stats(path)


if __name__ == "__main__":
    sys.exit(main())
