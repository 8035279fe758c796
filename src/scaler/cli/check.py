"""See whether the settings, the plugins and their surroundings are well; change nothing."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from scaler import log
from scaler.cli.run import arguments
from scaler.cli.terminal import painter, say, table
from scaler.errors import ExitCode
from scaler.records import Finding
from scaler.settings import load

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from pathlib import Path

    from scaler.records import Profile
    from scaler.settings import Settings

__all__ = ["arguments", "run"]


def run(args: argparse.Namespace) -> int:
    """Do it."""
    settings, loaded = load(args.config)
    log.setup("warning", hide=settings.secrets)
    import scaler.app as app  # only now: wrong settings are told without trio's start

    findings = [*_settled(settings), *app.check(settings, loaded)]
    paint, hide = painter(sys.stdout), log.hider(settings.secrets)
    rows = []
    for who, finding in findings:
        rows.append(["ok" if finding.ok else "WRONG", who, hide(finding.text)])
        if finding.fix and not finding.ok:
            rows.append(["", "", f"→ {hide(finding.fix)}"])
    lines = []
    for line in table(rows, sys.stdout).splitlines():
        word = line.split(" ", 1)[0]
        colour = {"ok": "green", "WRONG": "red"}.get(word)
        lines.append(paint(word, colour) + line[len(word) :] if colour else line)
    wrong = sum(not finding.ok for _, finding in findings)
    if wrong:
        lines += ["", f"{wrong} of {len(findings)} {'is' if wrong == 1 else 'are'} wrong"]
    say(*lines)
    return ExitCode.FAILED if wrong else ExitCode.OK


def _settled(settings: Settings) -> Iterator[tuple[str, Finding]]:
    plugins = ", ".join(settings.plugins) or "none"
    yield "settings", Finding(ok=True, text=f"scaler {settings.name}; plugins: {plugins}")
    if wrong := _unusable(settings.state_dir):
        fix = "give another state_dir, or the rights to its owner"
        yield "settings", Finding(ok=False, text=f"state_dir: {wrong}", fix=fix)
    if not settings.profiles:
        yield (
            "settings",
            Finding(ok=False, text="there are no profiles", fix="add a table [profiles.NAME]"),
        )
    for name, profile in settings.profiles.items():
        if profile.max_count == 0:
            text = "max_count is 0, so it never has a runner"
            yield f"profile {name}", Finding(ok=False, text=text, fix="set max_count")
            continue
        makers = ", then ".join(profile.provisioners)
        yield (
            f"profile {name}",
            Finding(
                ok=True,
                text=f"{_counts(profile)}, registered by {profile.source}, made by {makers}",
            ),
        )


def _counts(profile: Profile) -> str:
    least, most = profile.target_count, profile.max_count
    told = f"up to {most}" if not least else f"{least} to {most}"
    return f"{told} runner{'' if most == 1 else 's'}"


def _unusable(folder: Path) -> str:
    """Why a scaler that this user starts could not keep its state there; empty where it could."""
    there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not os.path.isdir(there):
        return f"{there} is not a folder"
    if not os.access(there, os.W_OK | os.X_OK):
        verb = "written to" if there == folder else f"made: {there} cannot be written to"
        return f"{folder} cannot be {verb} by user {os.geteuid()}"
    return ""
