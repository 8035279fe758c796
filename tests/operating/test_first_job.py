"""The tutorial's first job is followed block by block, but for the installation.

tools/walk.py does the same, with the installation, on a Debian with nothing on it.
"""

from __future__ import annotations

import importlib.util
import os
import re
import select
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.operating

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs/tutorial/first-job.md"
WITHIN = 60.0  # seconds, for what is awaited
FIVE = ["1. Install", "2. Write the settings", "3. The token", "4. Check", "5. Run"]


@pytest.fixture
def walk(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script tools/walk.py."""
    monkeypatch.syspath_prepend(ROOT / "tools")
    spec = importlib.util.spec_from_file_location("tools_walk", ROOT / "tools/walk.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A terminal's, with the commands of this Python."""
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "COLUMNS": "200",
    }


def free_ports(count: int) -> list[int]:
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in servers]
    for server in servers:
        server.close()
    return ports


def sections() -> list[str]:
    return re.findall(r"^## (\d\..*)$", PAGE.read_text(), re.MULTILINE)


def test_a_first_job_runs_as_the_page_says(
    walk: ModuleType, environment: dict[str, str], tmp_path: Path
) -> None:
    github, dashboard = free_ports(2)
    etc = tmp_path / "etc"
    instead = {
        "--machines test": f"--machines test --state-dir {tmp_path}/state "
        f"--listen 127.0.0.1:{dashboard}",
        "8080": str(github),
        "/etc/scaler": str(etc),
        "/opt/scaler/bin/python": sys.executable,
    }
    etc.mkdir()
    # in place of the default /etc/scaler/scaler.toml, that of the folder that one is in
    reader = walk.Reader(environment, etc, instead)
    try:
        for command in walk.commands(PAGE.read_text()):
            if command.title != sections()[0]:
                reader.follow(command)
        reader.end()
    finally:
        reader.close()
    followed = [command.title for command, _ in reader.took]
    assert list(dict.fromkeys(followed)) == sections()[1:]


def test_there_are_five_steps_here_and_in_the_readme_and_all_have_their_time() -> None:
    page, readme = PAGE.read_text(), (ROOT / "README.md").read_text()
    assert [title.partition(":")[0] for title in sections()] == FIVE
    section = readme.partition("## From nothing to a first runner")[2].partition("\n## ")[0]
    assert re.findall(r"^(\d)\. ", section, re.MULTILINE) == ["1", "2", "3", "4", "5"]
    timed = re.findall(r"^\| (\d)\. .*\| [\d.]+ s \|$", page, re.MULTILINE)
    assert timed == ["1", "2", "3", "4", "5"]


def test_the_questions_are_asked_as_the_page_shows(
    walk: ModuleType, environment: dict[str, str], tmp_path: Path
) -> None:
    (shown,) = re.findall(r"^```text\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    typed = re.findall(r"^[A-Z][^.\n]*(?: \[[^]\n]*\])?:(?: (\S+))?$", shown, re.MULTILINE)
    process, terminal = init_on_a_terminal(environment, "-o", str(tmp_path / "scaler.toml"))
    seen = ""
    try:
        for answer in [*typed, None]:
            seen += until_asked(terminal)
            if answer is not None:
                os.write(terminal, f"{answer}\n".encode())
    finally:
        process.kill()
        process.wait(WITHIN)
        os.close(terminal)
    assert len(typed) == 3
    assert walk.same(shown, seen.replace("\r\n", "\n")), seen


def test_enter_to_the_end_writes_what_is_written_without_a_terminal(
    walk: ModuleType, environment: dict[str, str], tmp_path: Path
) -> None:
    (text,) = (c.text for c in walk.commands(PAGE.read_text()) if c.text.startswith("scaler init"))
    flags = text.replace("\\\n", " ").split()[2:]
    flags[1] = str(tmp_path / "without.toml")
    subprocess.run(
        ["scaler", "init", *flags],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=environment,
        check=True,
        timeout=WITHIN,
    )
    flags[1] = str(tmp_path / "asked.toml")
    process, terminal = init_on_a_terminal(environment, *flags)
    asked = 0
    try:
        while "What to do next" not in until_asked(terminal):
            asked += 1
            os.write(terminal, b"\n")
        assert process.wait(WITHIN) == 0
    finally:
        process.kill()
        process.wait(WITHIN)
        os.close(terminal)
    assert asked > 5
    assert Path(flags[1]).read_text() == (tmp_path / "without.toml").read_text()


def init_on_a_terminal(
    environment: dict[str, str], *flags: str
) -> tuple[subprocess.Popen[bytes], int]:
    """`scaler init`, and the terminal on which it asks."""
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        ["scaler", "init", *flags],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        start_new_session=True,
    )
    os.close(theirs)
    return process, ours


def until_asked(terminal: int) -> str:
    """What is said until an answer is awaited, which is where no line ends, or to the end."""
    said = b""
    until = time.monotonic() + WITHIN
    while not said.endswith(b": "):
        assert select.select([terminal], [], [], until - time.monotonic())[0], said
        try:
            said += os.read(terminal, 4096)
        except OSError:  # it has ended
            break
    return said.decode()


@pytest.mark.parametrize(
    ("shown", "seen", "equal"),
    [
        ("one\n", "one", True),
        ("one\n", "two", False),
        ("one\n", "one\ntwo", False),
        ("one …\n…\n", "one more\ntwo\n", True),
        ("…\nlast\n", "one\ntwo\nlast", True),
        ("…\nlast\n", "one\nlast one", False),
    ],
)
def test_what_comes_back_is_compared(walk: ModuleType, shown: str, seen: str, equal: bool) -> None:
    assert walk.same(shown, seen) == equal


def test_a_page_that_says_something_else_is_not_followed(
    walk: ModuleType, environment: dict[str, str], tmp_path: Path
) -> None:
    page = "## One\n\n```console\n# cd /\n# pwd\n/tmp\n```\n"
    reader = walk.Reader(environment, tmp_path)
    first, second = walk.commands(page)
    reader.follow(first)
    with pytest.raises(walk.Strayed, match=r"pwd\n/\n.*\n/tmp"):
        reader.follow(second)
