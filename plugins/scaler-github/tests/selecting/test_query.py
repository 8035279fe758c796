"""Queries: near-misses of repositories (D1), and text that would become something else (D2, D3)."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from trio.testing import MockClock

from scaler import Refused, SelectionRequest
from scaler_github.client import urls
from scaler_github.selecting.query import Query, allowed, check_allowed, read

World = Any
UNIQUE = "8d4f2e0a-9f62-4a1b-8c33-2d1d7a9f0b11"
GOOD = {"unique_id": UNIQUE, "qualified_repo": "acme/widgets", "run_id": "77"}


def query(**changed: str) -> Query:
    return read(SelectionRequest(**{**GOOD, **changed}))


@pytest.mark.parametrize(
    ("entry", "repo", "good"),
    [
        ("servo/*", "servo/servo", True),
        ("Servo/*", "sERVO/servo", True),
        ("servo/*", "servo-evil/x", False),
        ("servo/*", "serv/x", False),
        ("servo/*", "xservo/x", False),
        ("servo/*", "evil/servo", False),
        ("servo/servo", "servo/servo", True),
        ("servo/servo", "servo/SERVO", True),
        ("servo/servo", "servo/servo2", False),
        ("servo/servo", "servo/serv", False),
        ("servo/servo", "servo2/servo", False),
        ("servo/s.rvo", "servo/servo", False),
        ("a/b", "ab/b", False),
    ],
)
def test_d1_owner_and_name_are_compared_whole(entry: str, repo: str, good: bool) -> None:
    check_allowed([entry])
    assert allowed(query(qualified_repo=repo), ["other/*", entry]) is good


@pytest.mark.parametrize(
    "repo",
    [
        "",
        "servo",
        "/x",
        "servo/",
        "servo/../evil/x",
        "servo/..",
        "servo/.",
        "servo/%2e%2e",
        "servo/x%2f..",
        "servo/x/y",
        "servo//x",
        "servo\\x",
        "servo/x?y",
        "servo/x#y",
        "servo/x\n",
        "\nservo/x",
        "servo/x y",
        "servo/x\x00",
        "s_o/x",
        "servo/*",
        "a" * 40 + "/x",
        "a/" + "x" * 101,
        "sеrvo/x",  # with a Cyrillic letter
        "ſervo/x",  # which is "s" when its case is folded
        "servo/x\u0663",
    ],
    ids=range(25),
)
async def test_d2_repositories_that_are_none(
    world: World, repo: str, autojump_clock: MockClock
) -> None:
    world.build(allowed_repos=("servo/*", "s-o/*", "a/*"))
    assert await world.no(qualified_repo=repo) == "malformed-request"
    assert world.wire.sent == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("run_id", ""),
        ("run_id", "0"),
        ("run_id", "07"),
        ("run_id", "1" * 20),
        ("run_id", "\u0663"),
        ("run_id", "1_0"),
        ("run_id", " 7 "),
        ("run_id", "7\n"),
        ("run_id", "-7"),
        ("run_id", "7/artifacts/../../8"),
        ("unique_id", ""),
        ("unique_id", UNIQUE.upper()),
        ("unique_id", UNIQUE.replace("-", "")),
        ("unique_id", f"{{{UNIQUE}}}"),
        ("unique_id", f"urn:uuid:{UNIQUE}"),
        ("unique_id", f"{UNIQUE}\n"),
        ("unique_id", UNIQUE.replace("-4a", "-1a")),
        ("unique_id", UNIQUE.replace("-8c", "-cc")),
        ("unique_id", UNIQUE.replace("8", "\u0668", 1)),
    ],
    ids=range(19),
)
async def test_d3_numbers_and_ids_that_are_none(
    world: World, field: str, value: str, autojump_clock: MockClock
) -> None:
    assert await world.no(**{field: value}) == "malformed-request"
    assert world.wire.sent == []


async def test_d1_who_is_not_allowed_costs_nothing(world: World, autojump_clock: MockClock) -> None:
    for repo in ("acme-evil/widgets", "evil/acme"):
        assert await world.no(qualified_repo=repo) == "repo-not-allowed"
    assert world.wire.sent == []


ANY = st.text(max_size=120) | st.text("acme/wid.-_0%\\?#*", max_size=40)


@given(ANY)
@example("acme/..%2f..")
def test_d2_what_is_read_stays_one_place_in_an_address(text: str) -> None:
    try:
        read_one = query(qualified_repo=text)
    except Refused:
        return
    assert read_one.repository == text
    owner, name = urls.segment(read_one.owner), urls.segment(read_one.name)
    path = urlsplit(urls.join("https://api.github.com", f"repos/{owner}/{name}/actions")).path
    assert [unquote(part) for part in path.split("/")] == ["", "repos", *text.split("/"), "actions"]
    assert not {"", ".", ".."} & {owner, name}


@given(st.text(max_size=60) | st.from_regex(r"[0-9]{1,25}"))
def test_d3_runs_are_plain_numbers(text: str) -> None:
    try:
        assert query(run_id=text).run_id == text
    except Refused:
        assert not (re.fullmatch("[1-9][0-9]{0,18}", text) and text.isascii())
    else:
        assert str(int(text)) == text
        assert 0 < int(text) < 10**19


@given(st.text(max_size=60) | st.uuids().map(str) | st.uuids(version=4).map(str))
def test_d3_ids_are_canonical(text: str) -> None:
    try:
        assert query(unique_id=text).unique_id == text
    except Refused:
        return
    assert re.fullmatch(r"[0-9a-f-]{36}", text)
    assert text[14] == "4"


@given(st.uuids(version=4))
def test_d3_every_canonical_id_is_good(unique: Any) -> None:
    assert query(unique_id=str(unique)).unique_id == str(unique)
