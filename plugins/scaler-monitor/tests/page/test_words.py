from __future__ import annotations

import math

import pytest

from scaler_monitor.page.words import amount, clock, coming, count, shortened, span, stamp, when


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "under a minute"),
        (59.9, "under a minute"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (3660, "1 h 1 min"),
        (86_400, "1 d"),
        (93_600, "1 d 2 h"),
    ],
)
def test_span(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_moments() -> None:
    assert clock(100_000.0) == "03:46:40 UTC"
    assert stamp(100_000.0) == "1970-01-02T03:46:40Z"


def test_a_moment_has_its_day_where_that_is_not_today() -> None:
    assert when(100_000.0, 90_000.0) == "03:46 UTC"
    assert when(100_000.0, 86_399.0) == "1970-01-02 03:46 UTC"
    assert when(100_000.0, 180_000.0) == "1970-01-02 03:46 UTC"
    assert when(math.nan, 5.0) == when(5.0, math.inf) == "?"


def test_what_is_to_come() -> None:
    assert coming(1000.0, 0.0) == "in 16 min"
    assert coming(59.0, 0.0) == coming(0.0, 59.0) == "now"


@pytest.mark.parametrize("time", [-1.0, math.inf, math.nan, 1e300])
def test_moments_that_are_none(time: float) -> None:
    assert clock(time) == "?"
    assert stamp(time) == ""


@pytest.mark.parametrize(
    ("resource", "number", "text"),
    [
        ("memory", 4 << 30, "4 GiB"),
        ("memory", 1536 << 20, "1.5 GiB"),
        ("memory", 512, "512 B"),
        ("vcpus", 16, "16"),
        ("hugepages_1g", 12345, "12,345"),
    ],
)
def test_amount(resource: str, number: int, text: str) -> None:
    assert amount(resource, number) == text


def test_the_rest() -> None:
    assert count(1, "job") == "1 job"
    assert count(2000, "job") == "2,000 jobs"
    assert shortened("abc", 3) == "abc"
    assert shortened("abcd", 3) == "ab…"
