"""Which proxy for which address: what is set, what the environment says, what httpx makes of it."""

from __future__ import annotations

import ssl

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scaler_github.client.wire.proxies import Proxies, read_proxy
from scaler_github.client.wire.route import Origin

NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD")
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
PROXY = "http://proxy:3128"


@pytest.fixture(autouse=True)
def empty(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def found(url: str, proxies: Proxies | None = None) -> str | None:
    address = httpx.URL(url)
    port = address.port or {"http": 80, "https": 443}[address.scheme]
    proxy = (proxies or Proxies()).find(address.scheme, address.raw_host.decode(), port)
    return proxy.origin.authority if proxy else None


@pytest.mark.parametrize(
    ("url", "origin", "authorization"),
    [
        ("http://proxy", Origin(False, "proxy", 80), None),
        ("https://proxy/", Origin(True, "proxy", 443), None),
        ("http://[::1]:3128", Origin(False, "::1", 3128), None),
        ("http://bücher.example:1", Origin(False, "xn--bcher-kva.example", 1), None),
        ("http://u:p%40%3A@h:1", Origin(False, "h", 1), b"Basic dTpwQDo="),
        ("http://u@h:1", Origin(False, "h", 1), b"Basic dTo="),
    ],
)
def test_addresses_of_proxies(url: str, origin: Origin, authorization: bytes | None) -> None:
    proxy = read_proxy(url)
    assert (proxy.origin, proxy.authorization) == (origin, authorization)


@pytest.mark.parametrize(
    "url", ["", "proxy:3128", "socks5://s3cret@h:1", "http://", "http://s3cret@h:x", "http://a..b"]
)
def test_what_is_no_proxy_is_told_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="a proxy is http://") as caught:
        read_proxy(url)
    assert "s3cret" not in str(caught.value)


def test_one_that_is_set_counts_for_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://other:1")
    monkeypatch.setenv("NO_PROXY", "*")
    proxies = Proxies(PROXY)
    for url in ("http://a", "https://a", "http://127.0.0.1", "https://localhost:8443"):
        assert found(url, proxies) == "proxy:3128"
    with pytest.raises(ValueError, match="a proxy is"):
        Proxies("ftp://x")


def test_the_environment_by_scheme_and_in_either_case(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found("https://a") is None
    monkeypatch.setenv("all_proxy", "every:1")  # without a scheme
    monkeypatch.setenv("HTTPS_PROXY", "https://upper:2")
    assert (found("http://a"), found("https://a")) == ("every:1", "upper:2")
    monkeypatch.setenv("https_proxy", "http://lower:3")
    assert found("https://a") == "lower:3"
    for url in ("http://localhost", "https://127.0.0.1:8443", "https://[::1]", "http://LOCALHOST"):
        assert found(url) is None
    assert found("http://127.0.0.2") == "every:1"


def test_one_that_cannot_be_used_is_told_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://s3cret@h:1")
    proxies = Proxies()
    assert found("http://a", proxies) is None
    with pytest.raises(ValueError, match=r"HTTPS_PROXY.*http://host:port") as caught:
        found("https://a", proxies)
    assert "s3cret" not in str(caught.value)


EXCEPTIONS = [
    ("example.com", "example.com", True),
    ("example.com", "www.example.com", True),
    ("example.com", "wwwexample.com", False),
    ("example.com", "example.com.evil", False),
    (".example.com", "example.com", False),
    (".example.com", "www.example.com", True),
    ("EXAMPLE.com", "Example.Com", True),
    ("example.com:8443", "example.com:8443", True),
    ("example.com:8443", "example.com", False),
    ("10.0.0.1", "10.0.0.1", True),
    ("10.0.0.1", "110.0.0.1", False),
    ("10.0.0.0/8", "10.0.0.0", True),
    ("10.0.0.0/8", "10.0.0.1", False),  # a range is not understood
    ("fe80::1", "[fe80::1]:8443", True),
    ("https://example.com", "example.com", True),
    ("http://example.com", "example.com", False),
    ("*", "anything", True),
    ("a, *", "anything", True),
    ("localhost", "localhost:1", True),
    (" a.example , example.com ,", "example.com", True),
]


@pytest.mark.parametrize(("exceptions", "host", "direct"), EXCEPTIONS)
def test_exceptions(
    monkeypatch: pytest.MonkeyPatch, exceptions: str, host: str, direct: bool
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", exceptions)
    assert (found(f"https://{host}") is None) == direct
    assert (by_httpx(f"https://{host}") is None) == direct


def test_things_that_httpx_does_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", "example.com:443,[fe80::1]")
    assert found("https://example.com") is None  # the usual port is a port
    monkeypatch.setenv("NO_PROXY", "bücher.example")
    assert found("https://www.bücher.example") is None  # where httpx refuses to start
    monkeypatch.setenv("NO_PROXY", "[fe80::1]")
    assert found("https://[fe80::1]") is None  # where httpx refuses to start


def by_httpx(url: str) -> str | None:
    """What httpx would do, with the loopback as the client of old had it."""
    loopback = ("all://localhost", "all://127.0.0.1", "all://[::1]")
    client = httpx.AsyncClient(verify=TLS, mounts=dict.fromkeys(loopback, None))
    chosen = client._transport_for_url(httpx.URL(url))
    if chosen is client._transport:
        return None
    assert isinstance(chosen, httpx.AsyncHTTPTransport)
    proxied = getattr(chosen._pool, "_proxy_url").origin  # noqa: B009 - of its workings
    return f"{proxied.host.decode()}:{proxied.port}"


HOSTS = st.sampled_from(
    ["a.b", "x.a.b", "xa.b", "b", "127.0.0.1", "10.0.0.1", "localhost", "[::1]", "[fe80::2]"]
)
PARTS = st.sampled_from(
    [
        *("a.b", ".a.b", "b", "x.a.b", "10.0.0.1", "10.0.0.1/8", "fe80::2", "localhost", ""),
        *("a.b:8443", "http://a.b", "all://x.a.b", "https://", "all://", "http://b:8443"),
        *("127.0.0.1", "::1", "all://*"),
    ]
)
ADDRESS = st.sampled_from(["", "http://one:1", "two:2", "https://three:3"])


@settings(
    max_examples=2 * settings().max_examples,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    scheme=st.sampled_from(["http", "https"]),
    host=HOSTS,
    port=st.sampled_from(["", ":8443"]),
    variables=st.fixed_dictionaries(
        {"HTTP_PROXY": ADDRESS, "https_proxy": ADDRESS, "ALL_PROXY": ADDRESS}
    ),
    exceptions=st.lists(PARTS, max_size=3),
)
def test_httpx_chooses_the_same(
    scheme: str, host: str, port: str, variables: dict[str, str], exceptions: list[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        patch.setenv("NO_PROXY", ",".join(exceptions))
        url = f"{scheme}://{host}{port}/"
        assert found(url) == by_httpx(url)
