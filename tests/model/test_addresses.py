"""Addresses: one form for each, and rubbish is nobody's."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.model.addresses import normal


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::FFFF:c000:0207", "192.0.2.7"),
        ("2001:0DB8:0:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.7%eth0", "192.0.2.7"),
        ("::192.0.2.7", "::c000:207"),  # (not mapped: another address)
    ],
)
def test_d17_an_address_has_one_form(text: str, wanted: str) -> None:
    assert normal(text) == wanted


@pytest.mark.parametrize("text", ["", "<local>", "192.0.2.07", "192.0.2.7/24", "x%eth0", " ::1"])
def test_d17_what_is_no_address_stays_as_it_is(text: str) -> None:
    assert normal(text) == text


@given(st.ip_addresses(v=4))
def test_d17_an_address_is_the_same_whichever_family_tells_it(
    address: ipaddress.IPv4Address,
) -> None:
    assert normal(f"::ffff:{address}") == normal(str(address)) == str(address)


@given(st.text() | st.ip_addresses().map(str))
def test_the_form_is_final(text: str) -> None:
    assert normal(normal(text)) == normal(text)
