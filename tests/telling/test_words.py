"""Times in words."""

from __future__ import annotations

import math

import pytest
from tests.telling.views import NOW

from scaler.telling.words import ago, count, moment, span


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (-5, "0 s"),
        (0.4, "0 s"),
        (99, "99 s"),
        (100, "2 min"),
        (840, "14 min"),
        (5399, "90 min"),
        (5400, "1 h 30 min"),
        (7200, "2 h"),
        (86399, "24 h"),
        (86400, "1 d"),
        (183600, "2 d 3 h"),
        (math.inf, "an unknown time"),
        (math.nan, "an unknown time"),
    ],
)
def test_spans(seconds: float, told: str) -> None:
    assert span(seconds) == told


def test_moments() -> None:
    assert moment(NOW, NOW) == "22:13 UTC"
    assert moment(NOW - 86400, NOW) == "2023-11-13 22:13 UTC"
    assert moment(1e20, NOW) == "an unknown time"
    assert moment(math.nan, NOW) == "an unknown time"
    assert ago(NOW - 840, NOW) == "21:59 UTC (14 min ago)"
    assert ago(NOW + 840, NOW) == "22:27 UTC"


def test_counts() -> None:
    assert [count(number, "job") for number in (0, 1, 2)] == ["0 jobs", "1 job", "2 jobs"]
