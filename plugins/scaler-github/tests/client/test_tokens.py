"""Tokens: read again when they change; those of Apps made, renewed and corrected."""

from __future__ import annotations

import email.utils
import json
import time
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
import trio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from trio.testing import MockClock

from scaler_github.client import AppToken, Exchange, GitHubError, Kind, Reread, Rest, Transport
from scaler_github.client.tokens import check_key, token_expiry

API = "https://api.github.com"


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def pem(key: rsa.RSAPrivateKey) -> str:
    form = serialization.PrivateFormat.TraditionalOpenSSL
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, plain).decode()


class GitHub:
    """Answers access_tokens as GitHub does, by a clock of its own."""

    def __init__(self, key: rsa.RSAPrivateKey, ahead: float = 0.0) -> None:
        self.key = key
        self.ahead = ahead
        self.lifetime = 3600.0
        self.status: list[int] = []
        self.made = 0
        self.claims: list[dict[str, Any]] = []
        self.refused: set[str] = set()
        self.calls: list[httpx.Request] = []
        self.began = time.time()

    def now(self) -> float:
        return self.began + trio.current_time() + self.ahead

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.calls.append(request)
        await trio.sleep(0.01)
        date = {"date": email.utils.formatdate(self.now(), usegmt=True)}
        if not request.url.path.endswith("/access_tokens"):
            given = request.headers["authorization"].removeprefix("Bearer ")
            status = 401 if given in self.refused else 200
            return httpx.Response(status, headers=date, json={})
        if self.status and (status := self.status.pop(0)) != 201:
            return httpx.Response(status, headers=date, json={"message": "no"})
        token = request.headers["authorization"].removeprefix("Bearer ")
        claims = jwt.decode(
            token,
            self.key.public_key(),
            algorithms=["RS256"],
            options={"verify_exp": False, "verify_iat": False},
        )
        self.claims.append(claims)
        if claims["iat"] > self.now() + 5 or not self.now() < claims["exp"] <= self.now() + 605:
            return httpx.Response(401, headers=date, json={"message": "clock"})
        self.made += 1
        ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.now() + self.lifetime))
        made = {"token": f"ghs_{self.made}", "expires_at": ends}
        return httpx.Response(201, headers=date, json=made)


class Bench:
    def __init__(self, github: GitHub, text: str) -> None:
        self.github = github
        self.transport = Transport(handler=httpx.MockTransport(github), authorities=False)
        self.exchange = Exchange(self.transport)
        self.token = AppToken("Iv23li", 42, text, API, self.exchange)
        self.rest = Rest(API, self.exchange, self.token)


@pytest.fixture(autouse=True)
def clock_that_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    began = time.time()
    monkeypatch.setattr(time, "time", lambda: began + trio.current_time())


async def test_an_app_signs_in(autojump_clock: MockClock, key: rsa.RSAPrivateKey, pem: str) -> None:
    bench = Bench(GitHub(key), pem)
    async with bench.transport:
        assert await bench.token() == "ghs_1"
        assert await bench.token() == "ghs_1"
    (call,) = bench.github.calls
    assert str(call.url) == f"{API}/app/installations/42/access_tokens"
    assert call.content == b""
    (claims,) = bench.github.claims
    assert claims["iss"] == "Iv23li"
    assert claims["exp"] - claims["iat"] == 540
    assert claims["iat"] == pytest.approx(bench.github.now() - 60, abs=2)


async def test_installation_tokens_are_renewed_before_they_end_by_one_for_all(
    autojump_clock: MockClock, key: rsa.RSAPrivateKey, pem: str
) -> None:
    bench = Bench(GitHub(key), pem)
    async with bench.transport:
        assert await bench.token() == "ghs_1"
        await trio.sleep(3600 - 310)
        assert await bench.token() == "ghs_1"
        await trio.sleep(20)
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(bench.token)
        assert await bench.token() == "ghs_2"
        assert bench.github.made == 2


@pytest.mark.parametrize("ahead", [-7200.0, -600.0, 0.0, 1.0, 600.0, 86400.0 * 365])
async def test_a_wrong_clock_is_corrected_from_the_answers(
    autojump_clock: MockClock, key: rsa.RSAPrivateKey, pem: str, ahead: float
) -> None:
    bench = Bench(GitHub(key, ahead), pem)
    async with bench.transport:
        assert await bench.token() == "ghs_1"
        assert len(bench.github.calls) == (1 if abs(ahead) < 60 else 2)
        assert bench.exchange.clock.ahead == pytest.approx(ahead if abs(ahead) > 2 else 0, abs=2)
        await trio.sleep(3600 - 310)
        assert await bench.token() == "ghs_1"  # its end is GitHub's time, too
        await trio.sleep(20)
        assert await bench.token() == "ghs_2"
        assert len(bench.github.claims) <= 3


@pytest.mark.parametrize(
    ("status", "says"), [(401, "private key"), (403, "suspended"), (404, "installation_id")]
)
async def test_a_refused_app_fails_slowly(
    autojump_clock: MockClock, key: rsa.RSAPrivateKey, pem: str, status: int, says: str
) -> None:
    bench = Bench(GitHub(key), pem)
    bench.github.status = [status] * 2 if status == 401 else [status]
    async with bench.transport:
        for _ in range(5):
            with pytest.raises(GitHubError, match=says) as caught:
                await bench.token()
            assert caught.value.kind is Kind.CREDENTIAL
            await trio.sleep(10)
        assert len(bench.github.calls) == (2 if status == 401 else 1)
        await trio.sleep(15)
        assert await bench.token() == "ghs_1"


async def test_a_limit_that_the_app_is_told_is_kept(
    autojump_clock: MockClock, key: rsa.RSAPrivateKey, pem: str
) -> None:
    bench = Bench(GitHub(key), pem)
    bench.github.status = [429]
    async with bench.transport:
        for _ in range(10):
            with pytest.raises(GitHubError) as caught:
                await bench.token()
            assert caught.value.kind is Kind.WAIT
            await trio.sleep(5)
        assert len(bench.github.calls) == 1
        await trio.sleep(15)
        assert await bench.token() == "ghs_1"


async def test_trouble_is_no_refusal(
    autojump_clock: MockClock, key: rsa.RSAPrivateKey, pem: str
) -> None:
    bench = Bench(GitHub(key), pem)
    bench.github.status = [503]
    async with bench.transport:
        with pytest.raises(GitHubError) as caught:
            await bench.token()
        assert caught.value.kind is Kind.RETRY
        await trio.sleep(1.1)
        assert await bench.token() == "ghs_1"


async def test_a_refused_installation_token_is_replaced_once(
    autojump_clock: MockClock, key: rsa.RSAPrivateKey, pem: str
) -> None:
    bench = Bench(GitHub(key), pem)
    bench.github.refused = {"ghs_1"}
    async with bench.transport:
        await bench.rest.call("GET", "x", "try")
        assert bench.github.made == 2
        bench.github.refused = {"ghs_2", "ghs_3"}
        with pytest.raises(GitHubError):
            await bench.rest.call("GET", "x", "try")
        assert bench.github.made == 3


async def test_an_unreadable_answer_is_tried_again_and_shows_no_token(
    autojump_clock: MockClock, pem: str
) -> None:
    async def odd(request: httpx.Request) -> httpx.Response:
        return httpx.Response(201, json={"tokens": "ghs_secret"})

    exchange = Exchange(Transport(handler=httpx.MockTransport(odd), authorities=False))
    token = AppToken("Iv23li", 42, pem, API, exchange)
    async with exchange.transport:
        with pytest.raises(GitHubError) as caught:
            await token()
    assert caught.value.kind is Kind.RETRY
    assert "ghs_secret" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "secret-text", "-----BEGIN RSA PRIVATE KEY-----\nsecret\n"])
async def test_what_is_no_key_is_said_without_showing_it(
    autojump_clock: MockClock, key: rsa.RSAPrivateKey, text: str
) -> None:
    with pytest.raises(ValueError, match="wanted the PEM file") as told:
        check_key(text)
    bench = Bench(GitHub(key), text)
    async with bench.transport:
        with pytest.raises(GitHubError, match="private_key") as caught:
            await bench.token()
    assert "secret" not in str(caught.value) + str(told.value)
    assert bench.github.calls == []


async def test_a_text_is_read_again_when_it_has_changed(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("one\n")
    reads = []

    def read() -> str:
        reads.append(1)
        if not (text := file.read_text()).strip():
            raise ValueError("the file is empty")
        return text

    source = Reread(read, lambda: file.stat().st_mtime_ns)
    assert await source.text() == "one"
    await source.look()
    assert (len(reads), source.changes) == (1, 0)
    file.write_text("")  # as it is being written
    await source.look()
    assert (await source.text(), source.problem) == ("one", "the file is empty")
    file.write_text("two")
    await source.look(anyway=True)  # as after a refusal
    assert (await source.text(), source.problem, source.changes) == ("two", "", 1)
    await source.look()
    assert source.changes == 1


async def test_what_was_never_there_is_a_matter_for_a_person(autojump_clock: MockClock) -> None:
    def read() -> str:
        raise ValueError("/x cannot be read")

    with pytest.raises(GitHubError, match="/x cannot be read") as caught:
        await Reread(read).text()
    assert caught.value.kind is Kind.CREDENTIAL


@pytest.mark.parametrize(
    ("text", "unix"),
    [
        ("2026-12-01 10:00:00 UTC", 1796119200.0),
        ("2026-12-01 12:00:00 +0200", 1796119200.0),
        ("2026-12-01T10:00:00Z", 1796119200.0),
        ("never", None),
        ("", None),
    ],
)
def test_when_a_token_ends(text: str, unix: float | None) -> None:
    assert token_expiry(text) == unix


async def test_the_end_of_a_token_is_learnt_and_unlearnt(
    autojump_clock: MockClock, make_chain: Any
) -> None:
    headers = {"github-authentication-token-expiration": "2026-12-01 10:00:00 UTC"}

    async def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers=headers, content=json.dumps({}))

    transport = Transport(handler=httpx.MockTransport(answer), authorities=False)
    rest = make_chain(transport).rest
    async with transport:
        await rest.call("GET", "user", "ask")
        assert rest.expires == 1796119200.0
        headers.clear()
        await rest.call("GET", "user", "ask")
        assert rest.expires is None
