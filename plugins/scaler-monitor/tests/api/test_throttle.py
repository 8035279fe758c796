"""How much one caller may ask (D13)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_monitor.api.throttle import Buckets


def test_a_burst_and_then_a_rate() -> None:
    buckets = Buckets(rate=2, burst=3)
    assert [buckets.take("a", 10.0) for _ in range(3)] == [0, 0, 0]
    assert buckets.take("a", 10.0) == 0.5
    assert buckets.take("b", 10.0) == 0
    assert buckets.take("a", 10.25) == 0.25
    assert buckets.take("a", 10.5) == 0
    assert buckets.take("a", 10.5) > 0


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 3)), max_size=60),
    st.floats(0.1, 5),
    st.integers(1, 10),
)
def test_d13_nobody_gets_more(asked: list[tuple[str, float]], rate: float, burst: int) -> None:
    buckets = Buckets(rate=rate, burst=burst)
    now, granted = 100.0, {"a": 0, "b": 0}
    for key, later in asked:
        now += later
        wait = buckets.take(key, now)
        granted[key] += wait == 0
        assert 0 <= wait <= 1 / rate + 1e-6
    for count in granted.values():
        assert count <= burst + rate * (now - 100.0) + 1e-6


@given(st.floats(0.1, 5), st.integers(1, 10), st.integers(0, 20))
def test_who_waits_as_told_gets_one(rate: float, burst: int, asked: int) -> None:
    buckets = Buckets(rate=rate, burst=burst)
    for _ in range(asked):
        buckets.take("a", 5.0)
    wait = buckets.take("a", 5.0)
    assert wait == 0 or buckets.take("a", 5.0 + wait + 1e-6) == 0


def test_d13_memory_is_bounded() -> None:
    buckets = Buckets(rate=0.001, burst=5, most=100)
    for number in range(10_000):
        buckets.take(str(number), 0.0)
    assert len(buckets) == 100


def test_what_is_full_again_is_forgotten() -> None:
    buckets = Buckets(rate=1, burst=5)
    for number in range(50):
        buckets.take(str(number), 0.0)
    assert len(buckets) == 50
    buckets.take("later", 5.0)
    assert len(buckets) == 1


@pytest.mark.parametrize(("rate", "burst", "most"), [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_numbers_that_make_no_sense(rate: float, burst: float, most: int) -> None:
    with pytest.raises(ValueError, match="wanted"):
        Buckets(rate=rate, burst=burst, most=most)
