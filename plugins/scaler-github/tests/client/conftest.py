"""A script in place of the network, and credentials that speak to it on a clock that jumps."""

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
    Credentials,
    Exchange,
    PersonalToken,
    Reread,
    Rest,
    Transport,
    parse_config_url,
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


def chain(transport: Transport, token: str = TOKEN + "\n") -> Credentials:
    """The credentials of an organization, with a token that is read as from a file."""
    scope = parse_config_url("https://github.com/acme", {})
    source = PersonalToken(Reread(lambda: token))
    return Credentials(scope, Rest(scope.api, Exchange(transport), source))


@pytest.fixture
def make_chain() -> Callable[..., Credentials]:
    return chain


@pytest.fixture(autouse=True)
def reads_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens are read within the loop: while a thread worked, the clock would jump."""

    async def at_once(function: Callable[..., Any], *args: Any, **_options: Any) -> Any:
        await trio.lowlevel.checkpoint()
        return function(*args)

    monkeypatch.setattr("scaler_github.client.tokens.trio.to_thread.run_sync", at_once)


@pytest.fixture
async def credentials(script: Script, autojump_clock: MockClock) -> AsyncIterator[Credentials]:
    async with Transport(handler=httpx.MockTransport(script), authorities=False) as transport:
        yield chain(transport)
