"""Accounts: what they share, what the settings may say of them, and what is told of them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import trio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from trio.testing import MockClock

from scaler import Context, Secret, SecretSource, SettingsError
from scaler_github.account import Account, Accounts, App, Connection
from scaler_github.account.watch import Watch, days_left, ending
from scaler_github.client import Kind, Verdict
from scaler_github.client.transport import Response

DAY = 86400.0
_PEM = serialization.Encoding.PEM
_PLAIN = serialization.NoEncryption()
_FORM = serialization.PrivateFormat.TraditionalOpenSSL
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(_PEM, _FORM, _PLAIN).decode()
TOKEN = SecretSource(env="T", environ={"T": "ghp_t"})


def app(**fields: Any) -> App:
    given = {"client_id": "Iv23li", "installation_id": 7, "private_key": Secret(PEM), **fields}
    return App(**given)


def connection(url: str = "https://github.com/acme", **fields: Any) -> Connection:
    return Connection(**{"url": url, "token": TOKEN, **fields})


def test_the_same_credential_has_the_same_limits() -> None:
    accounts = Accounts(
        connection(),
        {
            "same": connection("https://github.com/acme/web"),
            "other": connection(token=SecretSource(env="U", environ={})),
            "host": connection("https://ghe.example.org/acme"),
            "app": connection(token=None, app=app()),
            "app2": connection("https://github.com/else", token=None, app=app()),
            "app3": connection(token=None, app=app(installation_id=8)),
        },
    )
    limits = {name: accounts[name].limits for name in ("", "same", "other", "host", "app", "app3")}
    assert limits[""] is limits["same"]
    assert len({id(each) for each in limits.values()}) == 5
    assert accounts["app"].limits is accounts["app2"].limits


def test_unknown_connections_are_all_told() -> None:
    accounts = Accounts(connection(), {"lab": connection("https://github.com/lab")})
    accounts.check({"a": "", "b": "lab"})
    with pytest.raises(SettingsError) as caught:
        accounts.check({"profiles.a.github.connection": "lba", "profiles.b.x": "lab", "c": "no"})
    assert [line.partition(":")[0] for line in caught.value.problems] == [
        "profiles.a.github.connection",
        "c",
    ]
    assert 'found "lba", wanted a connection' in caught.value.problems[0]
    assert '"lab"' in caught.value.problems[0]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"token": None}, "^token: found neither token nor app"),
        ({"app": app()}, "^app: found both token and app"),
    ],
)
def test_one_way_to_sign_in_is_wanted(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        connection(**fields)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"client_id": " "}, "^client_id: "),
        ({"installation_id": 0}, "^installation_id: found 0"),
        ({"private_key": Secret("s3cret")}, "^private_key: found no RSA private key"),
        (
            {
                "private_key": Secret(
                    ec.generate_private_key(ec.SECP256R1())
                    .private_bytes(_PEM, _FORM, _PLAIN)
                    .decode()
                )
            },
            "^private_key: found no RSA",
        ),
    ],
    ids=["client_id", "installation_id", "no-key", "another-key"],
)
def test_an_app_is_checked_with_the_settings(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        app(**fields)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://github.com/Acme", "github.com/orgs/acme"),
        ("https://github.com/acme/Web", "github.com/repos/acme/web"),
        ("https://ghe.example.org:8443/enterprises/Big", "ghe.example.org:8443/enterprises/big"),
        ("https://acme.ghe.com/acme", "acme.ghe.com/orgs/acme"),
    ],
)
def test_a_scope_has_one_name(url: str, place: str) -> None:
    assert Accounts(connection(url), {})[""].scope.place == place


@pytest.mark.parametrize(
    ("left", "days", "text"),
    [
        (15 * DAY, None, "expires in 15 days"),
        (13.5 * DAY, 13, "expires in 13 days, on 2026-12-05"),
        (1.5 * DAY, 1, "expires in 1 day, "),
        (0.5 * DAY, 0, "expires within a day"),
        (-DAY, -1, "has expired on 2026-11-20"),
    ],
)
def test_the_end_of_a_token_in_words(left: float, days: int | None, text: str) -> None:
    now = 1_795_276_800.0  # 21 November 2026, 20:00
    assert days_left(now + left, now) == days
    assert text in ending(now + left, now)


class Core:
    def __init__(self) -> None:
        self.reports: list[tuple[str, bool, Any]] = []

    def report(self, _plugin: str, text: str, ok: bool, _profile: str, facts: Any) -> None:
        self.reports.append((text, ok, facts))


class Bench:
    def __init__(self, folder: Path) -> None:
        self.file = folder / "token"
        self.write("ghp_one")
        self.accounts = Accounts(connection(token=SecretSource(file=self.file)), {})
        self.core = Core()
        context: Context[Any, Any] = Context(
            name="github",
            scaler="host-1",
            config=None,
            profiles={},
            own={},
            folder=folder,
            log=logging.LoggerAdapter(logging.getLogger("scaler.test")),
            stopping=trio.Event(),
            core=self.core,  # type: ignore[arg-type]
        )
        self.watch = Watch(context, self.accounts)

    @property
    def account(self) -> Account:
        return self.accounts[""]

    def write(self, text: str) -> None:
        self.file.write_text(text)
        self.file.chmod(0o600)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    async def at_once(function: Any, *args: Any, **_options: Any) -> Any:
        await trio.lowlevel.checkpoint()
        return function(*args)

    monkeypatch.setattr("scaler_github.client.tokens.trio.to_thread.run_sync", at_once)
    return Bench(tmp_path)


async def test_a_replaced_token_is_used_within_seconds(
    autojump_clock: MockClock, nursery: trio.Nursery, bench: Bench
) -> None:
    assert await bench.account.token() == "ghp_one"
    refusal = Verdict(Kind.WAIT, "limit", 3000, told=True)
    bench.account.limits.refused(refusal, Response(403, {"retry-after": "3000"}, b"", 0.0))
    nursery.start_soon(bench.watch.run)
    await trio.sleep(1)
    assert bench.core.reports[-1][1] is False
    assert "all REST calls wait until" in bench.core.reports[-1][0]
    bench.write("ghp_two, longer")
    await trio.sleep(11)
    assert await bench.account.token() == "ghp_two, longer"
    bench.account.limits.check()  # another credential
    assert bench.core.reports[-1][:2] == ("organization acme, by a token", True)


async def test_a_file_that_cannot_be_read_is_told_and_the_token_goes_on(
    autojump_clock: MockClock,
    nursery: trio.Nursery,
    bench: Bench,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert await bench.account.token() == "ghp_one"
    nursery.start_soon(bench.watch.run)
    bench.file.write_text("")
    await trio.sleep(35)
    assert await bench.account.token() == "ghp_one"
    text, ok, _ = bench.core.reports[-1]
    assert "is empty" in text
    assert not ok
    assert caplog.text.count("cannot be read any more") == 1
    bench.write("ghp_one")
    await trio.sleep(11)
    assert bench.core.reports[-1][:2] == ("organization acme, by a token", True)


async def test_an_end_that_is_near_is_warned_of_once_a_day(
    autojump_clock: MockClock,
    nursery: trio.Nursery,
    bench: Bench,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    began = 1_795_276_800.0
    monkeypatch.setattr("time.time", lambda: began + trio.current_time())
    bench.account.rest.expires = began + 14.5 * DAY + 5
    nursery.start_soon(bench.watch.run)
    await trio.sleep(60)
    assert "expires" not in caplog.text
    assert bench.core.reports[-1][:2] == ("organization acme, by a token", True)
    for day in range(2):
        await trio.sleep(DAY)
        assert caplog.text.count("the token expires in") == day + 1
    text, ok, facts = bench.core.reports[-1]
    assert "expires in 12 days" in text
    assert ok  # a warning, and nothing that is wrong yet
    assert facts["connections"]["default"]["token_expires"] == began + 14.5 * DAY + 5


async def test_nothing_is_told_while_nothing_changes(
    autojump_clock: MockClock, nursery: trio.Nursery, bench: Bench
) -> None:
    nursery.start_soon(bench.watch.run)
    await trio.sleep(3600)
    assert len(bench.core.reports) == 1
