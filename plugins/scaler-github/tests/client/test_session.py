"""A session of the queue: what it sends, and how it is renewed, on a clock that jumps."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import trio
from trio.testing import MockClock

from scaler_github.client import (
    Actions,
    Credentials,
    GitHubError,
    Kind,
    QueueSession,
    SessionLost,
)

Script = Any

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

    credentials.transport._polls = httpx.MockTransport(hang)
    began = trio.current_time()
    with pytest.raises(GitHubError, match="within 80 s"):
        await session.poll(0, 1, 50)
    assert trio.current_time() - began == pytest.approx(80)
