from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_github.client import urls
from scaler_github.client.urls import parse_config_url


@pytest.mark.parametrize(
    ("text", "api", "path"),
    [
        ("https://github.com/acme", "https://api.github.com", "orgs/acme"),
        (" https://GitHub.COM/acme/ ", "https://api.github.com", "orgs/acme"),
        ("https://www.github.com/acme/web", "https://api.github.com", "repos/acme/web"),
        ("https://github.com:443/acme//web/", "https://api.github.com", "repos/acme/web"),
        ("https://github.com/Enterprises/Big", "https://api.github.com", "enterprises/Big"),
        ("https://github.localhost/a", "https://api.github.localhost", "orgs/a"),
        ("https://Sub.ghe.com/a/b", "https://api.sub.ghe.com", "repos/a/b"),
        ("https://ghe.corp:8443/a", "https://ghe.corp:8443/api/v3", "orgs/a"),
        ("https://notghe.com.evil/a", "https://notghe.com.evil/api/v3", "orgs/a"),
        ("http://127.0.0.1:80/a", "http://127.0.0.1/api/v3", "orgs/a"),
        ("http://localhost:8000/a", "http://localhost:8000/api/v3", "orgs/a"),
        ("http://127.9.9.9:1/a", "http://127.9.9.9:1/api/v3", "orgs/a"),
        ("http://[::1]:8000/a", "http://[::1]:8000/api/v3", "orgs/a"),
    ],
)
def test_scope_and_rest_base(text: str, api: str, path: str) -> None:
    scope = parse_config_url(text, {})
    assert (scope.api, scope.path) == (api, path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "wanted"),
        ("acme", "wanted"),
        ("https://", "wanted"),
        ("https://github.com", "wanted"),
        ("https://github.com/a/b/c", "wanted"),
        ("https://github.com/enterprises", "wanted"),
        ("https://github.com/orgs/acme", "https://HOST/acme"),
        ("https://u:p@github.com/acme", "password"),
        ("https://github.com/acme?x=1", "query"),
        ("https://github.com/acme#", "fragment"),
        ("http://github.com/acme", "https"),
        ("http://localhost.evil.org/acme", "https"),
        ("http://127.0.0.1.evil.org/acme", "https"),
        ("http://[::2]/acme", "https"),
        ("ftp://github.com/acme", "wanted"),
        ("https://github.com/a/..", "name"),
        ("https://github.com/acme/web.git", "acme/web, without .git"),
        ("https://github.com/nonsense/a/b", "found 'https://github.com/nonsense/a/b'"),
        ("https://u:p/x@github.com/acme", "wanted"),
        ("https://github.com/a%2fb", "name"),
        ("https://github.com/ä", "name"),
        ("https://github.com:99999/a", "Port"),
        ("https://github.com:0/a", "wanted"),
        ("https://github.com/a b", "wanted"),
        ("https://[::1/a", "wanted"),
    ],
)
def test_other_urls_are_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        parse_config_url(text, {})
    assert "u:p" not in str(caught.value)
    assert "'p'" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["http://proxy", "https://proxy:3128/", "http://user:pass@10.0.0.1:8080", "http://[::1]:1"],
)
def test_proxies(text: str) -> None:
    urls.check_proxy(text)


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "proxy.corp:3128",
        "//proxy",
        "http://",
        "http://proxy:port",
        "http://proxy:0",
        "socks5://proxy",
        "http://pro xy",
        "http://proxy/path",
        "http://proxy?x",
        "http://[::1",
        "http://user:s3cret@",
        "http://user:s3cret/x@proxy",
    ],
)
def test_other_proxies_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"found '.*wanted http://HOST:PORT") as caught:
        urls.check_proxy(text)
    assert "s3cret" not in str(caught.value)


def test_ghes_can_be_forced() -> None:
    scope = parse_config_url("https://github.com/acme", {"GITHUB_ACTIONS_FORCE_GHES": ""})
    assert scope.api == "https://github.com/api/v3"


@given(st.text() | st.text().map(lambda text: "https://github.com/" + text))
def test_any_text_is_a_scope_or_a_value_error(text: str) -> None:
    try:
        scope = parse_config_url(text, {})
    except ValueError:
        return
    assert parse_config_url(scope.url, {}) == scope


@pytest.mark.parametrize(
    ("base", "path", "query", "whole"),
    [
        ("https://b/rest/", "_apis/x", {}, "https://b/rest/_apis/x"),
        ("https://b/rest", "/_apis/x/", {}, "https://b/rest/_apis/x/"),
        ("https://b/m?t=%2F%3d&e", "", {"last": 3}, "https://b/m?t=%2F%3d&e&last=3"),
        ("https://b/m?last=1&t=2", "", {"last": 3}, "https://b/m?t=2&last=3"),
        ("https://b/m/?t=2", "42", {}, "https://b/m/42?t=2"),
        ("https://b", "x", {"n": "a b&c"}, "https://b/x?n=a+b%26c"),
    ],
)
def test_joining_keeps_path_and_query(
    base: str, path: str, query: dict[str, str | int], whole: str
) -> None:
    assert urls.join(base, path, query) == whole


def test_api_version_is_added_unless_there() -> None:
    assert urls.service_url("https://b/r", "x") == "https://b/r/x?api-version=6.0-preview"
    assert urls.service_url("https://b/r?API-version=7", "x") == "https://b/r/x?API-version=7"


@pytest.mark.parametrize("text", [None, "", "x", "http://svc.example/", "//h/x", "file:///x", 7])
def test_no_token_is_sent_to_such_an_address(text: object) -> None:
    with pytest.raises(ValueError, match="answer holds"):
        urls.check_base(text)
