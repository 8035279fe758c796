from __future__ import annotations

import pytest

from scaler_monitor.settings import Config, parse


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8000", ("127.0.0.1", 8000)),
        ("0.0.0.0:0", ("0.0.0.0", 0)),
        ("vm-host.example:80", ("vm-host.example", 80)),
        ("[::1]:8000", ("::1", 8000)),
        ("[2001:DB8::0:1]:65535", ("2001:db8::1", 65535)),
        ("[fe80::1%eth0]:8000", ("fe80::1%eth0", 8000)),
        ("unix:/run/scaler/monitor.sock", "/run/scaler/monitor.sock"),
    ],
)
def test_addresses(text: str, address: object) -> None:
    assert parse(text) == address
    assert Config(listen=(text,)).listen == (text,)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "wanted"),
        ("8000", "wanted"),
        (":8000", "wanted"),
        ("localhost", "wanted"),
        ("localhost:", "wanted"),
        ("localhost:http", "wanted"),
        ("localhost:-1", "wanted"),
        ("localhost:٨٠", "wanted"),
        ("localhost:65536", "65535 at most"),
        ("::1:8000", "wanted"),
        ("[::1]", "wanted"),
        ("[::g]:80", "::g is not an IPv6 address"),
        ("[127.0.0.1]:80", "127.0.0.1 is not an IPv6 address"),
        ("http://localhost:80", "wanted"),
        ("a b:80", "wanted"),
        ("unix:", "the whole path"),
        ("unix:run/monitor.sock", "the whole path"),
        ("unix:/run/\0", "the whole path"),
        ("unix:/" + "x" * 107, "107 bytes"),
    ],
)
def test_what_is_no_address(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        Config(listen=("127.0.0.1:8000", text))
    assert str(caught.value).startswith("listen: ")


def test_addresses_together() -> None:
    with pytest.raises(ValueError, match=r"^listen: at least one"):
        Config(listen=())
    with pytest.raises(ValueError, match=r"^listen: .* twice"):
        Config(listen=("[::1]:80", "[0::1]:80"))
    assert len(Config(listen=("127.0.0.1:0", "127.0.0.1:0")).listen) == 2
    assert Config().listen == ("127.0.0.1:8000",)
