"""Connections whose settings change while they are used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from scaler import Secret, SecretSource
from scaler_github.account import Account, Accounts, App, Connection
from scaler_github.client import AppToken, PersonalToken

TOKENS = {"OLD": "ghp_old", "NEW": "ghp_new"}


def token(name: str) -> SecretSource:
    return SecretSource(env=name, environ=TOKENS)


def connection(url: str = "https://github.com/acme", **fields: Any) -> Connection:
    return Connection(**{"url": url, "token": token("OLD"), **fields})


def pem() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, plain).decode()


def app(key: str, **fields: Any) -> App:
    return App(
        **{"client_id": "Iv23li", "installation_id": 7, "private_key": Secret(key), **fields}
    )


def forgets(account: Account, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    told: list[bool] = []
    monkeypatch.setattr(account.credentials, "forget", lambda: told.append(True))
    return told


async def test_another_token_is_used_by_the_next_request(monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = Accounts(connection(), {"same": connection(), "more": connection(token=token("X"))})
    account = accounts[""]
    forgotten = forgets(account, monkeypatch)
    assert isinstance(account.token, PersonalToken)
    assert await account.token() == "ghp_old"
    changed = connection(token=token("NEW"))
    assert accounts.take(changed, {"same": connection(), "more": connection(token=token("X"))}) == (
        [],
        [""],
    )
    assert await account.token() == "ghp_new"
    assert forgotten == [True], "what was made from the old one"
    assert accounts["same"].limits is not account.limits, "another credential"
    assert account.rest.exchange.limits is account.limits
    assert accounts.take(changed, {"same": changed, "more": connection(token=token("X"))}) == (
        [],
        ["same"],
    )
    assert accounts["same"].limits is account.limits


async def test_replacements_are_counted_on() -> None:
    """Who watches them does not take a new source for a replaced file."""
    accounts = Accounts(connection(), {})
    account = accounts[""]
    assert isinstance(account.token, PersonalToken)
    await account.token()
    accounts.take(connection(token=token("NEW")), {})
    await account.token()
    assert account.token.changes == 0


async def test_another_key_of_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = pem(), pem()
    accounts = Accounts(connection(token=None, app=app(old)), {})
    account = accounts[""]
    forgotten = forgets(account, monkeypatch)
    assert isinstance(account.token, AppToken)
    before = account.token.signed()
    assert accounts.take(connection(token=None, app=app(new)), {}) == ([], [""])
    assert account.token.signed().rpartition(".")[2] != before.rpartition(".")[2]
    assert forgotten == [True]


def test_new_connections_are_there_at_once() -> None:
    accounts = Accounts(connection(), {})
    assert accounts.take(connection(), {"lab": connection("https://github.com/lab")}) == ([], [])
    assert accounts["lab"].scope.name == "lab"


def test_one_that_is_gone_stays_until_a_restart() -> None:
    accounts = Accounts(connection(), {"lab": connection("https://github.com/lab")})
    [text], renewed = accounts.take(connection(), {})
    assert text.startswith("connections.lab: it is gone")
    assert renewed == []
    assert "lab" in accounts
    assert accounts.take(connection(), {"lab": connection("https://github.com/lab")}) == ([], [])


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"url": "https://github.com/other"}, "url"),
        ({"proxy": "http://proxy:3128"}, "proxy"),
        ({"token": None, "app": ""}, "app"),
    ],
)
@pytest.mark.parametrize("name", ["", "lab"])
async def test_where_it_leads_is_settled(fields: dict[str, Any], key: str, name: str) -> None:
    """The rest of such a connection waits for the restart, too: a token may be for there only."""
    more = {"app": app(pem())} if "app" in fields else {"token": token("NEW")}
    fields = {**more, **fields, **({"app": more["app"]} if "app" in fields else {})}
    before = {"": connection(), "lab": connection("https://github.com/lab")}
    accounts = Accounts(before[""], {"lab": before["lab"]})
    after = {**before, name: connection(**{"url": before[name].url, **fields})}
    [text], renewed = accounts.take(after[""], {"lab": after["lab"]})
    assert text.partition(":")[0] == (f"connections.lab.{key}" if name else key)
    assert renewed == []
    assert await accounts[name].token() == "ghp_old"


@pytest.mark.parametrize("fields", [{"client_id": "Iv23other"}, {"installation_id": 8}])
def test_another_app_is_another_credential(fields: dict[str, Any]) -> None:
    key = pem()
    accounts = Accounts(connection(token=None, app=app(key)), {})
    [text], renewed = accounts.take(connection(token=None, app=app(key, **fields)), {})
    assert text.startswith("app: ")
    assert renewed == []


def test_a_file_of_authorities_with_another_content(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(path))
    accounts = Accounts(connection(ca_file=path), {})
    assert accounts.take(connection(ca_file=path), {}) == ([], [])
    trustme.CA().cert_pem.write_to_path(str(path))
    [text], _ = accounts.take(connection(ca_file=path), {})
    assert text.startswith("ca_file: ")


async def test_a_token_that_cannot_be_read_does_not_go_back() -> None:
    """It is what the settings name now; that it cannot be read is told, as at a start."""
    accounts = Accounts(connection(), {})
    account = accounts[""]
    assert isinstance(account.token, PersonalToken)
    accounts.take(connection(token=token("GONE")), {})
    await account.token.look()
    assert "GONE" in account.token.problem
