"""What `scaler why` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.cli.fake import NOW, FakeScaler

from scaler.cli.showing.columns import breadth
from scaler.cli.showing.why import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    Ask = Callable[..., tuple[int, list[str], list[str]]]

pytestmark = pytest.mark.once

HELD: dict[str, Any] = {
    "kind": "job",
    "name": "1003",
    "text": "no room has 8G of memory left, and each that there is has a runner in it",
    "cure": "add a host, or lower memory in [profiles.linux]",
    "facts": [["state", "assigned"], ["next runner", "none is on its way"]],
    "events": [{"time": NOW - 60, "text": "it was assigned"}],
    "kept": [{"name": "serial.log", "size": 12_345, "time": NOW, "path": "/state/7/serial.log"}],
}


def uncoloured(text: str, _colour: str) -> str:
    return text


def test_the_blocker_comes_first_and_then_what_ends_it() -> None:
    found = shown({"found": [HELD]}, NOW, None, uncoloured)
    assert found == [
        "job 1003: no room has 8G of memory left, and each that there is has a runner in it",
        "  → add a host, or lower memory in [profiles.linux]",
        "  state        assigned",
        "  next runner  none is on its way",
        "  what happened",
        "    18:12:20 UTC  it was assigned (1m00s ago)",
        "  what is kept",
        "    12.1K  /state/7/serial.log",
    ]


@pytest.mark.parametrize("width", [100, 60, 40, 20])
def test_it_is_folded_to_fit(width: int) -> None:
    found = shown({"found": [HELD, HELD], "more": 3}, NOW, width, uncoloured)
    assert max(breadth(line) for line in found) <= max(width, 38)
    assert "… and 3 more: name one of them"[:20] in "".join(found)


def test_nothing_of_it_sends_a_terminal_commands() -> None:
    nasty = "\x1b[31m\n"
    odd = {
        "kind": nasty,
        "name": nasty,
        "text": nasty,
        "cure": nasty,
        "facts": [[nasty, nasty], "x", [1]],
        "events": [{"time": None, "text": nasty}],
        "kept": [{"path": nasty, "size": None}],
        "novelty": 1,
    }
    for width in (None, 80):
        found = shown({"found": [odd, {}, 7]}, NOW, width, uncoloured)
        assert all(line.isprintable() for line in found)
    assert shown({"found": None}, NOW, 80, uncoloured) == []


def test_what_is_asked_about_is_asked(ask: Ask, other: FakeScaler) -> None:
    other.answers["why"] = {"found": [HELD]}
    code, out, err = ask("why", "1003")
    assert (code, err) == (0, [])
    assert out[0].startswith("job 1003: no room")
    assert ask("why")[0] == 0
    assert other.asked("why") == [{"about": "1003"}, {}]


def test_nothing_that_is_held_is_said(ask: Ask, other: FakeScaler) -> None:
    other.answers["why"] = {"found": []}
    assert ask("why")[1] == ["nothing waits, and nothing is held"]
