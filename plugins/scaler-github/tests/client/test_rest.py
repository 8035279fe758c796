"""Calls of the REST API: tokens, limits, lists of many pages."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from scaler_github.client import Exchange, GitHubError, Kind, PersonalToken, Purpose, Reread, Rest
from scaler_github.client.transport import Transport

API = "https://ghe.example.org/api/v3"
Answer = Callable[[httpx.Request], httpx.Response]


@asynccontextmanager
async def rest(answer: Answer, token: Callable[[], str] = lambda: "ghp_one") -> Any:
    async def handle(request: httpx.Request) -> httpx.Response:
        await trio.sleep(0.01)
        return answer(request)

    transport = Transport(handler=httpx.MockTransport(handle), authorities=False)
    async with transport:
        yield Rest(API, Exchange(transport), PersonalToken(Reread(token)))


async def test_what_a_call_looks_like(autojump_clock: MockClock) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={})

    async with rest(answer) as api:
        await api.call("GET", "user", "ask")
        await api.call("POST", "x", "tell", query={"a": "b c"}, body={"name": "n"})
    first, second = seen
    assert str(first.url) == f"{API}/user"
    assert first.headers["authorization"] == "Bearer ghp_one"
    assert first.headers["accept"] == "application/vnd.github+json"
    assert first.headers["x-github-api-version"] == "2022-11-28"
    assert second.url.query == b"a=b+c"
    assert second.headers["content-type"] == "application/json"
    assert json.loads(second.content) == {"name": "n"}


async def test_a_refused_token_is_tried_once_a_minute(autojump_clock: MockClock) -> None:
    texts, calls = ["ghp_one"], []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(trio.current_time())
        good = request.headers["authorization"] == "Bearer ghp_two"
        return httpx.Response(200 if good else 401, json={})

    async with rest(answer, lambda: texts[0]) as api:
        for _ in range(30):
            with pytest.raises(GitHubError) as caught:
                await api.call("GET", "user", "ask")
            assert caught.value.kind is Kind.REFRESH
            await trio.sleep(10)
        assert len(calls) == 5
        texts[0] = "ghp_two"  # which is seen when the token is looked at, or refused again
        await api.token.look()
        await trio.sleep(60)
        await api.call("GET", "user", "ask")


async def test_a_token_replaced_meanwhile_is_used_at_once(autojump_clock: MockClock) -> None:
    texts = ["ghp_one"]

    def answer(request: httpx.Request) -> httpx.Response:
        texts[0] = "ghp_two"
        good = request.headers["authorization"] == "Bearer ghp_two"
        return httpx.Response(200 if good else 401, json={})

    async with rest(answer, lambda: texts[0]) as api:
        await api.call("GET", "user", "ask")


async def test_a_limit_is_learnt_and_kept_by_every_caller(autojump_clock: MockClock) -> None:
    calls = []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(1)
        return httpx.Response(403, headers={"retry-after": "90"})

    async with rest(answer) as api:
        for _ in range(5):
            with pytest.raises(GitHubError) as caught:
                await api.call("GET", "user", "ask")
            assert caught.value.kind is Kind.WAIT
        assert len(calls) == 1
        await trio.sleep(91)
        with pytest.raises(GitHubError):
            await api.call("GET", "user", "ask")
        assert len(calls) == 2


async def test_lists_leave_a_reserve_to_runners(autojump_clock: MockClock) -> None:
    headers = {
        "x-ratelimit-limit": "5000",
        "x-ratelimit-remaining": "900",
        "x-ratelimit-reset": str(int(time.time()) + 600),
    }

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers=headers, json={"total_count": 0, "runners": []})

    async with rest(answer) as api:
        assert await api.pages("r", "list", "runners", purpose=Purpose.PROVISIONING) == []
        with pytest.raises(GitHubError, match="kept for runners"):
            await api.pages("r", "list", "runners")
        await api.call("POST", "r", "register")


class Listing:
    """Runners that come and go while pages are read.

    Args:
        shifts: Before which request how many are taken away at the front.
    """

    def __init__(self, count: int, shifts: dict[int, int] | None = None) -> None:
        self.ids = list(range(count))
        self.shifts = shifts or {}
        self.requests = 0
        self.size = 100

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        del self.ids[: self.shifts.get(self.requests, 0)]
        page, size = (int(request.url.params[key]) for key in ("page", "per_page"))
        assert size == self.size
        rows = [{"id": number} for number in self.ids[(page - 1) * size : page * size]]
        more = page * size < len(self.ids)
        headers = {"link": f'<https://elsewhere/?page={page + 1}>; rel="next"'} if more else {}
        answer = {"total_count": len(self.ids), "runners": rows}
        return httpx.Response(200, headers=headers, json=answer)


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250])
async def test_every_page_is_read(autojump_clock: MockClock, count: int) -> None:
    listing = Listing(count)
    async with rest(listing) as api:
        rows = await api.pages("r", "list", "runners")
    assert [row["id"] for row in rows] == list(range(count))
    assert listing.requests == max(1, -(-count // 100))


async def test_every_page_is_read_where_a_proxy_takes_the_links_away(
    autojump_clock: MockClock,
) -> None:
    listing = Listing(250)

    def without_links(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=listing(request).content)

    async with rest(without_links) as api:
        assert len(await api.pages("r", "list", "runners")) == 250


async def test_what_shifted_out_of_sight_is_read_again(autojump_clock: MockClock) -> None:
    listing = Listing(250, {2: 30})  # thirty move from page two to page one, which was read
    async with rest(listing) as api:
        rows = await api.pages("r", "list", "runners")
    assert {row["id"] for row in rows} == set(range(30, 250))


async def test_a_list_that_changes_each_time_is_not_called_complete(
    autojump_clock: MockClock,
) -> None:
    listing = Listing(450, {2: 3, 7: 3})
    async with rest(listing) as api:
        rows, complete = await api.read_list("r", "list", "runners")
        assert not complete
        assert len(rows) > 440
        with pytest.raises(GitHubError, match="it changed each time"):
            await rest_of(api, listing)


async def rest_of(api: Rest, listing: Listing) -> None:
    listing.requests, listing.shifts = 0, {2: 3, 7: 3}
    await api.pages("r", "list", "runners")


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, json={"total_count": 3, "runners": [{"id": 1}]}),
        httpx.Response(200, json={"runners": []}),
        httpx.Response(200, json={"total_count": 1}),
        httpx.Response(200, json={"total_count": 1, "runners": [5]}),
        httpx.Response(200, json=[]),
        httpx.Response(200, content=b"<html>"),
        httpx.Response(500),
    ],
)
async def test_a_list_that_is_not_complete_is_none(
    autojump_clock: MockClock, answer: httpx.Response
) -> None:
    async with rest(lambda request: answer) as api:
        with pytest.raises(GitHubError) as caught:
            await api.pages("r", "list", "runners")
    assert caught.value.kind is Kind.RETRY


@given(st.integers(0, 450), st.dictionaries(st.integers(1, 8), st.integers(0, 120), max_size=3))
def test_a_list_lacks_nothing_that_was_there_all_the_time(
    count: int, shifts: dict[int, int]
) -> None:
    listing = Listing(count, shifts)

    async def main() -> None:
        async with rest(listing) as api:
            rows, complete = await api.read_list("r", "list", "runners")
            assert not complete or {row["id"] for row in rows} >= set(listing.ids)

    trio.run(main, clock=MockClock(autojump_threshold=0))
