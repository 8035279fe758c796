"""What a request may say (D3, D7, C50)."""

from __future__ import annotations

import re
import uuid
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scaler_monitor.api import params
from scaler_monitor.errors import Failure

ALL = {
    "unique_id": params.UNIQUE_ID,
    "qualified_repo": params.QUALIFIED_REPO,
    "run_id": params.RUN_ID,
}
GOOD = {
    "unique_id": "6c0f4f3a-9b3e-4c58-8f0e-3a8d4f3c2b1a",
    "qualified_repo": "acme/widget.x",
    "run_id": "42",
}


def query(**changes: str | None) -> bytes:
    values = {name: text for name, text in {**GOOD, **changes}.items() if text is not None}
    return urlencode(values).encode()


def refused(call: Any, *args: Any, **kwargs: Any) -> Failure:
    with pytest.raises(Failure) as caught:
        call(*args, **kwargs)
    return caught.value


def test_what_is_good_is_read() -> None:
    assert params.read(query(), required=ALL) == GOOD
    more = {"wait": params.WAIT}
    assert params.read(query(wait="30s"), required=ALL, optional=more)["wait"] == "30s"
    assert "wait" not in params.read(query(), required=ALL, optional=more)


@pytest.mark.parametrize("name", list(GOOD))
@pytest.mark.parametrize("how", ["missing", "empty", "twice", "wrong"])
def test_every_mistake_is_named(name: str, how: str) -> None:
    text = {
        "missing": query(**{name: None}),
        "empty": query(**{name: ""}),
        "twice": query() + b"&" + urlencode({name: GOOD[name]}).encode(),
        "wrong": query(**{name: "(wrong)"}),
    }[how]
    failure = refused(params.read, text, required=ALL)
    assert (failure.status, failure.code) == (400, "bad-parameter")
    assert f"'{name}'" in failure.text


def test_an_unknown_name() -> None:
    failure = refused(params.read, query(uniqueid="x"), required=ALL)
    assert failure.status == 400
    assert failure.text == "'uniqueid': is not known here: wanted unique_id, qualified_repo, run_id"
    assert "takes none" in refused(params.read, b"x=1", required={}).text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("unique_id", GOOD["unique_id"].upper()),
        ("unique_id", GOOD["unique_id"].replace("-4c", "-1c")),
        ("unique_id", GOOD["unique_id"].replace("-8f", "-cf")),
        ("unique_id", GOOD["unique_id"].replace("-", "")),
        ("unique_id", "{" + GOOD["unique_id"] + "}"),
        ("unique_id", GOOD["unique_id"] + "\n"),
        ("qualified_repo", "acme"),
        ("qualified_repo", "acme/"),
        ("qualified_repo", "/widget"),
        ("qualified_repo", "acme/widget/x"),
        ("qualified_repo", "acme/."),
        ("qualified_repo", "acme/.."),
        ("qualified_repo", "../widget"),
        ("qualified_repo", "acme/..\n"),
        ("qualified_repo", "acme/%2e%2e"),
        ("qualified_repo", "acme/wid get"),
        ("qualified_repo", "acme/wídget"),
        ("qualified_repo", "a" * 40 + "/x"),
        ("qualified_repo", "a/" + "x" * 101),
        ("qualified_repo", "acme/widget\n"),
        ("run_id", "0"),
        ("run_id", "-1"),
        ("run_id", "+1"),
        ("run_id", "01"),
        ("run_id", "1_0"),
        ("run_id", " 7 "),
        ("run_id", "1e3"),
        ("run_id", "٣"),
        ("run_id", "１"),
        ("run_id", "9" * 20),
        ("run_id", "42\n"),
    ],
)
def test_d3_near_misses(name: str, text: str) -> None:
    failure = refused(params.read, query(**{name: text}), required=ALL)
    assert (failure.status, failure.code) == (400, "bad-parameter")
    assert f"'{name}'" in failure.text


@pytest.mark.parametrize("text", ["acme/.x", "acme/..x", "acme/...", "a/b", "A-b/C.d_e-f"])
def test_repositories_that_there_may_be(text: str) -> None:
    assert params.read(query(qualified_repo=text), required=ALL)["qualified_repo"] == text


@given(st.uuids(version=4))
def test_d3_every_uuid_of_version_4(each: uuid.UUID) -> None:
    assert params.UNIQUE_ID.matches(str(each))


def outcome(call: Any, *args: Any, **kwargs: Any) -> Any:
    """What it answers, or the failure that it raises."""
    try:
        return call(*args, **kwargs)
    except Failure as failure:
        return failure


@pytest.mark.parametrize("name", list(GOOD))
@given(text=st.text(max_size=150))
@example(text="٣")
@example(text="1_0")
@example(text=" 7 ")
def test_d3_any_text(name: str, text: str) -> None:
    """What is read is of ASCII, without anything that has a meaning in a path, a label or a URL."""
    sent = query(**{name: text.encode(errors="replace").decode()})
    found = outcome(params.read, sent, required=ALL)
    if isinstance(found, Failure):
        assert found.status == 400
        assert f"'{name}'" in found.text
        assert len(found.text) < 400
    else:
        assert re.fullmatch(r"[A-Za-z0-9._/-]+", found[name])
        assert "/../" not in f"/{found[name]}/"


@given(st.binary(max_size=200))
@example(b"&&=&unique_id")
@example(b"\xff=\xfe")
@example(b"unique_id=%ff%fe%00")
def test_d3_any_bytes_are_a_400_or_good(raw: bytes) -> None:
    found = outcome(params.read, raw, required=ALL), outcome(params.counts, raw)
    for each in found:
        assert not isinstance(each, Failure) or each.status in (400, 413)


def test_c50_too_many_names() -> None:
    text = "&".join(f"p{number}=1" for number in range(100_000)).encode()
    assert "parameters" in refused(params.read, text, required=ALL).text
    assert "parameters" in refused(params.counts, text).text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("1m", 60),
        ("500ms", 0.5),
        ("0s", 0),
        ("60s", 60),
        ("1.5s", 1.5),
        ("60000ms", 60),
    ],
)
def test_waits(text: str, seconds: float) -> None:
    assert params.WAIT.matches(text)
    assert params.wait(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        *("30", "s", "", "1h", "-1s", "1e3s", "٣s", "1_0s", " 1s", "1s\n"),
        *("61s", "60.5s", "2m", "60001ms", "99999s", "9" * 100 + "s"),
    ],
)
def test_what_is_no_wait(text: str) -> None:
    assert not params.WAIT.matches(text)


@given(st.from_regex(params.WAIT.pattern, fullmatch=True))
def test_no_wait_is_too_long(text: str) -> None:
    assert 0 <= params.wait(text) <= 60


@pytest.mark.parametrize("text", ["0", "-1", "+1", "1e3", "٣", "1_0", " 7 ", "", "01", "1.0", "x"])
def test_d7_what_is_no_count(text: str) -> None:
    failure = refused(params.count, text)
    assert (failure.status, failure.code) == (400, "bad-parameter")
    assert "'count'" in failure.text


@pytest.mark.parametrize("text", ["10001", "1" + "0" * 30, "9" * 5000], ids=len)
def test_d7_c50_counts_that_nobody_may_have(text: str) -> None:
    assert refused(params.count, text).status == 413
    failure = refused(params.counts, b"linux=" + text.encode())
    assert (failure.status, failure.code) == (413, "too-many")
    assert "'linux'" in failure.text


@given(st.integers(1, params.MOST))
def test_counts_are_read(number: int) -> None:
    assert params.count(str(number)) == number
    assert params.counts(f"linux={number}&win-11=0".encode()) == {"linux": number, "win-11": 0}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "empty"),
        ("linux", "'linux'"),
        ("linux=", "'linux'"),
        ("linux=-1", "'linux'"),
        ("linux=1e3", "'linux'"),
        ("linux=1_0", "'linux'"),
        ("linux=" + quote("٣"), "'linux'"),
        ("linux=%201", "'linux'"),
        ("linux=1&linux=1", "'linux'"),
        ("=1", "without a name"),
    ],
)
def test_d30_what_is_no_override(text: str, named: str) -> None:
    failure = refused(params.counts, text.encode())
    assert (failure.status, failure.code) == (400, "bad-parameter")
    assert named in failure.text


def test_a_long_value_is_not_repeated() -> None:
    assert len(refused(params.read, query(run_id="x" * 5000), required=ALL).text) < 200


@given(st.text(max_size=30))
@example("٣")
@example("0")
def test_d21_runner_ids(text: str) -> None:
    found = params.runner_id(text)
    assert found is None or (found > 0 and str(found) == text)


def test_a_runner_id() -> None:
    assert params.runner_id("17") == 17
