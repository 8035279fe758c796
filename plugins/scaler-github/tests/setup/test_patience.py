"""A host that does not answer: each call and the whole check end in time, with what was found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
import trio
from trio.testing import MockClock

Checked = Any
Told = Callable[[Any], list[str]]


class Slow(httpx.AsyncBaseTransport):
    """Answers all but one path, which it never does."""

    def __init__(self, never: str) -> None:
        self.never = never

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path.endswith(self.never):
            await trio.sleep_forever()
        headers = {"x-github-request-id": "1", "x-oauth-scopes": "admin:org"}
        told = {"login": "mona", "enabled_repositories": "all", "token": "T"}
        return httpx.Response(200, headers=headers, json=told)


async def look(
    checked: Checked, told: Told, never: str, clock: MockClock
) -> tuple[list[str], float]:
    checked.build("https://github.com/acme", "ghp_x")
    account = checked.github.accounts[""]
    account.transport._handler = Slow(never)
    await account.token()  # it is read in a thread, for which a clock that jumps does not wait
    clock.autojump_threshold = 0
    began = trio.current_time()
    return told(await checked.github.check()), trio.current_time() - began


async def test_a_host_that_says_nothing(
    checked: Checked, told: Told, mock_clock: MockClock
) -> None:
    said, took = await look(checked, told, "/meta", mock_clock)
    assert took == 10
    assert len(said) == 1
    assert "api.github.com does not answer: no whole answer within 10 s" in said[0]


async def test_a_call_that_is_not_answered(
    checked: Checked, told: Told, mock_clock: MockClock
) -> None:
    [_, said], took = await look(checked, told, "/user", mock_clock)
    assert took == 10
    assert said.startswith("WRONG signing in: ")
    assert "no whole answer within 10 s" in said


async def test_the_whole_takes_25_seconds_at_most(
    checked: Checked, told: Told, mock_clock: MockClock
) -> None:
    said, took = await look(checked, told, "/registration-token", mock_clock)
    assert took == 25
    assert [line.partition(" ")[0] for line in said] == ["ok", "ok", "ok", "ok", "WRONG"]
    assert "registering took too long: after 25 s" in said[-1]


class Service(httpx.AsyncBaseTransport):
    """The Actions service, with one scale set; it takes its time."""

    def __init__(self, **seconds: float) -> None:
        self.seconds = seconds
        self.asked: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path, what = request.url.path, ""
        told: dict[str, Any] = {"token": "T", "url": "https://pipelines.test/x"}
        if "/sessions" in path:
            what, told = request.method, {"sessionId": "s"}
        elif path.endswith("/runnerscalesets"):
            labels = [{"name": "linux"}, {"name": "x64"}]
            one = {"id": 1, "name": "linux", "runnerGroupId": 1, "labels": labels}
            what, told = "find", {"count": 1, "value": [one]}
        self.asked.append(what)
        await trio.sleep(self.seconds.get(what, 0))
        return httpx.Response(200, json=told)


@pytest.mark.parametrize(
    ("seconds", "ends", "words"),
    [
        ({"find": 12.9, "POST": 6.9, "DELETE": 4.9}, 24.7, ["its session opens"]),
        ({"find": 12.9, "POST": 6.9, "DELETE": 99}, 24.8, ["its session opens", "not be closed"]),
        ({"find": 12.9, "POST": 99}, 19.9, ["x64", "may be open all the same"]),
        ({"find": 13.1}, 13.1, ["x64", "too little time left"]),
        ({"find": 26}, 25, ["not looked at within 25 s"]),
    ],
    ids=["slow", "not-closed", "not-opened", "not-tried", "not-found"],
)
async def test_a_session_is_opened_and_closed_within_the_time(
    checked: Checked,
    told: Told,
    mock_clock: MockClock,
    seconds: dict[str, float],
    ends: float,
    words: list[str],
) -> None:
    checked.build("https://github.com/acme", "ghp_x")
    account = checked.github.accounts[""]
    account.transport._handler = service = Service(**seconds)
    await account.token()
    mock_clock.autojump_threshold = 0
    began = trio.current_time()
    said = told(await checked.queue.check())
    assert trio.current_time() - began == pytest.approx(ends)
    assert len(said) == len(words)
    for line, word in zip(said, words, strict=True):
        assert word in line
    assert service.asked.count("POST") == (0 if "POST" not in seconds else 1)
