"""Every way in which the services refuse, in the form in which GitHub does."""

import json
import time
from typing import Any

import httpx
import pytest

from scaler_github.testing import Lifetimes, Refusal
from scaler_github.testing.probe import AGENTS, probed
from scaler_github.testing.tokens import make_jwt, read_claims

TOKEN_PATH = "/orgs/acme/actions/runners/registration-token"


def check_service_error(answer: httpx.Response, status: int, kind: str) -> None:
    assert answer.status_code == status
    body = answer.json()
    assert body["$id"] == "1"
    assert body["typeName"] == (
        f"GitHub.Actions.Runtime.WebApi.{kind}, GitHub.Actions.Runtime.WebApi"
    )
    assert body["message"]
    assert answer.headers["ActivityId"]


def check_rest_error(answer: httpx.Response, status: int, message: str) -> None:
    assert answer.status_code == status
    body = answer.json()
    assert body["status"] == str(status)
    assert message in body["message"]
    assert body["documentation_url"].startswith("https://docs.github.com/")
    assert answer.headers["X-GitHub-Request-Id"]
    assert answer.headers["Date"]


async def test_rest_credentials() -> None:
    async with probed(ready=False) as (sim, probe):
        for auth in ("Bearer wrong", f"token {sim.token}", "", "Bearer"):
            check_rest_error(await probe.rest("POST", TOKEN_PATH, auth=auth), 401, "Bad cred")
        for path in (
            "/orgs/nobody/actions/runners/registration-token",
            "/repos/nobody/widgets/actions/runners/registration-token",
            "/enterprises/acme/actions/runners/registration-token",
            "/nowhere",
        ):
            check_rest_error(await probe.rest("POST", path), 404, "Not Found")
        good = await probe.rest("POST", TOKEN_PATH)
        assert good.headers["x-ratelimit-resource"] == "actions_runner_registration"
        assert good.headers["x-ratelimit-remaining"] == "9996"
        sim.revoke_token(sim.token)
        check_rest_error(await probe.rest("POST", TOKEN_PATH), 401, "Bad cred")


@pytest.mark.parametrize(
    ("scope", "wanted", "right"),
    [
        ("orgs/acme", "organization_self_hosted_runners=write", "admin:org"),
        ("repos/acme/widgets", "administration=write", "repo"),
        ("enterprises/big", "enterprise_runners=write", "manage_runners:enterprise"),
    ],
)
async def test_a_token_without_the_right(scope: str, wanted: str, right: str) -> None:
    async with probed(ready=False) as (sim, probe):
        sim.add_scope("enterprises/big")
        path = f"/{scope}/actions/runners/registration-token"
        sim.add_token("ghp_weak", ["read:user"])
        answer = await probe.rest("POST", path, auth="Bearer ghp_weak")
        if scope.startswith("repos/"):
            check_rest_error(answer, 404, "Not Found")
        else:
            check_rest_error(answer, 403, "Must have admin rights")
        assert right in answer.headers["X-Accepted-OAuth-Scopes"]
        assert answer.headers["X-OAuth-Scopes"] == "read:user"
        sim.add_token("github_pat_weak", ["metadata=read"])
        answer = await probe.rest("POST", path, auth="Bearer github_pat_weak")
        check_rest_error(answer, 403, "Resource not accessible by personal access token")
        assert answer.headers["X-Accepted-GitHub-Permissions"] == wanted
        assert "X-OAuth-Scopes" not in answer.headers
        sim.add_token("github_pat_fit", [wanted])
        auth = "Bearer github_pat_fit"
        assert (await probe.rest("POST", path, auth=auth)).status_code == 201
        sim.add_token("ghp_fit", [right])
        assert (await probe.rest("POST", path, auth="Bearer ghp_fit")).status_code == 201


async def test_runner_registration_wants_remoteauth() -> None:
    async with probed(ready=False) as (sim, probe):
        token = (await probe.rest("POST", TOKEN_PATH)).json()["token"]
        path, body = "/actions/runner-registration", {"url": sim.url, "runner_event": "register"}
        for auth in (f"Bearer {token}", "RemoteAuth wrong", f"RemoteAuth {sim.token}"):
            check_rest_error(await probe.rest("POST", path, auth=auth, body=body), 401, "Bad")
        good = f"RemoteAuth {token}"
        for bad, status in (
            ({"url": sim.url}, 422),
            ({"url": f"{sim.origin}/nobody", "runner_event": "register"}, 404),
            ({"url": f"{sim.origin}/acme/widgets", "runner_event": "register"}, 404),
            ([], 422),
        ):
            answer = await probe.rest("POST", path, auth=good, body=bad)
            assert answer.status_code == status
        body["url"] = f"{sim.origin}/ACME/"
        assert (await probe.rest("POST", path, auth=good, body=body)).status_code == 201
        assert sim.expire_tokens("registration") == 1
        assert (await probe.rest("POST", path, auth=good, body=body)).status_code == 401


async def test_who_and_where() -> None:
    async with probed(ready=False) as (sim, probe):
        sim.add_scope("enterprises/big")
        for path in (
            "/user",
            "/orgs/acme",
            "/orgs/acme/actions/permissions",
            "/repos/acme/widgets",
            "/repos/acme/widgets/actions/permissions",
            "/enterprises/big",
            "/rate_limit",
            "/meta",
        ):
            assert (await probe.rest("GET", path)).status_code == 200, path
        assert (await probe.rest("GET", "/orgs/nobody")).status_code == 404
        assert (await probe.rest("GET", "/repos/acme%2Fx/../user")).status_code == 404
        answer = await probe.http.get(
            f"{sim.origin}/user", headers={"Host": "api.x", "Authorization": f"Bearer {sim.token}"}
        )
        assert answer.json()["login"] == "octocat"
        assert (await probe.http.get(f"{sim.origin}/user")).status_code == 404


async def test_the_rest_budget_runs_out() -> None:
    async with probed(ready=False) as (sim, probe):
        sim.rate.limit = 2
        for _ in range(2):
            assert (await probe.rest("GET", "/user")).status_code == 200
        answer = await probe.rest("GET", "/user")
        check_rest_error(answer, 403, "rate limit exceeded")
        assert answer.headers["x-ratelimit-remaining"] == "0"
        assert int(answer.headers["x-ratelimit-reset"]) > time.time()
        sim.rate.reset = 0
        assert (await probe.rest("GET", "/user")).status_code == 200


async def test_github_app() -> None:
    async with probed(ready=False) as (sim, probe):
        sim.add_app("Iv1.abc", 42)
        now = int(sim.now)
        good = {"iss": "Iv1.abc", "iat": now - 60, "exp": now + 540}

        async def ask(claims: dict[str, Any], number: int = 42) -> httpx.Response:
            path = f"/app/installations/{number}/access_tokens"
            return await probe.rest("POST", path, auth=f"Bearer {make_jwt(claims)}")

        for bad in (
            {"exp": now - 1},
            {"exp": now + 700},
            {"iat": now + 60},
            {"iss": "other"},
            {"iat": None},
        ):
            assert (await ask({**good, **bad})).status_code == 401, bad
        assert (await ask(good, 43)).status_code == 404
        answer = await ask(good)
        assert answer.status_code == 201
        auth = f"Bearer {answer.json()['token']}"
        assert (await probe.rest("POST", TOKEN_PATH, auth=auth)).status_code == 201
        assert (await probe.rest("GET", "/user", auth=auth)).status_code == 403
        assert sim.expire_tokens("installation") == 1
        assert (await probe.rest("POST", TOKEN_PATH, auth=auth)).status_code == 401
        with pytest.raises(ValueError, match="three parts"):
            read_claims("x.y")


async def test_admin_tokens_are_jwts_that_expire() -> None:
    async with probed(lifetimes=Lifetimes(admin=100)) as (sim, probe):
        claims = read_claims(probe.admin)
        assert 98 <= claims["exp"] - sim.now <= 100
        for token in ("wrong", probe.queue_token, sim.token):
            check_service_error(
                await probe.service("GET", AGENTS, token=token), 401, "AccessDeniedException"
            )
        assert (await probe.service("GET", AGENTS)).status_code == 200
        assert sim.expire_tokens("admin") == 1
        assert (await probe.service("GET", AGENTS)).status_code == 401
        await probe.register()
        assert (await probe.service("GET", AGENTS)).status_code == 200


async def test_queue_tokens_and_their_urls() -> None:
    async with probed(poll_seconds=0.01, flow="offered") as (sim, probe):
        old = dict(probe.session)
        assert (await probe.poll()).status_code == 202
        assert (await probe.service("POST", probe.path("/acquirejobs"), body=[])).status_code == 401
        new = (await probe.refresh()).json()
        assert new["sessionId"] == old["sessionId"]
        assert new["messageQueueUrl"] != old["messageQueueUrl"]
        probe.session = {**old, "messageQueueAccessToken": new["messageQueueAccessToken"]}
        check_service_error(await probe.poll(), 401, "AccessDeniedException")
        probe.session = old
        assert (await probe.poll()).status_code == 202
        probe.session = {**new, "messageQueueUrl": new["messageQueueUrl"].partition("?")[0] + "?"}
        check_service_error(await probe.poll(), 400, "ArgumentException")
        probe.session = new
        assert sim.expire_tokens("queue") == 2
        assert (await probe.poll()).status_code == 401
        assert (await probe.delete_message(1)).status_code == 401
        assert (await probe.acquire([])).status_code == 401
        await probe.refresh()
        assert (await probe.acquire([])).status_code == 200


async def test_api_version_is_wanted_in_the_query_but_not_by_the_queue() -> None:
    async with probed() as (_, probe):
        for version in (None, "5.0", ""):
            answer = await probe.service("GET", AGENTS, version=version)
            check_service_error(answer, 400, "VssVersionNotSpecifiedException")
        answer = await probe.service(
            "POST", probe.path("/acquirejobs"), body=[], token=probe.queue_token, version=None
        )
        assert answer.status_code == 400
        assert "api-version" not in probe.session["messageQueueUrl"]


async def test_scale_set_refusals() -> None:
    async with probed() as (sim, probe):
        check_service_error(await probe.create("VM"), 400, "RunnerScaleSetExistsException")
        group = sim.add_runner_group("gpu")
        assert (await probe.create("vm", group=group)).status_code == 200
        assert (await probe.find(name="vm", runnerGroupId=str(group))).json()["count"] == 1
        assert (await probe.find(name="Vm")).json()["count"] == 2
        assert (await probe.find()).json()["count"] == 2
        check_service_error(await probe.create("x", group=99), 400, "ArgumentException")
        check_service_error(await probe.create(""), 400, "ArgumentException")
        bodies: list[Any] = [[], {"name": 5}]
        bodies += [{"name": "y", "labels": [1]}, {"name": "y", "labels": {}}]
        for body in bodies:
            answer = await probe.service("POST", "_apis/runtime/runnerscalesets", body=body)
            check_service_error(answer, 400, "ArgumentException")
        for method, rest in (
            ("GET", ""),
            ("PATCH", ""),
            ("DELETE", ""),
            ("POST", "/sessions"),
            ("POST", "/generatejitconfig"),
            ("GET", "/acquirablejobs"),
        ):
            path = f"_apis/runtime/runnerscalesets/99{rest}"
            answer = await probe.service(method, path, body={"name": "a", "ownerName": "b"})
            check_service_error(answer, 404, "RunnerScaleSetNotFoundException")
        answer = await probe.service("GET", "_apis/runtime/runnerscalesets/x")
        check_service_error(answer, 400, "ArgumentException")
        answer = await probe.service("GET", "_apis/elsewhere")
        check_service_error(answer, 404, "VssResourceNotFoundException")


async def test_scale_sets_are_changed_by_patch() -> None:
    async with probed() as (sim, probe):
        answer = await probe.service(
            "PATCH", probe.path(), body={"name": "new", "labels": [{"name": "a"}, {"name": "b"}]}
        )
        assert [label["name"] for label in answer.json()["labels"]] == ["a", "b"]
        assert (await probe.service("GET", probe.path())).json()["name"] == "new"
        sim.options.single_label = True
        answer = await probe.service(
            "PATCH", probe.path(), body={"labels": [{"name": "c"}, {"name": "d"}]}
        )
        assert [label["name"] for label in answer.json()["labels"]] == ["c"]
        answer = await probe.create("two", "x", "y")
        assert [label["name"] for label in answer.json()["labels"]] == ["x"]
        answer = await probe.service("PATCH", probe.path(), body={"name": "new"})
        check_service_error(answer, 400, "RunnerScaleSetExistsException")


async def test_runner_groups() -> None:
    async with probed() as (sim, probe):
        sim.add_runner_group("gpu")
        groups = "_apis/runtime/runnergroups/"
        assert (await probe.service("GET", groups, groupName="default")).json()["value"] == [
            {"id": 1, "name": "Default", "size": 0, "isDefaultGroup": True}
        ]
        assert (await probe.service("GET", groups)).json()["count"] == 2
        assert (await probe.service("GET", groups, groupName="no")).json()["count"] == 0


async def test_one_session_for_one_scale_set() -> None:
    async with probed(session_timeout=100) as (sim, probe):
        first = probe.session
        check_service_error(await probe.open(), 409, "RunnerScaleSetSessionConflictException")
        held = sim.scale_set("vm").session
        assert held
        held.seen -= 101
        assert (await probe.open()).status_code == 200
        gone = await probe.service("PATCH", probe.path(f"/sessions/{first['sessionId']}"))
        check_service_error(gone, 404, "RunnerAdminException")
        assert "doesn't exist in redis" in gone.json()["message"]
        sim.hold_session("vm")
        assert (await probe.refresh()).status_code == 404
        check_service_error(await probe.poll(), 404, "RunnerAdminException")
        assert (await probe.open()).status_code == 409
        sim.end_session("vm")
        assert (await probe.open()).status_code == 200
        path = probe.path(f"/sessions/{probe.session['sessionId']}")
        assert (await probe.service("DELETE", path)).status_code == 204
        assert (await probe.service("DELETE", path)).status_code == 404
        bad = await probe.service("POST", probe.path("/sessions"), body={})
        check_service_error(bad, 400, "ArgumentException")


async def test_agent_refusals() -> None:
    async with probed() as (sim, probe):
        assert (await probe.jitconfig("r1")).status_code == 200
        check_service_error(await probe.jitconfig("R1"), 409, "AgentExistsException")
        check_service_error(await probe.jitconfig(""), 400, "ArgumentException")
        [found] = (await probe.service("GET", AGENTS, agentName="R1")).json()["value"]
        assert found["runnerScaleSetId"] == probe.scale_set
        assert (found["status"], found["busy"], found["ephemeral"]) == ("offline", False, True)
        assert (await probe.service("GET", f"{AGENTS}/{found['id']}")).json() == found
        assert (await probe.service("GET", AGENTS)).json()["value"] == [found]
        for _ in range(2):
            assert (await probe.service("DELETE", f"{AGENTS}/{found['id']}")).status_code == 204
        check_service_error(
            await probe.service("GET", f"{AGENTS}/{found['id']}"), 404, "AgentNotFoundException"
        )
        with pytest.raises(Refusal, match="RunnerScaleSetExistsException"):
            sim.create_scale_set("vm")


async def test_nonsense_in_the_queue_and_the_body() -> None:
    async with probed() as (_sim, probe):
        url = probe.session["messageQueueUrl"]
        headers = {"Authorization": f"Bearer {probe.queue_token}"}
        for query, capacity in (("&lastMessageId=x", "1"), ("", "-1"), ("", "many")):
            answer = await probe.http.get(
                url + query, headers={**headers, "X-ScaleSetMaxCapacity": capacity}
            )
            check_service_error(answer, 400, "ArgumentException")
        answer = await probe.http.post(
            f"{probe.base}{probe.path('/generatejitconfig')}?api-version=6.0-preview",
            content=b"{",
            headers={"Authorization": f"Bearer {probe.admin}"},
        )
        check_service_error(answer, 400, "ArgumentException")
        check_service_error(await probe.acquire({"no": 1}), 400, "ArgumentException")  # type: ignore[arg-type]


async def test_byte_order_mark() -> None:
    async with probed(byte_order_mark=True, ready=False) as (_sim, probe):
        await probe.register()
        answer = await probe.find()
        assert answer.content.startswith(b"\xef\xbb\xbf")
        assert json.loads(answer.content.decode("utf-8-sig"))["count"] == 0
