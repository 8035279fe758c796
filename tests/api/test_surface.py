"""What plugins can rely on neither goes nor changes, and what comes raises the API's version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.api import surface as kit

import scaler
from scaler.api import version

if TYPE_CHECKING:
    from pathlib import Path


def test_nothing_that_plugins_rely_on_has_gone_or_changed() -> None:
    lost = kit.lost(kit.kept(), kit.surface())
    assert lost == [], "this needs a major version: docs/reference/compatibility.md"


def test_what_came_is_written_down_with_the_version_that_brought_it() -> None:
    new = kit.new(kit.kept(), kit.surface())
    assert new == [], "raise scaler.API's minor version, then: python -m tests.api.surface"


def test_nothing_is_of_a_version_that_is_not_there_yet() -> None:
    ours = version(scaler.API)
    since = {version(each) for each in kit.kept().values()}
    assert max(since) <= ours
    assert {major for major, _ in since} == {ours[0]}


def test_no_two_lines_are_the_same() -> None:
    now = kit.surface()
    assert len(set(now)) == len(now)


@pytest.mark.parametrize(
    "line",
    [
        "hook on_message(message: Message) -> None async: tell, 10 s, nothing or None",
        "Context.view(self) -> View",
        "Context.config",
        "Runner.name: str (needed)",
        "Runner.reason: str",
        "RunnerState.IDLE = 'idle'",
        "class NoRoom(Outcome, ScalerError)",
        "Refused(self, code: str, text: str = ...) -> None",
        "scaler.API",
        "Guest.boot(self) -> str async",
        "Secret.reveal(self) -> str",
        "Need = 'required' | 'useful' | 'unseen'",
    ],
)
def test_all_sorts_of_things_are_in_it(line: str) -> None:
    assert line in kit.surface()


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(kit, "FILE", tmp_path / "surface.txt")
    return tmp_path / "surface.txt"


def api(monkeypatch: pytest.MonkeyPatch, number: str, *lines: str) -> None:
    monkeypatch.setattr(scaler, "API", number)
    monkeypatch.setattr(kit, "surface", lambda: list(lines))


def test_each_line_keeps_the_version_that_it_came_with(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    api(monkeypatch, "1.0", "a", "b")
    assert kit.main([]) == 0
    api(monkeypatch, "1.0", "a", "b", "c")
    assert kit.main([]) == 1, "1.0 is written down already"
    assert "raise scaler.API, 1.0" in capsys.readouterr().out
    api(monkeypatch, "1.1", "c", "b", "a")
    assert kit.main([]) == 0
    assert file.read_text().splitlines()[1:] == ["1.1 c", "1.0 b", "1.0 a"]
    api(monkeypatch, "1.2", "b", "c")
    assert kit.main([]) == 1
    assert capsys.readouterr().out.endswith("major version:\n  a\n")
    assert kit.main(["--unreleased"]) == 0
    assert file.read_text().splitlines()[1:] == ["1.0 b", "1.1 c"]


def test_what_went_and_what_came_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    before: dict[str, Any] = dict.fromkeys(kit.surface(), "1.0")
    monkeypatch.setattr(scaler, "__all__", [n for n in scaler.__all__ if n != "Panel"] + ["log"])
    now = kit.surface()
    assert "Panel.title: str (needed)" in kit.lost(before, now)
    assert [line for line in kit.new(before, now) if line.startswith("scaler.log")]
