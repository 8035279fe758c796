"""The chain of credentials on a clock that jumps, against a script instead of a network."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
import trio
from trio.testing import MockClock

from scaler_github.client import (
    Actions,
    Backoff,
    Credentials,
    GitHubError,
    Kind,
    PersonalToken,
    QueueSession,
    SessionLost,
    Transport,
    Verdict,
    parse_config_url,
    repeat,
)

TOKEN = "ghp_secret"


def jwt(lifetime: float, name: str = "a") -> str:
    claims = json.dumps({"exp": time.time() + lifetime, "name": name}).encode()
    return f"h.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.s"


class Script:
    """Answers by the last part of the path; a list is used up, its last item stays."""

    def __init__(self) -> None:
        self.calls: list[httpx.Request] = []
        self.answers: dict[str, Any] = {
            "registration-token": httpx.Response(201, json={"token": "AAB"}),
            "runner-registration": lambda: self.admin(),
        }
        self.lifetime = 3600.0
        self.admins = 0

    def admin(self) -> httpx.Response:
        self.admins += 1
        token = jwt(self.lifetime, str(self.admins))
        return httpx.Response(201, json={"url": "https://svc/rest/", "token": token})

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.calls.append(request)
        await trio.sleep(0.01)
        answer = self.answers[request.url.path.rpartition("/")[2]]
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            answer = answer()
        assert isinstance(answer, httpx.Response)
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    def count(self, name: str) -> int:
        return sum(call.url.path.endswith(name) for call in self.calls)


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
async def credentials(script: Script, autojump_clock: MockClock) -> AsyncIterator[Credentials]:
    scope = parse_config_url("https://github.com/acme", {})
    async with Transport(handler=httpx.MockTransport(script), authorities=False) as transport:
        yield Credentials(scope, transport, PersonalToken(lambda: TOKEN + "\n"))


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
    with pytest.raises(GitHubError, match="admin:org") as caught:
        await credentials.admin()
    assert caught.value.kind is Kind.CREDENTIAL
    assert "AAB" not in str(caught.value)
    assert script.count("runner-registration") == 5


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_missing_rights_are_named(
    autojump_clock: MockClock, credentials: Credentials, script: Script, status: int
) -> None:
    script.answers["registration-token"] = httpx.Response(
        status, headers={"x-github-request-id": "R1"}, json={"message": TOKEN}
    )
    with pytest.raises(GitHubError, match=r"R1.*organization_self_hosted_runners") as caught:
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
    script: Script, autojump_clock: MockClock, text: str
) -> None:
    scope = parse_config_url("https://github.com/acme", {})
    async with Transport(handler=httpx.MockTransport(script), authorities=False) as transport:
        credentials = Credentials(scope, transport, PersonalToken(lambda: text))
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
    credentials.transport._calls._transport = httpx.MockTransport(hang)  # type: ignore[union-attr]
    with pytest.raises(GitHubError, match="within 30 s"):
        await credentials.admin()
    assert trio.current_time() - began == pytest.approx(30)


SESSION = {
    "sessionId": "s-1",
    "messageQueueUrl": "https://queue/m?sig=%2Fx",
    "messageQueueAccessToken": "queue-1",
    "statistics": {"totalAssignedJobs": 2},
}


async def opened(credentials: Credentials, script: Script) -> QueueSession:
    script.answers["sessions"] = httpx.Response(200, json=SESSION)
    return await QueueSession.open(Actions(credentials), 7, "me")


async def test_what_a_poll_sends(
    autojump_clock: MockClock, credentials: Credentials, script: Script
) -> None:
    session = await opened(credentials, script)
    script.answers["m"] = httpx.Response(202)
    assert await session.poll(41, 4, 50) is None
    sent = script.calls[-1]
    assert str(sent.url) == "https://queue/m?sig=%2Fx&lastMessageId=41"
    assert sent.headers["authorization"] == "Bearer queue-1"
    assert sent.headers["accept"] == "application/json; api-version=6.0-preview"
    assert sent.headers["x-scalesetmaxcapacity"] == "4"
    assert sent.headers["x-github-actions-scale-set-max-capacity"] == "4"
    assert await session.poll(0, -1, 50) is None
    assert str(script.calls[-1].url) == "https://queue/m?sig=%2Fx"
    assert script.calls[-1].headers["x-scalesetmaxcapacity"] == "0"
    script.answers["41"] = httpx.Response(204)
    await session.delete_message(41)
    assert str(script.calls[-1].url) == "https://queue/m/41?sig=%2Fx"
    assert script.calls[-1].method == "DELETE"


async def test_one_renewal_for_all_who_were_refused(
    autojump_clock: MockClock, credentials: Credentials, script: Script
) -> None:
    session = await opened(credentials, script)

    def queue() -> httpx.Response:
        good = script.calls[-1].headers["authorization"] == "Bearer queue-2"
        return httpx.Response(204 if good else 401)

    for name in ("1", "2", "3", "m"):
        script.answers[name] = queue
    renewed = {**SESSION, "messageQueueAccessToken": "queue-2", "statistics": None}
    script.answers["s-1"] = httpx.Response(200, json=renewed)
    async with trio.open_nursery() as nursery:
        for number in (1, 2, 3):
            nursery.start_soon(session.delete_message, number)
        nursery.start_soon(session.poll, 0, 1, 50)
    assert script.count("s-1") == 1
    assert session.renewals == 1
    assert session.statistics.total_assigned_jobs == 2


async def test_refused_for_ever_is_one_renewal_a_call(
    autojump_clock: MockClock, credentials: Credentials, script: Script
) -> None:
    session = await opened(credentials, script)
    script.answers["m"] = httpx.Response(401)
    script.answers["s-1"] = httpx.Response(200, json=SESSION)
    with pytest.raises(GitHubError) as caught:
        await session.poll(0, 1, 50)
    assert caught.value.kind is Kind.REFRESH
    assert (script.count("/m"), script.count("s-1")) == (2, 1)


async def test_a_session_that_cannot_be_renewed_is_lost(
    autojump_clock: MockClock, credentials: Credentials, script: Script
) -> None:
    session = await opened(credentials, script)
    script.answers["m"] = httpx.Response(401)
    script.answers["s-1"] = httpx.Response(404)
    for _ in range(2):
        with pytest.raises(SessionLost):
            await session.poll(0, 1, 50)
    assert script.count("s-1") == 1


@pytest.mark.parametrize("field", list(SESSION))
@pytest.mark.parametrize("value", [None, "", {}])
async def test_half_a_session_is_closed_again(
    autojump_clock: MockClock, credentials: Credentials, script: Script, field: str, value: object
) -> None:
    if field == "statistics" and value == {}:
        return
    script.answers["sessions"] = httpx.Response(200, json={**SESSION, field: value})
    script.answers["s-1"] = httpx.Response(204)
    with pytest.raises(GitHubError) as caught:
        await QueueSession.open(Actions(credentials), 7, "me")
    assert caught.value.kind is Kind.RETRY
    # Where the answer cannot even be read, its id is not known either
    readable = value in (None, "") and not (field == "statistics" and value == "")
    if readable and field != "sessionId":
        assert script.calls[-1].method == "DELETE"


async def test_a_poll_has_its_own_deadline(
    autojump_clock: MockClock, credentials: Credentials, script: Script
) -> None:
    session = await opened(credentials, script)

    async def hang(request: httpx.Request) -> httpx.Response:
        await trio.sleep_forever()
        raise AssertionError

    credentials.transport._polls._transport = httpx.MockTransport(hang)  # type: ignore[union-attr]
    began = trio.current_time()
    with pytest.raises(GitHubError, match="within 80 s"):
        await session.poll(0, 1, 50)
    assert trio.current_time() - began == pytest.approx(80)


def failing(*errors: GitHubError | None) -> tuple[Callable[[], Any], list[float]]:
    left, times = list(errors), list[float]()

    async def call() -> str:
        times.append(trio.current_time())
        error = left.pop(0)
        if error is not None:
            raise error
        return "done"

    return call, times


def fault(kind: Kind, wait: float = 0.0) -> GitHubError:
    return GitHubError(Verdict(kind, "x", wait))


async def test_repeat(autojump_clock: MockClock) -> None:
    call, times = failing(fault(Kind.RETRY), fault(Kind.WAIT, 5), None)
    assert await repeat(call) == "done"
    assert times[2] - times[1] >= 5
    for hopeless in (fault(Kind.BUG), fault(Kind.BUSY), fault(Kind.WAIT, 60)):
        call, times = failing(hopeless, None)
        with pytest.raises(GitHubError):
            await repeat(call)
    call, times = failing(*[fault(Kind.RETRY)] * 5)
    with pytest.raises(GitHubError):
        await repeat(call)
    assert len(times) == 3


def test_backoff() -> None:
    backoff = Backoff(choose=lambda low, high: high)
    kinds = [Kind.RETRY] * 7
    assert [backoff.after(fault(kind)) for kind in kinds] == [2, 4, 8, 16, 30, 30, 30]
    backoff.reset()
    conflicts = [backoff.after(fault(Kind.CONFLICT)) for _ in range(6)]
    assert conflicts == [5, 10, 20, 40, 60, 60]
    assert backoff.after(fault(Kind.CREDENTIAL)) == 60
    assert backoff.after(fault(Kind.WAIT, 100)) >= 100
    assert Backoff(choose=lambda low, high: low).after(fault(Kind.RETRY, 9)) == 9
