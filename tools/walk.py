"""Follow the tutorial's first job, block by block, on a Debian with nothing on it, and time it.

debootstrap makes that system in a temporary folder, as tools/fresh.py does. In it every line after
`# ` on the page is typed, what comes back is held against what the page shows, and the time of
each is taken: the table that the page has is printed at the end. It must run as root.

    python tools/walk.py               make a system, walk, remove it
    python tools/walk.py --in FOLDER   walk in a system that is there, such as one of --keep
    python tools/walk.py --keep        leave the folder, to look into it
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import fresh

PAGE = Path("docs/tutorial/first-job.md")
REPOSITORY = {"ADDRESS-OF-THIS-REPOSITORY": "/srv/scaler.bundle"}
WITHIN = 60.0  # seconds, for what is awaited
_PART = re.compile(
    r"^## (?P<title>[^\n]+)$|"
    r"^(?:% (?P<says>[^\n]+)\n+)?```console\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_COLOUR = re.compile(r"\x1b\[[\d;]*m")
_COMMAND = re.compile(r"^# ((?:.*\\\n)*.*)\n((?:(?!# ).*\n)*)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Command:
    """One line to type.

    Attributes:
        title: Of the section that it stands in.
        says: What the page says of it: "goes on", "in a while", or nothing.
        text: What is typed.
        shown: What comes back, as the page has it; empty: anything may.
    """

    title: str
    says: str
    text: str
    shown: str


class Strayed(Exception):
    """Something is not as the page has it."""


def commands(page: str) -> Iterator[Command]:
    """Everything that a page lets its reader type, in order."""
    title = ""
    for part in _PART.finditer(page):
        if part["title"]:
            title = part["title"]
            continue
        found = _COMMAND.findall(part["text"])
        for number, (text, shown) in enumerate(found, 1):
            says = (part["says"] or "") if number == len(found) else ""
            yield Command(title=title, says=says, text=text, shown=shown)


def same(shown: str, seen: str) -> bool:
    """Whether what is shown was seen; `…` is anything in a line, and alone any number of lines."""
    lines = []
    for line in shown.splitlines():
        if line == "…":
            lines.append(r"(?:[^\n]*\n)*?")
        else:
            words = (re.escape(" ".join(part.split(" "))) for part in line.split("…"))
            lines.append(r"[^\n]*".join(words).rstrip() + r" *\n")
    return re.fullmatch("".join(lines), seen.strip("\n") + "\n") is not None


class Terminal:
    """A terminal in which one command goes on."""

    def __init__(self, text: str, environment: Mapping[str, str], folder: Path) -> None:
        self._text = text
        self._bytes = b""
        ours, theirs = os.openpty()  # programs say it otherwise where no terminal is
        self._process = subprocess.Popen(
            ["bash", "-c", f"exec {text}"],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, args=(ours,), daemon=True)
        self._reader.start()

    def said(self) -> list[str]:
        """The whole lines so far, with their ends, and without their colours."""
        text = self._bytes.decode(errors="replace").replace("\r\n", "\n")
        text = _COLOUR.sub("", text)
        return text[: text.rfind("\n") + 1].splitlines(keepends=True)

    def wait_for(self, shown: str) -> None:
        """Until it has said what is shown.

        Raises:
            Strayed: It ended, or said something else for too long.
        """
        until = time.monotonic() + WITHIN
        while True:
            ended = self._process.poll() is not None
            lines = self.said()
            if any(same(shown, "".join(lines[:count])) for count in range(1, len(lines) + 1)):
                return
            if ended or time.monotonic() > until:
                raise Strayed(f"# {self._text}\n{''.join(lines)}, and the page shows:\n{shown}")
            time.sleep(0.05)

    def interrupt(self) -> None:
        """Ctrl-C.

        Raises:
            Strayed: It does not end as it should.
        """
        self._process.send_signal(signal.SIGINT)
        try:
            code = self._process.wait(WITHIN)
        except subprocess.TimeoutExpired:
            raise Strayed(f"Ctrl-C does not end: {self._text}\n{''.join(self.said())}") from None
        if code != 0:
            said = "".join(self.said())
            raise Strayed(f"exit code {code} after Ctrl-C: {self._text}\n{said}")

    def close(self) -> None:
        """End it, however far it came."""
        self._process.kill()
        self._process.wait(WITHIN)
        self._reader.join(WITHIN)

    def _read(self, ours: int) -> None:
        try:
            while data := os.read(ours, 65536):
                self._bytes += data
        except OSError:  # the last of those who write there has gone
            pass
        finally:
            os.close(ours)


@dataclass
class Reader:
    """Whoever follows the page: one terminal to type into, others for what goes on.

    Attributes:
        environment: The terminals'.
        folder: Where they are at first.
        instead: What is typed in place of what the page has.
        took: Seconds, of each command.
    """

    environment: Mapping[str, str]
    folder: Path
    instead: Mapping[str, str] = field(default_factory=dict)
    took: list[tuple[Command, float]] = field(default_factory=list)
    _going: list[Terminal] = field(default_factory=list)

    def follow(self, command: Command) -> None:
        """Type it, and see that what comes back is what the page shows.

        Raises:
            Strayed: It is not, or not in time, or the command fails.
        """
        text, shown = self._replaced(command.text), self._replaced(command.shown)
        print(f"# {text}", flush=True)
        began = time.monotonic()
        if command.says == "goes on":
            self._going.append(Terminal(text, self.environment, self.folder))
            self._going[-1].wait_for(shown)
        else:
            self._type(text, shown, again=command.says == "in a while")
        self.took.append((command, time.monotonic() - began))

    def end(self) -> None:
        """Ctrl-C for what goes on, the last first.

        Raises:
            Strayed: One does not end as it should.
        """
        for terminal in reversed(self._going):
            terminal.interrupt()

    def close(self) -> None:
        """End what goes on, however far it came."""
        for terminal in self._going:
            terminal.close()

    def _replaced(self, text: str) -> str:
        for each, other in self.instead.items():
            text = text.replace(each, other)
        return text

    def _type(self, text: str, shown: str, *, again: bool) -> None:
        until = time.monotonic() + WITHIN
        while True:
            code, seen = self._run(text)
            if code == 0 and (not shown or same(shown, seen)):
                return
            if not again or time.monotonic() > until:
                raise Strayed(f"# {text}\n{seen}(exit code {code}), and the page shows:\n{shown}")
            time.sleep(0.2)

    def _run(self, text: str) -> tuple[int, str]:
        where = self.folder / ".walk-is-in"  # as a terminal, the next command goes on in its folder
        here = where.read_text().strip() if where.exists() else str(self.folder)
        done = subprocess.run(
            ["bash", "-c", f'cd "$0" && {text}\ncode=$?; pwd >"$1"; exit $code', here, where],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        return done.returncode, done.stdout


def inside() -> int:
    """Follow the page, in the system that this is, as its root; the times go to /srv/times.json."""
    reader = Reader(os.environ, Path.home(), REPOSITORY)
    try:
        for command in commands(Path("/srv", PAGE.name).read_text()):
            reader.follow(command)
        reader.end()
    except Strayed as error:
        print(f"walk: FAILED: {error}")
        return 1
    finally:
        reader.close()
    times = [(each.title, each.text, seconds) for each, seconds in reader.took]
    Path("/srv/times.json").write_text(json.dumps(times))
    return 0


def walk(system: fresh.System) -> None:
    """Let the page be followed in there, and print how long it took.

    Raises:
        fresh.Failed: It cannot be.
    """
    srv = system.root / "srv"
    for path in (Path(__file__), Path(fresh.__file__), fresh.ROOT / PAGE):
        shutil.copy(path, srv / path.name)
    code, _ = system.run("python3 /srv/walk.py --inside", timeout=1800)
    fresh.expect(code == 0, f"{PAGE} is as it says")
    times = json.loads((srv / "times.json").read_text())
    print("\nseconds")
    for _, text, seconds in times:
        print(f"{seconds:7.1f}  {' '.join(text.split())[:90]}")
    print("\nseconds")
    for title in dict.fromkeys(title for title, *_ in times):
        print(f"{sum(each for other, _, each in times if other == title):7.1f}  {title}")
    print(f"{sum(seconds for *_, seconds in times):7.1f}  in all")


def main() -> int:
    """Make the system, walk, clean up."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", action="store_true", help="leave the folder, to look into it")
    parser.add_argument("--in", dest="there", metavar="FOLDER", help="a system that is there")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        return inside()
    for problem in fresh.problems():
        print(f"walk: cannot run: {problem}")
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = Path(tempfile.mkdtemp(prefix="scaler-walk-"))
    system = fresh.System(Path(arguments.there or folder / "system"))
    try:
        if arguments.there:
            system.copy_registry_settings()
        else:
            system.make()
        walk(system)
    except (fresh.Failed, subprocess.SubprocessError) as error:
        print(f"walk: FAILED: {error}")
        return 1
    finally:
        if arguments.keep:
            print(f"walk: kept {folder}")
        else:
            shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
