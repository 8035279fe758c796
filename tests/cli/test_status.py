"""What `scaler status` shows: how it is in the first line, what is wrong and its cure, the rest."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.cli.canned import NIGHT, job, problem, profile, room, runner, status
from tests.cli.fake import NOW, Refused, plain, screen

from scaler.cli.showing.columns import Cell, Column, breadth, cut, table
from scaler.cli.showing.status import Page, fitted, shown
from scaler.cli.showing.times import ago, clock, span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Ask = Callable[..., tuple[int, list[str], list[str]]]

pytestmark = pytest.mark.once


def uncoloured(text: str, _colour: str) -> str:
    return text


def lines(of: Mapping[str, Any], width: int | None = None, most: int | None = None) -> list[str]:
    return shown(of, Page(width=width, paint=uncoloured, most=most))


def rows(found: list[str], head: str) -> list[list[str]]:
    """The rows of one table, each cut into its cells."""
    at = next(at for at, line in enumerate(found) if line.startswith(head))
    rest = found[at + 1 :]
    end = rest.index("") if "" in rest else len(rest)
    return [[cell for cell in line.split("  ") if cell.strip()] for line in rest[:end]]


def row(found: list[str], head: str, first: str) -> dict[str, str]:
    """One row by the heads of its columns: its cells begin or end where they do."""
    top = next(line for line in found if line.startswith(head))
    line = next(line for line in found if line.startswith(first))
    cells = {}
    for name in re.finditer(r"\S+", top):
        for cell in re.finditer(r"\S+(?: \S+)*", line):
            if cell.start() == name.start() or cell.end() == name.end():
                cells[name[0]] = cell[0]
    return cells


@pytest.mark.parametrize(
    ("waiting", "busy", "note"),
    [
        (12, 8, "12 more jobs wait: max_count is 8"),
        (1, 8, "1 more job waits: max_count is 8"),
        (12, 7, None),
        (0, 8, None),
        (None, 8, None),
    ],
)
def test_jobs_that_the_source_keeps_are_noted(
    waiting: int | None, busy: int, note: str | None
) -> None:
    full = profile("linux", counts={"busy": busy}, demand=8, target=8, waiting=waiting)
    assert row(lines(status(profiles=[full])), "PROFILE", "linux ").get("NOTE") == note


def test_the_reference_shows_it_as_it_is() -> None:
    page = Path(__file__).parents[2] / "docs/reference/commands.md"
    [example] = re.findall(r"\n\$ scaler status\n(.*?)\n```", page.read_text(), re.DOTALL)
    assert example.splitlines() == [line.rstrip() for line in lines(NIGHT, width=110)]


# --- the verdict ----------------------------------------------------------------------------


def test_the_first_line_says_that_all_is_well() -> None:
    first = lines(status())[0]
    assert first.startswith("scaler try: all is well")
    assert "1 runner" in first
    assert "up 3d3h" in first


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"problems": [problem("a", "b")], "ok": False}, "try: 1 thing needs you"),
        ({"problems": [problem("a", "b")] * 3, "ok": False}, "try: 3 things need you"),
        ({"problems": [problem("a", "b", order=True)]}, "try: all is well, 1 thing to know"),
        ({"stopping": True}, "try is stopping"),
        ({"ok": False}, "try: not all is well"),
    ],
)
def test_the_first_line_says_what_it_is_that_is_not(changes: dict[str, Any], told: str) -> None:
    assert lines(status(**changes))[0].startswith(f"scaler {told}")


def test_problems_come_next_with_their_cures() -> None:
    found = lines(NIGHT)
    at = found.index("  ! profile linux: no room has 8G of memory left")
    assert found[at + 1] == "    → add a host, or lower memory"
    assert found[at + 2] == "  ! plugin github: the token was refused (401)"
    assert found.index("  ! profile large: paused since 17:20 UTC") > at
    assert at < next(at for at, line in enumerate(found) if line.startswith("PROFILE"))


# --- the tables -----------------------------------------------------------------------------


def test_profiles_say_what_they_have_and_what_holds_them() -> None:
    found = lines(NIGHT)
    linux = row(found, "PROFILE", "linux ")
    assert (linux["RUNNERS"], linux["BUSY"], linux["IDLE"], linux["STARTING"]) == (
        *("4/5", "2", "1", "1"),
    )
    assert (linux["OTHER"], linux["JOBS"], linux["MAX"]) == ("1 held", "5", "8")
    assert linux["NOTE"] == "no room has 8G of memory left"
    assert row(found, "PROFILE", "large ")["NOTE"] == "paused 53m20s ago by root"


@pytest.mark.parametrize(("order", "colour"), [(True, "yellow"), (False, "red"), (None, "")])
def test_a_profile_has_the_colour_of_what_is_told_of_it(order: bool | None, colour: str) -> None:
    told = [] if order is None else [{**problem("profile linux", "x"), "order": order}]
    there = status(
        profiles=[profile("linux", counts={"idle": 1}, target=2)],
        problems=[*told, problem("profile other", "x")],
    )
    painted = Page(width=None, paint=lambda text, colour: f"<{colour}>{text}")
    (line,) = [each for each in shown(there, painted) if "linux" in each and "1/2" in each]
    assert (f"<{colour}>1/2" in line) == bool(colour)
    assert ("<" in line) == bool(colour)


def test_a_room_that_is_drained_and_empty_can_be_switched_off() -> None:
    found = lines(NIGHT)
    empty = row(found, "ROOM", "vm2 ")
    assert empty["STATE"] == "drained"
    assert empty["NOTE"].startswith("empty: safe to switch off; drained 1m05s ago by ada")
    assert row(found, "ROOM", "vm1 ")["USED"] == "memory 8G/32G, vcpus 4/16"
    drained = {"since": NOW, "by": ""}
    full = lines(status(rooms=[room("vm1", machines=2, drained=drained)]))
    assert row(full, "ROOM", "vm1 ")["STATE"] == "draining"
    assert "safe" not in "\n".join(full)
    unknown = lines(status(rooms=[room("vm1", state="down", drained=drained)]))
    assert "safe" not in "\n".join(unknown)
    for changes in ({"state": "unknown"}, {}):
        ledger = status(rooms=[room("vm1", drained=drained, **changes)], running=False)
        assert "safe" not in "\n".join(lines(ledger)), "the ledger knows nothing of now"


def test_rooms_of_one_name_are_told_apart_as_commands_know_them() -> None:
    found = lines(status(rooms=[room("a"), room("a", plugin="more"), room("b")]))
    assert [each[0] for each in rows(found, "ROOM")] == ["hosts/a", "more/a", "b"]


def test_runners_that_work_come_first_and_of_them_the_longest() -> None:
    found = rows(lines(NIGHT), "RUNNER")
    assert [each[0] for each in found] == ["linux.3", "linux.2", "linux.5", "linux.1", "linux.4"]
    assert found[0][1:4] == ["busy", " 1h06m", "1002 test"]
    assert "until in 10m00s" in found[2][-1]


def test_only_jobs_that_wait_are_listed_the_longest_first() -> None:
    found = rows(lines(NIGHT), "JOB ")
    assert [(each[0], each[2].strip()) for each in found] == [("1004", "6m40s"), ("1003", "30s")]


def test_a_long_list_is_cut_and_says_how_to_see_all() -> None:
    many = status(
        runners=[runner(number) for number in range(1, 31)],
        jobs=[job(number) for number in range(100, 131)],
    )
    found = lines(many, most=20)
    assert "… 10 more runners (scaler status --all)" in found
    assert "… 11 more jobs that wait (scaler status --all)" in found
    assert sum(line.startswith("linux.") for line in lines(many)) == 30


def test_what_holds_for_a_while_and_what_was_not_taken_is_told() -> None:
    found = "\n".join(
        lines(
            status(
                override={"counts": {"linux": 3}, "until": NOW + 600, "by": "ada"},
                reload={"ok": False, "time": NOW - 60, "problems": ["scaler.toml:3: no", "more"]},
            )
        )
    )
    assert "more runners by ada until 18:23:20 UTC (in 10m00s): linux +3" in found
    assert "the settings that were read 1m00s ago are wrong:\n  scaler.toml:3: no\n  more" in found


def test_a_scaler_of_another_version_is_understood_as_far_as_it_goes() -> None:
    more = status(novelty={"a": 1}, runners=[runner(1, "dreaming", colour="blue")])
    assert "dreaming" in "\n".join(lines(more))
    assert lines({})[0].startswith("scaler:")
    odd: dict[str, Any] = {
        "problems": None,
        "profiles": [{}],
        "rooms": [{}],
        "runners": [{}],
        "jobs": [{}, 3],
    }
    assert lines(odd)


# --- where there is little room -------------------------------------------------------------


@pytest.mark.parametrize("width", [132, 80, 60, 40, 24, 8])
@pytest.mark.parametrize("of", [status(), NIGHT], ids=["day", "night"])
def test_no_line_is_longer_than_there_is_room_for(width: int, of: dict[str, Any]) -> None:
    assert max(breadth(line) for line in lines(of, width)) <= max(width, 18)


def test_the_least_important_goes_first_and_what_matters_stays() -> None:
    wide, narrow = lines(NIGHT, 200), lines(NIGHT, 60)
    assert "STARTING" in next(line for line in wide if line.startswith("PROFILE"))
    head = next(line for line in narrow if line.startswith("PROFILE"))
    assert "STARTING" not in head
    assert "RUNNERS" in head
    assert "NOTE" in head
    assert "no room has" in "\n".join(narrow)


def test_a_page_fits_the_lines_that_there_are() -> None:
    many = status(runners=[runner(number) for number in range(1, 300)], problems=NIGHT["problems"])
    for height in (1, 2, 5, 10, 24, 50):
        page = Page(width=80, paint=uncoloured)
        found = fitted(many, page, height, "18:00:00 UTC")
        assert len(found) <= height
        assert any(line.startswith("scaler try:") for line in found)


def test_wide_letters_are_counted_as_wide() -> None:
    found = table([Column("A"), Column("B")], [["日本", "x"], ["abcd", "y"]], None, uncoloured)
    assert found[1:] == ["日本  x", "abcd  y"]
    assert cut("日本語", 5) == "日本…"
    assert cut("abc", 0) == ""


def test_no_name_sends_a_terminal_commands() -> None:
    nasty = "\x1b[31m\n\u202e"
    odd = status(
        scaler=nasty,
        problems=[problem(nasty, nasty, nasty)],
        profiles=[profile(nasty, why=nasty)],
        rooms=[room(nasty, refuses={nasty: nasty})],
        runners=[runner(1, nasty, job=nasty)],
        jobs=[job(1, name=nasty, why=nasty)],
        reload={"ok": False, "problems": [nasty, nasty]},
    )
    for width in (None, 80, 40):
        assert all(line.isprintable() for line in lines(odd, width))


def test_times_are_short() -> None:
    told = [span(each) for each in (0, 59.9, 60, 192, 3600, 7500, 86400, 270_000, "x", None)]
    assert told == ["0s", "59s", "1m00s", "3m12s", "1h00m", "2h05m", "1d0h", "3d3h", "?", "?"]
    assert (ago(NOW - 5, NOW), ago(NOW + 90, NOW), ago(None, NOW)) == ("5s ago", "in 1m30s", "")
    assert clock(NOW) == "2026-11-22 18:13:20 UTC"
    assert clock(NOW, NOW - 60) == "18:13:20 UTC"
    assert (clock(1e99), clock(float("nan"))) == ("?", "?")


# --- the command ----------------------------------------------------------------------------


def test_the_status_of_one_that_runs(ask: Ask, other: Any) -> None:
    other.answers["status"] = NIGHT
    code, out, err = ask("status")
    assert (code, err) == (0, [])
    assert out[0].startswith("scaler try: 2 things need you")
    assert "\x1b" not in "".join(out)


def test_json_is_what_was_answered_with_exact_times(ask: Ask, other: Any) -> None:
    other.answers["status"] = NIGHT
    code, out, _ = ask("status", "--json")
    assert code == 0
    assert json.loads("\n".join(out)) == NIGHT


def test_an_answer_without_trouble_is_coloured_on_a_terminal_alone(
    other: Any, terminal: Callable[..., Any]
) -> None:
    other.answers["status"] = NIGHT
    argv = ("status", "--state-dir", str(other.folder))
    coloured = terminal(*argv)
    assert coloured.wait() == 0
    assert "\x1b[31mscaler try: 2 things need you" in coloured.output
    assert "\x1b[1mPROFILE" in coloured.output
    bare = terminal(*argv, NO_COLOR="1", columns=50)
    assert bare.wait() == 0
    assert "\x1b" not in bare.output
    assert max(map(len, bare.output.splitlines())) <= 50


def test_a_refusal_is_told_with_what_to_do(ask: Ask, other: Any) -> None:
    def refuse(_: object) -> None:
        raise Refused("internal", "scaler itself is at fault", "see its log")

    other.answers["status"] = refuse
    code, out, err = ask("status")
    assert (code, out) == (1, [])
    assert err == ["scaler itself is at fault", "→ see its log"]


def test_the_screen_of_these_tests_can_tell() -> None:
    assert screen("\x1b[Ha\x1b[K\r\nb\x1b[K\x1b[J", 10, 3) == ["a", "b", ""]
    assert screen("\x1b[Ha\r\nb\x1b[J\x1b[Hcc\x1b[K\x1b[J", 10, 3) == ["cc", "", ""]
    assert screen("\x1b[Habcdef\x1b[K", 3, 1) == ["ab"]
    assert screen("\x1b[Habc\r\nx\x1b[Hd", 3, 2) == ["dbc", "x"]
    assert plain("\x1b[31mred\x1b[0m\r\n") == "red\n"
    assert table([Column("A")], [[Cell("")]], 10, uncoloured) == ["", ""]
