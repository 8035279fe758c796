"""Kinds of personal access tokens: what they are told, what they may see, how they end."""

import httpx
import pytest

from scaler_github.testing.probe import Probe, probed

TOKEN_PATH = "/orgs/acme/actions/runners/registration-token"
EXPIRATION = "github-authentication-token-expiration"


async def get(probe: Probe, token: str, path: str) -> httpx.Response:
    return await probe.rest("GET", path, auth=f"Bearer {token}")


async def test_only_classic_tokens_are_told_their_scopes() -> None:
    async with probed(ready=False) as (sim, probe):
        sim.add_token("ghp_one", ["repo", "admin:org"])
        sim.add_token("github_pat_one", ["administration=write"])
        sim.add_token("ghp_fine", ["repo"], form="fine-grained")
        answer = await get(probe, "ghp_one", "/user")
        assert answer.headers["x-oauth-scopes"] == "admin:org, repo"
        for fine in ("github_pat_one", "ghp_fine"):
            assert "x-oauth-scopes" not in (await get(probe, fine, "/user")).headers
        with pytest.raises(ValueError, match="none of classic, fine-grained"):
            sim.add_token("x", form="odd")  # type: ignore[arg-type]


async def test_the_end_of_a_token_is_told_before_and_is_a_401_after() -> None:
    async with probed(ready=False) as (sim, probe):
        assert EXPIRATION not in (await probe.rest("GET", "/user")).headers
        sim.add_token(sim.token, expires_in=1_796_119_200 - sim.now)
        answer = await probe.rest("GET", "/user")
        assert answer.headers[EXPIRATION] == "2026-12-01 10:00:00 UTC"
        assert answer.json()["login"] == "octocat"
        sim.add_token(sim.token, expires_in=-1)
        answer = await probe.rest("GET", "/user")
        assert (answer.status_code, answer.json()["message"]) == (401, "Bad credentials")
        assert not {EXPIRATION, "x-oauth-scopes"} & set(answer.headers)
        sim.add_token(sim.token)
        assert (await probe.rest("GET", "/user")).status_code == 200


async def test_a_token_expires_with_githubs_clock() -> None:
    async with probed(ready=False) as (sim, probe):
        sim.add_token(sim.token, expires_in=3600)
        sim.options.clock_offset = 3590
        assert (await probe.rest("GET", "/user")).status_code == 200
        sim.options.clock_offset = 3610
        assert (await probe.rest("GET", "/user")).status_code == 401


async def test_what_a_token_may_not_see_does_not_exist() -> None:
    async with probed(ready=False) as (sim, probe):
        sim.add_scope("other")
        sim.add_scope("enterprises/big")
        sim.add_token("ghp_one", sees=["Acme/widgets", "other"])
        for path, status in (
            ("/orgs/acme", 404),
            ("/orgs/acme/actions/runners", 404),
            ("/repos/acme/widgets/actions/runners", 200),
            ("/repos/acme/gadgets/actions/runners", 404),
            ("/orgs/other/actions/runners", 200),
            ("/repos/other/thing/actions/runners", 200),
            ("/enterprises/big/actions/runners", 404),
            ("/user", 200),
        ):
            assert (await get(probe, "ghp_one", path)).status_code == status, path


async def test_single_sign_on_is_demanded_of_classic_tokens() -> None:
    async with probed(ready=False) as (sim, probe):
        sim.demand_sso("Acme")
        sim.add_token("github_pat_one", ["organization_self_hosted_runners=write"])
        answer = await probe.rest("POST", TOKEN_PATH)
        assert answer.status_code == 403
        assert "SAML enforcement" in answer.json()["message"]
        told = answer.headers["x-github-sso"]
        assert told.startswith(f"required; url={sim.origin}/orgs/acme/sso?authorization_request=")
        assert (await probe.rest("GET", "/repos/acme/widgets")).status_code == 403
        assert (await probe.rest("GET", "/user")).status_code == 200
        auth = "Bearer github_pat_one"
        assert (await probe.rest("POST", TOKEN_PATH, auth=auth)).status_code == 201
        sim.authorize_sso("acme")
        assert (await probe.rest("POST", TOKEN_PATH)).status_code == 201
        sim.add_token("ghp_other")
        assert (await get(probe, "ghp_other", "/orgs/acme")).status_code == 403
        sim.demand_sso("acme", False)
        assert (await get(probe, "ghp_other", "/orgs/acme")).status_code == 200
        with pytest.raises(LookupError, match="personal access token"):
            sim.authorize_sso("acme", "nobody's")


@pytest.mark.parametrize(
    ("rights", "path", "status"),
    [
        (["manage_runners:enterprise"], "/enterprises/big", 404),
        (["manage_runners:enterprise"], "/enterprises/big/actions/runners", 200),
        (["manage_runners:enterprise"], "/enterprises/big/actions/permissions", 403),
        (["read:enterprise"], "/enterprises/big", 200),
        (["admin:org"], "/enterprises/big", 404),
        (["repo"], "/orgs/acme", 200),
        (["repo"], "/orgs/acme/actions/permissions", 403),
        (["repo"], "/repos/acme/widgets", 200),
        (["admin:org"], "/repos/acme/widgets", 404),
        (["admin:org"], "/repos/acme/widgets/actions/permissions", 404),
    ],
)
async def test_who_may_ask_about_a_place(rights: list[str], path: str, status: int) -> None:
    async with probed(ready=False) as (sim, probe):
        sim.add_scope("enterprises/big")
        sim.add_token("ghp_one", rights)
        assert (await get(probe, "ghp_one", path)).status_code == status


async def test_managing_runners_does_not_include_reading_actions_permissions() -> None:
    async with probed(ready=False) as (sim, probe):
        sim.add_token("github_pat_one", ["organization_self_hosted_runners=write"])
        assert (await get(probe, "github_pat_one", "/orgs/acme/actions/runners")).status_code == 200
        answer = await get(probe, "github_pat_one", "/orgs/acme/actions/permissions")
        assert answer.status_code == 403
        wanted = answer.headers["x-accepted-github-permissions"]
        assert wanted == "organization_administration=read"
        sim.add_token("github_pat_one", ["organization_administration=write"])
        answer = await get(probe, "github_pat_one", "/orgs/acme/actions/permissions")
        assert answer.status_code == 200


async def test_an_enterprise_server_tells_its_version_and_github_does_not() -> None:
    async with probed(ready=False, version="3.15.2") as (sim, probe):
        answer = await probe.rest("GET", "/meta")
        assert answer.json()["installed_version"] == "3.15.2"
        assert answer.headers["x-github-enterprise-version"] == "enterprise-server@3.15.2"
        await probe.register()
        answer = await probe.create("vm", "a", "b")
        assert [label["name"] for label in answer.json()["labels"]] == ["a"]
        sim.options.version = None
        answer = await probe.rest("GET", "/meta")
        assert "installed_version" not in answer.json()
        assert "x-github-enterprise-version" not in answer.headers
        answer = await probe.create("vm2", "a", "b")
        assert [label["name"] for label in answer.json()["labels"]] == ["a", "b"]
