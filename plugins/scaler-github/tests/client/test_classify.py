from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_github.client import Kind, parse_config_url
from scaler_github.client.classify import TABLE, classify
from scaler_github.client.rights import missing, missing_right
from scaler_github.client.transport import Response


def type_body(name: str, message: str = "no") -> bytes:
    space = "GitHub.Actions.Runtime.WebApi"
    return json.dumps({"typeName": f"{space}.{name}, {space}", "message": message}).encode()


DATE = "Sat, 21 Nov 2026 20:00:00 GMT"
NOW = 1795291200.0  # the same


CASES: list[tuple[int, dict[str, str], bytes, Kind, float]] = [
    (200, {}, b"", Kind.OK, 0),
    (202, {}, b"", Kind.OK, 0),
    (204, {}, b"", Kind.OK, 0),
    (500, {}, b"", Kind.RETRY, 0),
    (502, {}, b"<html>", Kind.RETRY, 0),
    (503, {"retry-after": "7"}, b"", Kind.RETRY, 7),
    (408, {}, b"", Kind.RETRY, 0),
    (429, {}, b"", Kind.WAIT, 60),
    (429, {"retry-after": "0"}, b"", Kind.WAIT, 1),
    (429, {"retry-after": "90"}, b"", Kind.WAIT, 90),
    (429, {"retry-after": "999999"}, b"", Kind.WAIT, 3600),
    (429, {"retry-after": "soon"}, b"", Kind.WAIT, 60),
    (429, {"retry-after": "Sat, 21 Nov 2026 20:02:00 GMT"}, b"", Kind.WAIT, 120),
    (403, {"retry-after": "30"}, b"", Kind.WAIT, 30),
    (
        403,
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW) + 100)},
        b"",
        Kind.WAIT,
        100,
    ),
    (
        403,  # our clock is an hour off, GitHub's Date is not
        {
            "x-ratelimit-remaining": "0",
            "x-ratelimit-reset": str(int(NOW) + 3600),
            "date": "Sat, 21 Nov 2026 20:59:00 GMT",
        },
        b"",
        Kind.WAIT,
        60,
    ),
    (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "x"}, b"", Kind.WAIT, 60),
    (403, {}, b'{"message": "You exceeded a Secondary rate limit."}', Kind.WAIT, 60),
    (
        429,
        {
            "retry-after": "1",
            "x-ratelimit-remaining": "0",
            "x-ratelimit-reset": str(int(NOW) + 100),
        },
        b"",
        Kind.WAIT,
        100,
    ),
    (403, {"x-ratelimit-remaining": "12"}, b"", Kind.CREDENTIAL, 0),
    (403, {}, type_body("AccessDeniedException"), Kind.CREDENTIAL, 0),
    (401, {}, b"", Kind.REFRESH, 0),
    (401, {"retry-after": "5"}, type_body("AgentNotFoundException"), Kind.REFRESH, 0),
    (404, {}, b"", Kind.GONE, 0),
    (404, {}, type_body("RunnerAdminException"), Kind.GONE, 0),
    (400, {}, type_body("AgentNotFoundException"), Kind.GONE, 0),
    (409, {}, b"", Kind.CONFLICT, 0),
    (409, {}, type_body("RunnerScaleSetSessionConflictException"), Kind.CONFLICT, 0),
    (400, {}, type_body("RunnerScaleSetSessionConflictException"), Kind.CONFLICT, 0),
    (409, {}, type_body("AgentExistsException"), Kind.EXISTS, 0),
    (400, {}, type_body("AgentExistsException"), Kind.EXISTS, 0),
    (409, {}, b'{"message": "Already exists - A runner with that name"}', Kind.EXISTS, 0),
    (422, {}, b'{"message": "Name already exists"}', Kind.EXISTS, 0),
    (400, {}, type_body("RunnerScaleSetExistsException"), Kind.EXISTS, 0),
    (410, {}, b"", Kind.GONE, 0),
    (429, {"x-ratelimit-remaining": "0"}, b"", Kind.WAIT, 60),
    (403, {"x-github-sso": "required; url=https://x"}, b"", Kind.CREDENTIAL, 0),
    (400, {}, type_body("JobStillRunningException"), Kind.BUSY, 0),
    (422, {}, b'{"message": "Runner \\"x\\" is still running a job\\""}', Kind.BUSY, 0),
    (400, {}, b"", Kind.BUG, 0),
    (405, {}, b"", Kind.BUG, 0),
    (422, {}, b"[]", Kind.BUG, 0),
    (301, {"location": "https://x"}, b"", Kind.BUG, 0),
]


@pytest.mark.parametrize(("status", "headers", "body", "kind", "wait"), CASES)
def test_table(status: int, headers: dict[str, str], body: bytes, kind: Kind, wait: float) -> None:
    verdict = classify(Response(status, headers, body), "try", now=NOW)
    assert (verdict.kind, verdict.wait) == (kind, wait)


@pytest.mark.parametrize("name", [name for name, _, _ in TABLE])
def test_every_row_of_the_table_decides_a_case(name: str) -> None:
    decided = set()
    for status, headers, body, _, _ in CASES:
        verdict = classify(Response(status, headers, body), "try", now=NOW)
        decided.add(verdict.row)
    assert name in decided


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        (
            {"x-accepted-oauth-scopes": "admin:org", "x-oauth-scopes": "repo, workflow"},
            "wanted the scope admin:org, the token has repo, workflow",
        ),
        (
            {"x-accepted-oauth-scopes": "admin:org, repo", "x-oauth-scopes": ""},
            "wanted one of the scopes admin:org, repo, the token has none",
        ),
        (
            {"x-accepted-github-permissions": "organization_self_hosted_runners=write"},
            "wanted the permission organization_self_hosted_runners=write",
        ),
        (
            {"x-github-sso": "required; url=https://github.com/orgs/a/sso?authorization=s3cret"},
            "the token is not authorised for this organisation's single sign-on: "
            "open https://github.com/orgs/a/sso",
        ),
        ({"x-github-sso": "required; url=javascript:x"}, "single sign-on"),
        ({}, ""),
    ],
)
def test_what_the_answer_says_is_missing_is_told(headers: dict[str, str], says: str) -> None:
    text = missing(headers)
    assert text == says or says in text
    assert "s3cret" not in text
    assert "javascript" not in text
    assert text in classify(Response(403, headers, b""), "try").text


@pytest.mark.parametrize(
    "secret",
    [
        "Bearer abc.def",
        "RemoteAuth AABBCC",
        "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3OTUyOTEyMDB9.c2lnbmF0dXJl",
        "ghp_simulator0000000000000000000000000000",
        "ghs_1",
        "github_pat_11AA_bb",
        "QUJD" * 20,
    ],
)
def test_what_an_error_quotes_of_a_secret_is_not_shown(secret: str) -> None:
    for body in (f"you sent {secret} here".encode(), type_body("OddException", f"saw '{secret}'.")):
        verdict = classify(Response(400, {"x-github-request-id": secret}, body), "try")
        assert secret.split()[-1] not in verdict.text + verdict.request_id
        assert "***" in verdict.text


def test_a_huge_error_is_cut_before_it_is_read() -> None:
    verdict = classify(Response(500, {}, b"a b" * 3_000_000), "try")
    assert len(verdict.text) < 300


def test_what_has_moved_is_a_persons_matter() -> None:
    verdict = classify(Response(301, {"location": "https://elsewhere/s3cret"}, b""), "list runners")
    assert "look whether url names it" in verdict.text
    assert "s3cret" not in verdict.text


def test_text_names_request_and_reason() -> None:
    headers = {"activityid": "abc-1"}
    body = type_body("AgentNotFoundException", "no agent\n5")
    text = classify(Response(404, headers, body), "list runners").text
    want = "GitHub answered 404 to list runners: AgentNotFoundException: no agent 5 (request abc-1)"
    assert text == want


def test_nothing_of_a_secret_answer_is_shown() -> None:
    body = b'{"message": "token AAB is bad"}'
    verdict = classify(Response(400, {"x-github-request-id": "r"}, body), "x", secret=True)
    assert "AAB" not in verdict.text
    assert verdict.request_id == "r"


@pytest.mark.parametrize(
    ("url", "rights"),
    [
        ("https://github.com/a", ("admin:org", "organization_self_hosted_runners: write")),
        ("https://github.com/a/b", ("repo", "administration: write")),
        ("https://github.com/enterprises/a", ("manage_runners:enterprise", "no other will do")),
    ],
)
def test_missing_rights_are_named(url: str, rights: tuple[str, ...]) -> None:
    text = missing_right(parse_config_url(url, {}))
    assert all(right in text for right in rights)
    assert " App " not in text


HEADERS = st.dictionaries(
    st.sampled_from(
        ["retry-after", "date", "x-ratelimit-remaining", "x-ratelimit-reset", "activityid"]
    ),
    st.text() | st.integers().map(str),
)


@given(st.integers(100, 599), HEADERS, st.binary())
def test_any_answer_has_a_class(status: int, headers: dict[str, str], body: bytes) -> None:
    verdict = classify(Response(status, headers, body), "x")
    assert verdict.wait == 0 or 1 <= verdict.wait <= 3600
    assert verdict.text.isprintable()
