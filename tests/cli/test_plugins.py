"""`scaler plugins -v`: each plugin's hooks with their terms, its settings with their meaning."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import termios
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scaler.cli.main import main
from scaler.hooks import hook_names

if TYPE_CHECKING:
    from collections.abc import Callable

RICH = '''
from collections.abc import Mapping
from dataclasses import dataclass
from scaler import Duration, Secret, Size, hookimpl

class Rich:
    """Shows what can be shown.

    At length.
    """

    api = "1.0"

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Settings.

        Attributes:
            url: Where it is\x1b[31m; a long text that is told on more than one line of a terminal
                with eighty columns.
            token: What opens it.
            wait, rest: Two of a kind.
            rooms: By name.
        """

        @dataclass(frozen=True)
        class Room:
            """A room.

            Attributes:
                size: How large.
            """

            size: Size = Size(1 << 30)

        url: str
        token: Secret | None = None
        wait: Duration = Duration(90)
        rest: Duration | None = None
        rooms: Mapping[str, Room] | None = None

    def __init__(self, context):
        pass
    @hookimpl
    async def provision_runner(self, runner, registration): ...
    @hookimpl
    def destroy_runner(self, runner): ...
'''
BOTH_AND_RICH = """
    [scaler]
    plugin_dir = "."
    [plugins.both]
    [plugins.rich]
    url = "x"
"""


@pytest.fixture
def rich(write: Callable[[str], str], tmp_path: Path) -> str:
    (tmp_path / "rich.py").write_text(RICH)
    return write(BOTH_AND_RICH)


def told(capsys: pytest.CaptureFixture[str], *args: str, code: int = 0) -> list[str]:
    assert main(["plugins", *args]) == code
    return capsys.readouterr().out.splitlines()


def words(line: str) -> list[str]:
    return [word.strip() for word in line.split("  ") if word.strip()]


def test_a_plugin_is_told_with_its_hooks_in_order(
    rich: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = told(capsys, "-v", "rich", "-c", rich)
    assert lines[:3] == [
        "rich",
        "  Shows what can be shown.",
        f"  {tmp_path}/rich.py, API 1.0, enabled",
    ]
    assert [words(line) for line in lines[4:7]] == [
        ["HOOK", "KIND", "DEADLINE", "CALLED", "ORDER"],
        ["provision_runner", "route", "start_timeout", "async", "2nd of 2"],
        ["destroy_runner", "route", "120 s", "in a thread", "2nd of 2"],
    ]
    assert lines[-1] == "route  only the plugin that the profile or the runner belongs to"


def test_the_order_of_calls_is_that_of_the_settings(
    rich: str, write: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    text = BOTH_AND_RICH.replace("[plugins.both]", "") + "    [plugins.both]\n"
    lines = told(capsys, "-v", "rich", "both", "-c", write(text))
    found = [words(line) for line in lines if "provision_runner" in line]
    assert [row[-1] for row in found] == ["1st of 2", "2nd of 2"]


def test_without_settings_no_order_is_told_but_how_to_learn_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = told(capsys, "-v", "libvirt")
    assert not any("ORDER" in line for line in lines)
    assert lines[-1].strip().startswith("-c FILE tells the order")


def test_one_that_is_not_enabled_has_no_place(
    rich: str, write: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(BOTH_AND_RICH.replace('url = "x"', "enabled = false"))
    lines = told(capsys, "-v", "rich", "-c", path)
    assert lines[2].endswith("not enabled")
    assert words(lines[5])[-1] == "-"


def test_settings_are_told_with_type_default_and_meaning(
    rich: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = told(capsys, "-v", "rich", "-c", rich)
    at = lines.index("  [plugins.rich]")
    assert [words(line) for line in lines[at + 1 : at + 6]] == [
        [
            *("url", "string", "needed"),
            "Where it is\\x1b[31m; a long text that is told on more than one line of a terminal "
            "with eighty columns.",
        ],
        ["token", "secret", "-", "What opens it."],
        ["wait", "duration", '"1m30s"', "Two of a kind."],
        ["rest", "duration", "-", "Two of a kind."],
        ["rooms", "table of tables", "-", "By name."],
    ]
    at = lines.index("  [plugins.rich.rooms.NAME]")
    assert words(lines[at + 1]) == ["size", "size", '"1G"', "How large."]


@pytest.mark.once
def test_the_reference_shows_one_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (Path(__file__).parents[2] / "docs/reference/commands.md").read_text()
    command, _, shown = text.partition("$ scaler plugins -v ")[2].partition("\n")
    name, option, _ = command.split()
    (tmp_path / "scaler.toml").write_text(
        "[plugins.github]\n[plugins.actions-queue]\n[plugins.acquirable-jobs]\n[plugins.libvirt]\n"
    )
    lines = told(capsys, "-v", name, option, str(tmp_path / "scaler.toml"))
    assert "\n".join(lines) == shown.partition("\n```")[0]


def test_json_has_all_of_it(rich: str, capsys: pytest.CaptureFixture[str]) -> None:
    (plugin,) = json.loads("\n".join(told(capsys, "rich", "--json", "-c", rich)))["plugins"]
    assert (plugin["name"], plugin["api"], plugin["enabled"]) == ("rich", "1.0", True)
    assert plugin["hooks"] == [
        terms | {"kind": "route", "place": 2, "of": 2}
        for terms in (
            {"name": "provision_runner", "deadline": None, "thread": False},
            {"name": "destroy_runner", "deadline": 120, "thread": True},
        )
    ]
    config, room = plugin["settings"]
    assert (config["heading"], room["heading"]) == ("[plugins.rich]", "[plugins.rich.rooms.NAME]")
    assert config["settings"][1] == {
        "key": "token",
        "type": "secret",
        "wanted": '{ env = "NAME" } or { file = "PATH" }',
        "default": "",
        "needed": False,
        "meaning": "What opens it.",
    }


def test_everything_that_is_installed_can_be_told(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads("\n".join(told(capsys, "--json")))["plugins"]
    hooks = {hook["name"] for plugin in found for hook in plugin["hooks"]}
    ours = [plugin for plugin in found if plugin["distribution"].startswith("scaler-")]
    assert len(ours) >= 6
    assert hooks <= {*hook_names()}
    unsaid = [
        (table["heading"], setting["key"])
        for plugin in ours
        for table in plugin["settings"]
        for setting in table["settings"]
        if not setting["meaning"]
    ]
    assert unsaid == []


def test_names_restrict_the_short_list_too(capsys: pytest.CaptureFixture[str]) -> None:
    lines = told(capsys, "monitor", "libvirt", "monitor")
    assert [line.split()[0] for line in lines] == ["NAME", "monitor", "libvirt"]


def test_a_name_that_nobody_has_is_told_with_the_nearest(
    rich: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plugins", "-v", "libvrt"]) == 4
    said = capsys.readouterr()
    assert said.out == ""
    assert 'plugin libvrt: there is none of this name (did you mean "libvirt"?)' in said.err
    assert said.err.endswith("files of plugin_dir are known with -c FILE\n")
    assert main(["plugins", "rihc", "-c", rich]) == 4
    said = capsys.readouterr()
    assert '(did you mean "rich"?)' in said.err
    assert "plugin_dir" not in said.err


def test_a_broken_one_is_told_with_every_reason(
    rich: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.py").write_text(
        "from scaler import hookimpl\nclass Bad:\n"
        "    @hookimpl\n    async def provision_runer(self, runner): ...\n"
        "    @hookimpl\n    async def check(self, *, x): ...\n"
    )
    lines = told(capsys, "-v", "-c", rich)
    at = lines.index("bad")
    assert lines[at + 1] == f"  {tmp_path}/bad.py, not enabled"
    broken = [line for line in lines[at:] if line.startswith("  BROKEN: ")]
    assert any('did you mean "provision_runner"?' in line for line in broken)
    assert len(broken) > 1
    told(capsys, "-v", "bad", "-c", rich, code=4)


def test_settings_that_no_file_can_fill_make_a_plugin_broken(
    rich: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rich.py").write_text(RICH.replace("url: str", "url: complex"))
    lines = told(capsys, "-v", "rich", "-c", rich, code=4)
    assert "  BROKEN: plugin rich: Rich.Config.url: settings cannot fill a" in "\n".join(lines)


def on_terminal(columns: int, *args: str) -> list[str]:
    """What a person sees on a terminal that is so wide."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (50, columns))
    command = [sys.executable, "-m", "scaler", "plugins", *args]
    environ = {**os.environ, "TERM": "xterm", "NO_COLOR": "1"}
    environ.pop("COLUMNS", None)  # it would count more than the terminal
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environ)
    os.close(theirs)
    got = b""
    while True:
        try:
            part: Any = os.read(ours, 65536)
        except OSError:  # the other side has closed it
            break
        got += part
        if not part:
            break
    os.close(ours)
    assert process.wait(30) == 0
    return got.decode().replace("\r\n", "\n").splitlines()


@pytest.mark.parametrize("columns", [60, 80, 120, 160])
def test_lines_fit_the_terminal(columns: int) -> None:
    lines = on_terminal(columns, "-v", "libvirt", "monitor")
    assert max(map(len, lines)) <= columns
    assert max(map(len, lines)) > columns - 15, "the room that there is is used"


def test_a_reader_that_leaves_early_is_no_error() -> None:
    command = f"{sys.executable} -m scaler plugins -v | head -1"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1
