"""See whether the settings, the plugins and their surroundings are well; change nothing."""

from __future__ import annotations

import os
import sys
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

from scaler import log
from scaler.cli.notices import noticed, whose
from scaler.cli.places import settings_file
from scaler.cli.run import arguments
from scaler.cli.terminal import Passing, painter, say, table
from scaler.cli.tracing import tracer
from scaler.errors import ExitCode
from scaler.records import Finding
from scaler.settings import load

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from scaler.cli.notices import Notices
    from scaler.records import Profile
    from scaler.settings import Settings

__all__ = ["arguments", "run"]

WRONG, WARN, UNSEEN = "WRONG", "warn", "unseen"
_NEEDS = {"required": WRONG, "useful": WARN, "unseen": UNSEEN}
_COLOURS = {"ok": "green", WRONG: "red", WARN: "yellow", UNSEEN: "dim"}


def run(args: argparse.Namespace) -> int:
    """Do it."""
    with noticed() as notices:
        return _run(args, notices)


def _run(args: argparse.Namespace, notices: Notices) -> int:
    settings, loaded = load(settings_file(args.config))
    log.setup("warning", hide=settings.secrets)
    import scaler.app as app  # only now: wrong settings are told without trio's start
    from scaler.watchdog import Guard

    passing = Passing(sys.stderr)

    def progress(waiting: Collection[str]) -> None:
        passing.show(f"still asking {', '.join(waiting)} …" if waiting else "")

    def tell(found: list[tuple[str, Finding]]) -> int:
        findings = [*_settled(settings), *found]
        findings += [
            (whose(one.file, loaded) or "plugins", Finding(ok=False, need="useful", text=str(one)))
            for one in notices.found
        ]
        say(*_told(findings, log.hider(settings.secrets)))
        wrong = any(_word(finding) == WRONG for _, finding in findings)
        return ExitCode.FAILED if wrong else ExitCode.OK

    def stuck(found: list[tuple[str, Finding]], calls: Sequence[str]) -> None:
        with suppress(OSError):  # there is nobody to tell, and it ends all the same
            tell(found)
        guard.stuck(calls)

    guard, trace = Guard(), tracer(args)
    with guard.over_threads():
        found = app.check(settings, loaded, progress, trace=trace, guard=guard, on_stuck=stuck)
    return tell(found)


def _word(finding: Finding) -> str:
    return "ok" if finding.ok else _NEEDS[finding.need]


def _told(findings: list[tuple[str, Finding]], hide: Callable[[str], str]) -> list[str]:
    """The findings as lines, a word and its colour first; and what it comes to."""
    paint = painter(sys.stdout)
    rows, words = [], []
    for who, finding in findings:
        word = _word(finding)
        words.append(word)
        rows.append([word, who, hide(finding.text)])
        if finding.fix and word in (WRONG, WARN):
            rows.append(["", "", f"→ {hide(finding.fix)}"])
    lines = []
    for line in table(rows, sys.stdout).splitlines():
        word = line.split(" ", 1)[0]
        lines.append(paint(word, _COLOURS[word]) + line[len(word) :] if word else line)
    count = Counter(words)
    sums = [
        f"{count[WRONG]} of {len(findings)} {'is' if count[WRONG] == 1 else 'are'} wrong",
        f"{count[WARN]} {'is' if count[WARN] == 1 else 'are'} worth a look",
        f"{count[UNSEEN]} cannot be seen from here, and need not be",
    ]
    counted = (WRONG, WARN, UNSEEN)
    told = [text for word, text in zip(counted, sums, strict=True) if count[word]]
    return [*lines, "", "; ".join(told)] if told else lines


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
