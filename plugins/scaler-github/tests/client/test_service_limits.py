"""Limits that the Actions service tells."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import trio
from trio.testing import MockClock

from scaler_github.client import Actions, Credentials, GitHubError, Kind

Script = Any


async def test_a_burst_that_is_refused_is_one_refusal(
    autojump_clock: MockClock, credentials: Credentials, script: Script
) -> None:
    script.answers["generatejitconfig"] = httpx.Response(429)
    actions = Actions(credentials)
    waits = []

    async def register(number: int) -> None:
        with pytest.raises(GitHubError) as caught:
            await actions.generate_jit_config(7, f"linux.{number}@host", "_work")
        assert caught.value.kind is Kind.WAIT
        waits.append(caught.value.wait)

    await credentials.admin()
    async with trio.open_nursery() as nursery:
        for number in range(10):
            nursery.start_soon(register, number)
    assert set(waits) == {60}
    before = script.count("generatejitconfig")
    await register(11)
    assert script.count("generatejitconfig") == before  # nobody asks until then
    await trio.sleep(61)
    await register(12)
    assert waits[-1] == 120


async def test_a_limit_that_is_told_is_kept_to_the_second(
    autojump_clock: MockClock, credentials: Credentials, script: Script
) -> None:
    script.answers["agents"] = [
        httpx.Response(429, headers={"retry-after": "7"}),
        httpx.Response(200, json={"count": 0, "value": []}),
    ]
    actions = Actions(credentials)
    with pytest.raises(GitHubError):
        await actions.agents()
    await trio.sleep(6.5)
    with pytest.raises(GitHubError):
        await actions.agents()
    await trio.sleep(0.6)
    assert await actions.agents() == []
