"""`scaler check`: what it prints and what it exits with."""

from __future__ import annotations

import io
import os
import sys
from functools import partial
from typing import TYPE_CHECKING

import pytest
from tests.cli.toys import GOOD, PLUGIN

from scaler import Finding
from scaler.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import SimpleNamespace


def test_check_tells_what_is_well(
    write: Callable[[str], str], app: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    app.check = lambda *_, **__: [("both", Finding(ok=True, text="the host answers"))]
    assert main(["check", "-c", write(GOOD)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "ok  settings       scaler host-1; plugins: both",
        "ok  profile linux  2 to 2 runners, registered by both, made by both",
        "ok  both           the host answers",
    ]


@pytest.mark.parametrize(
    ("least", "most", "said"),
    [(0, 1, "up to 1 runner,"), (0, 4, "up to 4 runners,"), (1, 4, "1 to 4 runners,")],
)
def test_check_tells_how_many_runners_there_can_be(
    write: Callable[[str], str],
    app: SimpleNamespace,
    capsys: pytest.CaptureFixture[str],
    least: int,
    most: int,
    said: str,
) -> None:
    counts = f"target_count = {least}\n    max_count = {most}"
    assert main(["check", "-c", write(GOOD.replace("target_count = 2", counts))]) == 0
    assert said in capsys.readouterr().out


def test_check_tells_what_is_wrong_and_how_to_mend_it(
    write: Callable[[str], str], app: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    app.check = lambda *_, **__: [
        ("both", Finding(ok=False, text="no\x1b[1m way", fix="install it")),
        ("both", Finding(ok=True, text="fine", fix="not needed")),
    ]
    assert main(["check", "-c", write(GOOD)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[2:] == [
        "WRONG  both           no\\x1b[1m way",
        "                      → install it",
        "ok     both           fine",
        "",
        "1 of 4 is wrong",
    ]


def test_check_tells_wrong_from_worth_a_look_and_from_not_seen(
    write: Callable[[str], str], app: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    soon = Finding(ok=False, text="expires in 3 days", fix="make another", need="useful")
    dark = Finding(ok=False, text="permissions", fix="a wider token", need="unseen")
    fine = Finding(ok=True, text="fine", need="useful")
    app.check = lambda *_, **__: [("both", soon), ("both", dark), ("both", fine)]
    assert main(["check", "-c", write(GOOD)]) == 0
    assert capsys.readouterr().out.splitlines()[2:] == [
        "warn    both           expires in 3 days",
        "                       → make another",
        "unseen  both           permissions",
        "ok      both           fine",
        "",
        "1 is worth a look; 1 cannot be seen from here, and need not be",
    ]
    app.check = lambda *_, **__: [
        ("both", soon),
        ("both", soon),
        ("both", Finding(ok=False, text="no")),
    ]
    assert main(["check", "-c", write(GOOD)]) == 1
    assert capsys.readouterr().out.endswith("\n1 of 5 is wrong; 2 are worth a look\n")


class Screen(io.StringIO):
    """A terminal, as far as anyone can tell."""

    def __init__(self, *, terminal: bool = True) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def test_check_is_in_colours_on_a_terminal(
    write: Callable[[str], str], app: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stdout", screen := Screen())
    finding = partial(Finding, ok=False, text="something")
    app.check = lambda *_, **__: [
        ("both", finding(need=need)) for need in ("required", "useful", "unseen")
    ]
    assert main(["check", "-c", write(GOOD)]) == 1
    coloured = [line.split(" ")[0] for line in screen.getvalue().splitlines() if "\x1b" in line]
    assert coloured == [
        *["\x1b[32mok\x1b[0m"] * 2,
        "\x1b[31mWRONG\x1b[0m",
        "\x1b[33mwarn\x1b[0m",
        "\x1b[2munseen\x1b[0m",
    ]


@pytest.mark.parametrize("terminal", [True, False])
def test_check_says_on_a_terminal_whom_it_waits_for(
    write: Callable[[str], str],
    app: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    terminal: bool,
) -> None:
    def check(
        _settings: object, _loaded: object, progress: Callable[..., None], **_: object
    ) -> list[object]:
        for waiting in (("one", "two"), ("two",), ()):
            progress(waiting)
        return []

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", screen := Screen(terminal=terminal))
    app.check = check
    assert main(["check", "-c", write(GOOD)]) == 0
    shown = [line.rstrip() for line in screen.getvalue().split("\r") if line]
    assert shown == (["still asking one, two …", "still asking two …", ""] if terminal else [])


def test_check_misses_profiles(
    write: Callable[[str], str], app: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "-c", write("")]) == 1
    assert "there are no profiles" in capsys.readouterr().out


def test_check_never_shows_a_secret(
    write: Callable[[str], str],
    app: SimpleNamespace,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("TOKEN", "canary-in-a-finding")
    config = "    @__import__('dataclasses').dataclass\n    class Config:\n        token: Secret\n"
    text = PLUGIN.replace("import hookimpl", "import Secret, hookimpl")
    (tmp_path / "both.py").write_text(text.replace("class Both:\n", "class Both:\n" + config))
    app.check = lambda *_, **__: [("both", Finding(ok=False, text="401 for canary-in-a-finding"))]
    toml = GOOD.replace("[plugins.both]", '[plugins.both]\n    token = { env = "TOKEN" }')
    assert main(["check", "-c", write(toml)]) == 1
    said = capsys.readouterr()
    assert "401 for ***" in said.out
    assert "canary" not in said.out + said.err


@pytest.mark.parametrize(
    ("state_dir", "said"),
    [("both.py", "both.py is not a folder"), ("both.py/deep", "both.py is not a folder")],
)
def test_check_sees_a_state_dir_that_is_no_folder(
    write: Callable[[str], str],
    app: SimpleNamespace,
    capsys: pytest.CaptureFixture[str],
    state_dir: str,
    said: str,
) -> None:
    assert main(["check", "-c", write(GOOD.replace('"state"', f'"{state_dir}"'))]) == 1
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("made", [True, False])
def test_check_sees_a_state_dir_that_cannot_be_written(
    write: Callable[[str], str],
    app: SimpleNamespace,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    made: bool,
) -> None:
    if made:
        (tmp_path / "state").mkdir()
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may do everything
    assert main(["check", "-c", write(GOOD)]) == 1
    verb = "written to" if made else f"made: {tmp_path} cannot be written to"
    assert f"{tmp_path}/state cannot be {verb} by user" in capsys.readouterr().out
    assert (tmp_path / "state").exists() == made
