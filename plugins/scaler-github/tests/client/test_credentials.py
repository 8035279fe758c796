"""The chain of credentials on a clock that jumps, against a script instead of a network."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import httpx
import pytest
import trio
from trio.testing import MockClock

from scaler_github.client import (
    Credentials,
    GitHubError,
    Kind,
    Transport,
)

Script = Any
TOKEN = "ghp_secret"  # as the script's


async def test_the_chain(
    autojump_clock: MockClock, credentials: Credentials, script: Script
) -> None:
    admin = await credentials.admin()
    first, second = script.calls
    assert str(first.url) == "https://api.github.com/orgs/acme/actions/runners/registration-token"
    assert first.headers["authorization"] == f"Bearer {TOKEN}"
    assert first.content == b""
    assert str(second.url) == "https://api.github.com/actions/runner-registration"
    assert second.headers["authorization"] == "RemoteAuth AAB"
    body = {"url": "https://github.com/acme", "runner_event": "register"}
    assert json.loads(second.content) == body
    assert second.headers["user-agent"].startswith("scaler-github/")
    assert admin.url == "https://svc/rest/"
    assert admin.token not in repr(admin)


async def test_many_callers_make_one_chain(
    autojump_clock: MockClock, credentials: Credentials, script: Script
) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(credentials.admin)
    assert len(script.calls) == 2
    old = await credentials.admin()
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(credentials.admin, old)
    assert len(script.calls) == 4
    assert (await credentials.admin()) is not old


async def test_callers_share_a_failure_too(
    autojump_clock: MockClock, credentials: Credentials, script: Script
) -> None:
    script.answers["registration-token"] = httpx.Response(500)
    failures = []

    async def call() -> None:
        with pytest.raises(GitHubError) as caught:
            await credentials.admin()
        failures.append(caught.value)

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(call)
    assert len(script.calls) == 1
    assert {failure.kind for failure in failures} == {Kind.RETRY}


async def test_it_is_renewed_a_minute_before_it_ends(
    autojump_clock: MockClock, credentials: Credentials, script: Script
) -> None:
    first = await credentials.admin()
    await trio.sleep(3530)
    assert await credentials.admin() is first
    await trio.sleep(15)
    assert await credentials.admin() is not first


async def test_a_failed_renewal_keeps_the_old_until_it_ends(
    autojump_clock: MockClock, credentials: Credentials, script: Script
) -> None:
    first = await credentials.admin()
    script.answers["runner-registration"] = httpx.Response(500)
    await trio.sleep(3545)
    assert await credentials.admin() is first
    tried = len(script.calls)
    assert await credentials.admin() is first
    assert len(script.calls) == tried  # and is not tried again at once
    await trio.sleep(60)
    with pytest.raises(GitHubError):
        await credentials.admin()


async def test_a_refused_one_is_never_answered_again(
    autojump_clock: MockClock, credentials: Credentials, script: Script
) -> None:
    first = await credentials.admin()
    script.answers["registration-token"] = httpx.Response(500)
    with pytest.raises(GitHubError):
        await credentials.admin(refused=first)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_token_that_is_not_known_everywhere_yet(
    autojump_clock: MockClock, credentials: Credentials, script: Script, status: int
) -> None:
    script.answers["runner-registration"] = [httpx.Response(status)] * 4 + [script.admin()]
    began = trio.current_time()
    await credentials.admin()
    assert script.count("runner-registration") == 5
    assert trio.current_time() - began > 4


async def test_it_gives_up_after_four_more_tries(
    autojump_clock: MockClock, credentials: Credentials, script: Script
) -> None:
    script.answers["runner-registration"] = httpx.Response(401, json={"message": "AAB is bad"})
    with pytest.raises(GitHubError, match=r"the token is wrong or has expired$") as caught:
        await credentials.admin()
    assert caught.value.kind is Kind.CREDENTIAL
    assert "AAB" not in str(caught.value)
    assert script.count("runner-registration") == 5


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (401, r"R1\): the token is wrong or has expired$"),
        (403, r"R1\): a classic token .*organization_self_hosted_runners"),
        (404, r"R1\): is the url right\? https://.*; if so, .*organization_self_hosted_runners"),
    ],
)
async def test_missing_rights_are_named(
    autojump_clock: MockClock, credentials: Credentials, script: Script, status: int, says: str
) -> None:
    script.answers["registration-token"] = httpx.Response(
        status, headers={"x-github-request-id": "R1"}, json={"message": TOKEN}
    )
    with pytest.raises(GitHubError, match=says) as caught:
        await credentials.admin()
    assert caught.value.kind is Kind.CREDENTIAL
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    "body", ["", "[]", "{}", '{"url": "", "token": "x"}', '{"url": "http://h/", "token": "x"}',
             '{"url": "https://h/", "token": ""}', '{"url": "https://h/", "token": "a\\nb"}']
)  # fmt: skip
async def test_half_an_answer_changes_nothing(
    autojump_clock: MockClock, credentials: Credentials, script: Script, body: str
) -> None:
    first = await credentials.admin()
    script.answers["runner-registration"] = httpx.Response(201, text=body)
    await trio.sleep(3545)
    assert await credentials.admin() is first


async def test_a_token_that_says_no_end_is_used(
    autojump_clock: MockClock, credentials: Credentials, script: Script
) -> None:
    reply = httpx.Response(201, json={"url": "https://svc/", "token": "opaque"})
    script.answers["runner-registration"] = reply
    first = await credentials.admin()
    assert await credentials.admin() is first


@pytest.mark.parametrize("lifetime", [-5000.0, 0.0, 4.0, 1e300])
async def test_odd_lifetimes_make_no_storm(
    autojump_clock: MockClock, credentials: Credentials, script: Script, lifetime: float
) -> None:
    script.lifetime = lifetime
    for _ in range(20):
        await credentials.admin()
    assert script.admins == 1


@pytest.mark.parametrize("text", ["", "  ", "a b", "a\nb", "tökén"])
async def test_tokens_that_cannot_be_sent(
    script: Script, autojump_clock: MockClock, make_chain: Any, text: str
) -> None:
    async with Transport(handler=httpx.MockTransport(script), authorities=False) as transport:
        credentials = make_chain(transport, text)
        with pytest.raises(GitHubError) as caught:
            await credentials.admin()
    assert caught.value.kind is Kind.CREDENTIAL
    assert not text.strip() or text.strip() not in str(caught.value)
    assert script.calls == []


async def test_a_rate_limit_is_kept_without_asking(
    autojump_clock: MockClock, credentials: Credentials, script: Script
) -> None:
    script.answers["registration-token"] = [
        httpx.Response(403, headers={"retry-after": "100"}),
        httpx.Response(201, json={"token": "AAB"}),
    ]
    for wait in (100, 50):
        with pytest.raises(GitHubError) as caught:
            await credentials.admin()
        assert caught.value.wait == pytest.approx(wait, abs=1)
        assert len(script.calls) == 1
        await trio.sleep(50)
    await trio.sleep(1)
    await credentials.admin()


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectError("refused"),
        httpx.ReadError(""),
        httpx.ConnectTimeout(""),
        httpx.RemoteProtocolError("eh"),
        httpx.ProxyError("407 Proxy Authentication Required"),
        OSError("no route"),
    ],
    ids=repr,
)
async def test_trouble_on_the_way(
    autojump_clock: MockClock, credentials: Credentials, script: Script, failure: Exception
) -> None:
    script.answers["registration-token"] = failure
    with pytest.raises(GitHubError, match=r"api\.github\.com") as caught:
        await credentials.admin()
    assert caught.value.kind is Kind.RETRY


async def test_every_call_has_a_deadline(
    autojump_clock: MockClock, credentials: Credentials, script: Script
) -> None:
    async def hang(request: httpx.Request) -> httpx.Response:
        await trio.sleep_forever()
        raise AssertionError

    began = trio.current_time()
    credentials.transport._calls = httpx.MockTransport(hang)
    with pytest.raises(GitHubError, match="within 30 s"):
        await credentials.admin()
    assert trio.current_time() - began == pytest.approx(30)


async def test_those_who_wait_do_not_share_a_failure_of_long_ago(
    autojump_clock: MockClock, credentials: Credentials, script: Script
) -> None:
    good = script.answers["registration-token"]
    script.answers["registration-token"] = httpx.Response(500)
    with pytest.raises(GitHubError):
        await credentials.admin()
    script.answers["registration-token"] = good
    await trio.sleep(1.1)
    async with trio.open_nursery() as nursery:
        leaving = trio.CancelScope()

        async def leave() -> None:
            with leaving:
                await credentials.admin()

        nursery.start_soon(leave)
        await trio.sleep(0.005)  # in the middle of its first call
        nursery.start_soon(credentials.admin)
        await trio.sleep(0.001)
        leaving.cancel()
    assert leaving.cancelled_caught
    assert script.admins == 1


async def test_callers_that_try_again_at_their_own_pace_are_no_storm(
    autojump_clock: MockClock, credentials: Credentials, script: Script
) -> None:
    good = script.answers["registration-token"]
    script.answers["registration-token"] = httpx.Response(503)

    async def caller() -> None:
        while True:
            with suppress(GitHubError):
                await credentials.admin()
            await trio.sleep(0.7)

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(caller)
        await trio.sleep(300)
        assert script.count("registration-token") < 20
        script.answers["registration-token"] = good
        await trio.sleep(31)
        assert script.admins == 1
        nursery.cancel_scope.cancel()
