"""Durations, sizes and secrets."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler import Duration, Secret, Size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("30s", 30), ("1.5m", 90), ("1h30m", 5400), ("24h", 86400), ("2d", 172800)],
)
def test_a_duration_is_read_with_its_units(text: str, seconds: float) -> None:
    assert Duration.parse(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "30", "s", "-5s", "5 s", "1w", "1h 30m", "30S", "１s", "5s\n"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a duration with a unit"):
        Duration.parse(text)


@given(st.integers(0, 10**12))
def test_a_duration_is_written_as_it_is_read(milliseconds: int) -> None:
    duration = Duration(milliseconds / 1000)
    assert round(Duration.parse(str(duration)) * 1000) == milliseconds


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("17", 17), ("1K", 1024), ("512M", 512 << 20), ("4G", 4 << 30), ("4GiB", 4 << 30),
     ("4GB", 4 << 30), ("1.5 T", 3 << 39), (" 1B ", 1)],
)  # fmt: skip
def test_a_size_is_read_with_its_unit(text: str, size: int) -> None:
    assert Size.parse(text) == size


@pytest.mark.parametrize("text", ["", "G", "-1G", "4g", "4P", "1e3", "0x10", "1 2"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a size with a unit"):
        Size.parse(text)


@given(st.integers(0, 1 << 53))
def test_a_size_is_written_as_it_is_read(size: int) -> None:
    assert Size.parse(str(Size(size))) == size


TEXTS = st.text(min_size=4).filter(lambda text: text not in "Secret('***')")


@given(TEXTS)
def test_a_secret_shows_nowhere(text: str) -> None:
    secret = Secret(text)
    shown = [
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret!r:>20}",
        f"{[secret]}",
        f"{secret}",
    ]
    assert not any(text in each for each in shown)
    assert secret.reveal() == text
    assert not hasattr(secret, "__dict__")


@given(st.text(), st.text())
def test_secrets_are_equal_where_their_texts_are(one: str, other: str) -> None:
    assert (Secret(one) == Secret(other)) == (one == other)
    assert Secret(one) != one
    assert hash(Secret(one)) == hash(Secret(one))
    assert bool(Secret(one)) == bool(one)


@pytest.mark.parametrize("carry", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_secret_is_not_carried_off(carry: object) -> None:
    assert callable(carry)
    with pytest.raises(TypeError, match="a secret is not pickled"):
        carry(Secret("x"))
