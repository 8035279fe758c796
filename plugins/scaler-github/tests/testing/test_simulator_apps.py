"""GitHub Apps: signed JWTs, installations, and their tokens."""

from functools import cache
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from scaler_github.testing import Simulator
from scaler_github.testing.probe import Probe, probed
from scaler_github.testing.tokens import make_jwt

TOKEN_PATH = "/orgs/acme/actions/runners/registration-token"


@cache
def key(number: int) -> RSAPrivateKey:
    assert number >= 0
    return generate_private_key(public_exponent=65537, key_size=2048)


def public(number: int) -> str:
    form = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return key(number).public_key().public_bytes(*form).decode()


def claims(sim: Simulator, issuer: object = "Iv1.abc") -> dict[str, Any]:
    now = int(sim.now)
    return {"iss": issuer, "iat": now - 60, "exp": now + 540}


async def exchange(probe: Probe, token: str, number: int = 42) -> httpx.Response:
    path = f"/app/installations/{number}/access_tokens"
    return await probe.rest("POST", path, auth=f"Bearer {token}")


async def test_the_signature_is_checked_where_the_key_is_known() -> None:
    async with probed(ready=False) as (sim, probe):
        number = sim.add_app("Iv1.abc", 42, public_key=public(0))
        good = claims(sim)
        assert (await exchange(probe, jwt.encode(good, key(0), "RS256"))).status_code == 201
        by_number = claims(sim, str(number))
        assert (await exchange(probe, jwt.encode(by_number, key(0), "RS256"))).status_code == 201
        for bad in (jwt.encode(good, key(1), "RS256"), make_jwt(good)):
            answer = await exchange(probe, bad)
            assert answer.status_code == 401
            assert answer.json()["message"] == "A JSON web token could not be decoded"


async def test_a_jwt_of_a_machine_whose_clock_is_ahead_is_refused() -> None:
    async with probed(ready=False) as (sim, probe):
        sim.add_app("Iv1.abc", 42)
        ahead = claims(sim)
        sim.options.clock_offset = -300
        answer = await exchange(probe, make_jwt(ahead))
        assert answer.status_code == 401
        assert "'iat'" in answer.json()["message"]
        assert (await exchange(probe, make_jwt(claims(sim)))).status_code == 201


async def test_an_app_asks_about_itself() -> None:
    async with probed(ready=False) as (sim, probe):
        number = sim.add_app("Iv1.abc", 42, ["organization_self_hosted_runners=write"])
        sim.add_app("Iv1.abc", 43, account="other")
        auth = f"Bearer {make_jwt(claims(sim))}"
        shown = (await probe.rest("GET", "/app", auth=auth)).json()
        assert (shown["id"], shown["client_id"]) == (number, "Iv1.abc")
        assert shown["permissions"] == {"organization_self_hosted_runners": "write"}
        rows = (await probe.rest("GET", "/app/installations", auth=auth)).json()
        assert [(one["id"], one["account"]["login"]) for one in rows] == [
            (42, "acme"),
            (43, "other"),
        ]
        answer = await probe.rest("GET", "/app/installations?per_page=1", auth=auth)
        assert len(answer.json()) == 1
        assert "page=2" in answer.links["next"]["url"]
        sim.suspend_app(43)
        one = (await probe.rest("GET", "/app/installations/43", auth=auth)).json()
        assert one["suspended_at"]
        missing = await probe.rest("GET", "/app/installations/9", auth=auth)
        assert missing.status_code == 404
        assert (await probe.rest("GET", "/app")).status_code == 401


async def test_installation_tokens_end() -> None:
    async with probed(ready=False) as (sim, probe):
        sim.add_app("Iv1.abc", 42)

        async def token() -> str:
            return str((await exchange(probe, make_jwt(claims(sim)))).json()["token"])

        async def use(text: str) -> httpx.Response:
            return await probe.rest("POST", TOKEN_PATH, auth=f"Bearer {text}")

        first = await token()
        answer = await use(first)
        assert answer.status_code == 201
        assert "x-oauth-scopes" not in answer.headers
        assert sim.rate_of(installation_id=42, resource="actions_runner_registration").used == 1
        sim.options.clock_offset = 3601
        assert (await use(first)).status_code == 401

        second = await token()
        path = "/installation/token"
        revoked = await probe.rest("DELETE", path, auth=f"Bearer {second}")
        assert (revoked.status_code, (await use(second)).status_code) == (204, 401)
        assert (await probe.rest("DELETE", path)).status_code == 403

        third = await token()
        sim.suspend_app(42)
        answer = await use(third)
        assert answer.status_code == 403
        assert answer.json()["message"] == "This installation has been suspended"
        assert (await exchange(probe, make_jwt(claims(sim)))).status_code == 403
        sim.suspend_app(42, False)
        assert (await use(third)).status_code == 201

        sim.add_app("Iv1.abc", 44)
        sim.remove_app(42)
        assert (await use(third)).status_code == 401
        assert (await exchange(probe, make_jwt(claims(sim)))).status_code == 404
        with pytest.raises(LookupError, match="no installation 42"):
            sim.suspend_app(42)


async def test_an_installation_has_its_rights_and_its_account() -> None:
    async with probed(ready=False) as (sim, probe):
        sim.add_scope("other")
        sim.add_app("Iv1.abc", 42, ["metadata=read"], account="acme")
        answer = await exchange(probe, make_jwt(claims(sim)))
        assert answer.json()["permissions"] == {"metadata": "read"}
        auth = f"Bearer {answer.json()['token']}"
        refused = await probe.rest("POST", TOKEN_PATH, auth=auth)
        assert refused.status_code == 403
        assert refused.json()["message"] == "Resource not accessible by integration"
        wanted = refused.headers["x-accepted-github-permissions"]
        assert wanted == "organization_self_hosted_runners=write"
        other = await probe.rest("GET", "/orgs/other/actions/runners", auth=auth)
        assert other.status_code == 404
