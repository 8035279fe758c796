"""The tutorial on plugins is followed to the letter, in an empty folder, block by block.

- `console`: each line after `$ ` is typed into a shell, and what stands below it is what comes
  back. `…` stands for anything; times of the clock and spans of time are any; and where nothing is
  shown, anything may come.
- `toml`, `python`: the file that its first line names is written; or, after `% shown from: FILE`,
  it is what that file says.
- `diff`: the lines are changed in the file that its first line names.
- `text`: what the command that goes on says next; other lines may come between.

A line `% …` above a block, which readers do not see, says more: `goes on`, `fails`, `second
terminal`, and `in a while` where a reader would look again. Only the clone, `make setup` and the
environment that it makes are not tried here: one on top of that in which this runs is in their
place, so that nothing is fetched. The simulator gets a port that is free, in place of 8080.
"""

from __future__ import annotations

import faulthandler
import itertools
import os
import queue
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.scaffold.environment import make_environment

pytestmark = pytest.mark.authors

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/tutorial/write-a-provisioner.md"
NOT_TRIED = (
    "git clone ADDRESS-OF-THE-REPOSITORY scaler",
    "cd scaler",
    "make setup",
    ". .venv/bin/activate",
)
WITHIN = 120.0  # seconds, for one command
_BLOCK = re.compile(
    r"^(?:% (?P<says>[^\n]+)\n+)?```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_ANY = (
    (r"\d\d:\d\d:\d\d", r"\d\d:\d\d:\d\d"),
    (r"\d+\.\d\ds", r"[\d.]+s"),
    (r"…", r"[^\n]*"),
)


@dataclass(frozen=True)
class Block:
    says: str
    kind: str
    text: str
    line: int

    @property
    def file(self) -> str:
        """What the first line names."""
        return self.text.partition("\n")[0].removeprefix("# ")


def blocks(page: str) -> list[Block]:
    return [
        Block(found["says"] or "", found["kind"], found["text"], page[: found.start()].count("\n"))
        for found in _BLOCK.finditer(page)
    ]


def pattern(shown: str) -> str:
    """What matches what is shown: `…` in a line of its own is any number of lines."""
    lines = []
    for line in shown.splitlines():
        if line == "…":
            lines.append(r"(?:[^\n]*\n)*?")
            continue
        text = re.escape(line).replace("\\ ", " ")
        for is_shown, matches in _ANY:
            text = re.sub(is_shown.replace(r"\.", r"\\\."), lambda _, m=matches: m, text)  # type: ignore[misc]
        lines.append(rf"{text} *\n")
    return "".join(lines)


def same(shown: str, seen: str) -> bool:
    return re.fullmatch(pattern(shown), seen.strip("\n") + "\n") is not None


class Shell:
    """A terminal: bash, which is given a command at a time."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self._ends = (f"[[end {number}]]" for number in itertools.count())
        self._said: queue.Queue[str] = queue.Queue()
        ours, theirs = os.openpty()  # a terminal's text, and not what is meant for programs
        self._bash = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=folder,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=theirs,
            stderr=theirs,
            text=True,
            start_new_session=True,
        )
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, args=(ours,), daemon=True)
        self._reader.start()
        self._goes_on = False

    def _read(self, ours: int) -> None:
        text = ""
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:  # the last of them has gone
                break
            text += data.decode(errors="replace").replace("\r\n", "\n")
            *lines, text = text.split("\n")
            for line in lines:
                self._said.put(line)
        os.close(ours)

    def type(self, command: str) -> tuple[str, int]:
        """Run a command; answer what it says, and its exit code."""
        self.interrupt()
        end = next(self._ends)
        self._write(f"{{ {command}\n}} < /dev/null; printf '\\n%s %s\\n' '{end}' $?\n")
        lines: list[str] = []
        while True:
            line = self._next(command, lines)
            if line.startswith(end):
                return "\n".join(lines), int(line.removeprefix(end))
            lines.append(line)

    def begin(self, command: str) -> None:
        """Run a command that goes on until Ctrl-C."""
        self.interrupt()
        self._write(f"{command} < /dev/null & goes_on=$!\n")
        self._goes_on = True

    def wait_for(self, shown: str) -> None:
        """Until what goes on has said what is shown."""
        lines: list[str] = []
        while not same(shown, "\n".join(lines)):
            lines.append(self._next(shown, lines))

    def interrupt(self) -> None:
        """Ctrl-C, for what goes on."""
        if self._goes_on:
            self._goes_on = False
            said, code = self.type("kill -INT $goes_on; wait $goes_on")
            assert code == 0, said

    def close(self) -> None:
        assert self._bash.stdin is not None
        self._bash.stdin.close()
        os.killpg(self._bash.pid, signal.SIGKILL)
        self._bash.wait(10)
        self._reader.join(10)

    def _write(self, text: str) -> None:
        assert self._bash.stdin is not None
        self._bash.stdin.write(text)
        self._bash.stdin.flush()

    def _next(self, awaited: str, before: list[str]) -> str:
        try:
            return self._said.get(timeout=WITHIN)
        except queue.Empty:
            seen = "\n".join(before)
            pytest.fail(f"{WITHIN} s in vain for:\n{awaited}\nseen:\n{seen}")


class Reader:
    """Follows the page."""

    def __init__(self, home: Path, port: int) -> None:
        environ = make_environment(home / "env")
        environ |= {"HOME": str(home), "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "200"}
        self.shells = {"": Shell(home, environ), "second terminal": Shell(home, environ)}
        self._port = str(port)

    def follow(self, block: Block) -> None:
        block = replace(block, text=block.text.replace("8080", self._port))
        match block.kind:
            case "console":
                self._type(block)
            case "text":
                self.shells[""].wait_for("…\n".join(block.text.splitlines(keepends=True)))
            case "diff":
                self._change(self.folder / block.file, block.text.partition("\n")[2])
            case _ if block.says.startswith("shown from: "):
                file = self.folder / block.says.removeprefix("shown from: ")
                assert block.text in file.read_text()
            case _:
                (self.folder / block.file).write_text(block.text)

    @property
    def folder(self) -> Path:
        """Where the first terminal is."""
        return Path(self.shells[""].type("pwd")[0].strip())

    def _type(self, block: Block) -> None:
        shell = self.shells.get(block.says) or self.shells[""]
        steps = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block.text, re.MULTILINE)
        assert steps, "nothing to type"
        for number, (command, shown) in enumerate(steps, 1):
            last = number == len(steps)
            if command in NOT_TRIED:
                continue
            if last and block.says == "goes on":
                shell.begin(command)
                shell.wait_for(shown)
                continue
            said, code = shell.type(command)
            since = time.monotonic()
            while block.says == "in a while" and not same(shown, said):
                assert time.monotonic() < since + WITHIN, f"$ {command}\n{said}"
                time.sleep(0.1)
                said, code = shell.type(command)
            if command.startswith("scaler plugin new"):
                self._move_port()
            assert (code != 0) == (last and block.says == "fails"), f"$ {command}\n{said}"
            if shown:
                assert same(shown, said), f"$ {command}\n{said}\nand the page shows:\n{shown}"

    def _move_port(self) -> None:
        for file in self.folder.glob("*/scaler.toml"):
            file.write_text(file.read_text().replace("8080", self._port))

    def _change(self, file: Path, diff: str) -> None:
        lines = diff.splitlines(keepends=True)
        before = "".join(line[1:] or "\n" for line in lines if line[:1] in " -\n")
        after = "".join(line[1:] or "\n" for line in lines if line[:1] in " +\n")
        text = file.read_text()
        assert text.count(before) == 1, f"{file} has not exactly once:\n{before}"
        file.write_text(text.replace(before, after))

    def close(self) -> None:
        for shell in self.shells.values():
            shell.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(tmp_path, free_port())
    try:
        yield reader
    finally:
        reader.close()


def test_the_tutorial_is_followed_to_the_letter(reader: Reader) -> None:
    faulthandler.cancel_dump_traceback_later()  # each step has its own limit, and all take a minute
    page = PAGE.read_text()
    found = blocks(page)
    assert page.count("\n```") == 2 * len(found), "each block is followed"
    for block in found:
        began = time.monotonic()
        try:
            reader.follow(block)
        except BaseException as error:
            error.add_note(f"{PAGE}:{block.line + 1}")
            raise
        print(f"line {block.line + 1}: {time.monotonic() - began:.1f} s")


@pytest.mark.parametrize(
    ("shown", "seen", "equal"),
    [
        ("one\n", "one", True),
        ("one\n", "two", False),
        ("one\n", "one\ntwo", False),
        ("…\nlast\n", "one\ntwo\nlast", True),
        ("…\nlast\n", "one\nlast one", False),
        ("one\n…\n", "one", True),
        ("a … z\n", "a b c z", True),
        ("14:03:30 (x)\n", "09:00:01 (x)", True),
        ("14:03:30 (x)\n", "nine (x)", False),
        ("= 2 passed in 4.56s =\n", "= 2 passed in 0.01s =", True),
        ("= 2 passed in 4.56s =\n", "= 3 passed in 0.01s =", False),
    ],
)
def test_what_is_shown_is_compared(shown: str, seen: str, equal: bool) -> None:
    assert same(shown, seen) == equal
