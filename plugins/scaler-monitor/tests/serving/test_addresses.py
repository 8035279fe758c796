"""Addresses have one form, wherever they are compared."""

from __future__ import annotations

import pytest

from scaler_monitor.serving.addresses import caller, normalised
from scaler_monitor.serving.places import Places


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1%eth0", "10.0.0.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("10.0.0.1", "10.0.0.1"),
        ("10.0.0.01", ""),
        ("10.0.0.1%eth0", ""),
        ("host", ""),
        ("", ""),
    ],
)
def test_addresses_have_one_spelling(text: str, plain: str) -> None:
    assert normalised(text) == plain


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8::1", "2001:db8::ffff:1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("fe80::1%eth0", "fe80::2%eth1"),
    ],
)
def test_the_same_caller(one: str, other: str) -> None:
    assert caller(one) == caller(other)


def test_other_callers() -> None:
    seen = {caller(each) for each in ("10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8:0:1::1", "")}
    assert len(seen) == 5


def test_who_is_one_caller_has_the_places_of_one() -> None:
    for one, other in (("::ffff:10.0.0.1", "10.0.0.1"), ("fe80::1%eth0", "fe80::2%eth1")):
        places = Places(9, 1)
        assert places.take(one)
        assert not places.take(other)
