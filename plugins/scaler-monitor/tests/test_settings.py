from __future__ import annotations

from pathlib import Path

import pytest

from scaler_monitor.settings import Config, StaticFolder, parse


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


def test_no_address_is_behind_both_doors() -> None:
    with pytest.raises(ValueError, match=r"^guest_listen: '127.0.0.1:80' is there twice"):
        Config(listen=("127.0.0.1:80",), guest_listen=("127.0.0.1:80",))
    with pytest.raises(ValueError, match=r"^guest_listen: 'x': wanted"):
        Config(guest_listen=("x",))


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("", ""),
        ("http://ci.example.org", "http://ci.example.org/"),
        ("https://ci.example.org/", "https://ci.example.org/"),
        ("https://ci.example.org:8443/scaler", "https://ci.example.org:8443/scaler/"),
        ("http://[2001:db8::1]:80", "http://[2001:db8::1]:80/"),
    ],
)
def test_what_others_reach_it_as(text: str, url: str) -> None:
    assert Config(external_base_url=text).base_url == url


@pytest.mark.parametrize(
    "text",
    [
        *("ci.example.org", "//ci.example.org", "ftp://ci.example.org", "http://", "http:///x"),
        *("http://h:99999", "http://h:x", "http://h/?q", "http://h/#f", "http://u:p@h/"),
        *(
            "http://h/ x",
            "http://h/\n",
            "http://[x/",
            "javascript:alert(1)",
            'http://h/"',
            "http://é",
        ),
    ],
)
def test_what_is_no_address_of_a_page(text: str) -> None:
    with pytest.raises(ValueError, match=r"^external_base_url: found .*, wanted one such as"):
        Config(external_base_url=text)


@pytest.mark.parametrize(
    ("served", "why"),
    [
        *((each, "wanted a path such as") for each in ("", "/", "a", "/a/", "//a", "/a//b", "/.a")),
        *(
            (each, "wanted a path such as")
            for each in ("/a/..", "/a/.git", "/<x>", "/a b", "/a%2fb")
        ),
        *((each, "one of our own") for each in ("/boot", "/boot/x", "/profile/a", "/metrics")),
    ],
)
def test_what_no_folder_is_served_as(served: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"^static: .*{why}"):
        Config(static={served: StaticFolder(path=Path("/srv"))})


def test_what_folders_are_served_as() -> None:
    for served in ("/image-deps", "/a/b", "/a.git", "/boots"):
        assert Config(static={served: StaticFolder(path=Path("/srv"))}).static


@pytest.mark.parametrize(
    ("network", "why"),
    [
        ("10.0.0.1/8", "has host bits set"),
        ("proxy.example", "does not appear to be"),
        ("", "does not appear to be"),
        ("0.0.0.0/0", "is everybody"),
        ("::/0", "is everybody"),
    ],
)
def test_what_is_no_proxy(network: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"^trusted_proxies: .*{why}.*; wanted one such as"):
        Config(trusted_proxies=("10.0.0.0/8", network))


@pytest.mark.parametrize("host", ["", "a:80", "http://a", "*.a", "a b", "[::1]"])
def test_what_is_no_name(host: str) -> None:
    with pytest.raises(ValueError, match=r"^allowed_hosts: .*: wanted a name, without a port"):
        Config(allowed_hosts=("good.example", host))
