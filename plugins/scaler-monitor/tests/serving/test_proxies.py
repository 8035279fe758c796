from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import Headers

from scaler_monitor.serving.proxies import Proxies, socket_peer

OURS = Proxies(("10.0.0.0/8", "2001:db8:1::/48"))


@pytest.mark.parametrize(
    ("forwarded", "seen"),
    [
        ([], "10.0.0.1"),
        ([""], "10.0.0.1"),
        (["192.0.2.7"], "192.0.2.7"),
        (["198.51.100.1, 192.0.2.7"], "192.0.2.7"),
        (["198.51.100.1", "192.0.2.7"], "192.0.2.7"),
        (["192.0.2.7, 10.1.1.1"], "192.0.2.7"),
        (["192.0.2.7,10.1.1.1 ,\t2001:db8:1::5"], "192.0.2.7"),
        (["198.51.100.1, 10.9.9.9, 192.0.2.7, 10.1.1.1"], "192.0.2.7"),
        (["10.2.2.2, 10.1.1.1"], "10.2.2.2"),
        (["192.0.2.7:4711"], "192.0.2.7"),
        (["[2001:db8::7]:4711"], "2001:db8::7"),
        (["[2001:db8::7]"], "2001:db8::7"),
        (["2001:DB8:0::7"], "2001:db8::7"),
        (["::ffff:192.0.2.7"], "192.0.2.7"),
        (["192.0.2.7, ::ffff:10.1.1.1"], "192.0.2.7"),
        (["2001:db8::7%eth0"], "2001:db8::7"),
        (["192.0.2.7%eth0"], "10.0.0.1"),
        (["192.0.2.7, unknown"], "10.0.0.1"),
        (["192.0.2.7, "], "10.0.0.1"),
        (["192.0.2.7, 010.1.1.1"], "10.0.0.1"),
        (["192.0.2.7; 10.1.1.1"], "10.0.0.1"),
        (["<script>"], "10.0.0.1"),
    ],
)
def test_the_last_hop_that_is_no_proxy_of_ours(forwarded: list[str], seen: str) -> None:
    headers = Headers([("X-Forwarded-For", each) for each in forwarded])
    assert OURS.client("10.0.0.1", headers) == seen
    for stranger in ("192.0.2.99", "::1", "11.0.0.1", ""):
        assert OURS.client(stranger, headers) == stranger
        assert Proxies().client(stranger, headers) == stranger


@pytest.mark.parametrize(
    ("forwarded", "seen"),
    [
        (["for=192.0.2.7"], "192.0.2.7"),
        (["For=192.0.2.7;proto=https;by=10.0.0.1"], "192.0.2.7"),
        (['for="192.0.2.7:80"'], "192.0.2.7"),
        (['for="[2001:db8::7]:80"'], "2001:db8::7"),
        (["for=198.51.100.1, for=192.0.2.7;host=x"], "192.0.2.7"),
        (["for=192.0.2.7", "for=10.1.1.1"], "192.0.2.7"),
        (["for=_hidden"], "10.0.0.1"),
        (["for=unknown"], "10.0.0.1"),
        (["by=192.0.2.7"], "10.0.0.1"),
        (["192.0.2.7"], "10.0.0.1"),
        (['for="192.0.2.7, for=192.0.2.8"'], "10.0.0.1"),
        (["for=192.0.2.7;;"], "10.0.0.1"),
    ],
)
def test_the_same_as_the_standard_writes_it(forwarded: list[str], seen: str) -> None:
    headers = Headers([("Forwarded", each) for each in forwarded])
    assert OURS.client("10.0.0.1", headers) == seen


def test_headers_that_contradict_each_other_do_not_count() -> None:
    for first, second, seen in (
        ("192.0.2.7", "for=192.0.2.7", "192.0.2.7"),
        ("192.0.2.7", "for=192.0.2.8", "10.0.0.1"),
        ("unknown", "for=192.0.2.8", "10.0.0.1"),
        ("192.0.2.7", " ", "192.0.2.7"),
    ):
        headers = Headers([("X-Forwarded-For", first), ("Forwarded", second)])
        assert OURS.client("10.0.0.1", headers) == seen


@given(before=st.text(st.characters(max_codepoint=255), max_size=200))
def test_what_a_client_writes_first_changes_nothing(before: str) -> None:
    headers = Headers([("X-Forwarded-For", f"{before.translate({10: '', 13: ''})}, 192.0.2.7")])
    assert OURS.client("10.0.0.1", headers) == "192.0.2.7"


def test_unix_sockets() -> None:
    headers = Headers([("X-Forwarded-For", "192.0.2.7")])
    assert Proxies(("unix",)).client("", headers) == "192.0.2.7"
    assert Proxies(("unix",)).client("10.0.0.1", headers) == "10.0.0.1"


def test_a_proxy_is_known_whatever_its_zone() -> None:
    proxies = Proxies(("fe80::/64",))
    peer = socket_peer({"client": ("fe80::1%eth0", 4711)})
    assert peer == "fe80::1"
    assert proxies.trusts(peer)
    assert proxies.trusts("fe80::1%eth0")
