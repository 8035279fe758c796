"""The check of `github` against the simulator: what a person is told, case by case."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from scaler import Secret
from scaler_github.account import App, Connection
from scaler_github.connection import GitHub
from scaler_github.testing import Simulator

Checked = Any
Told = Callable[[Any], list[str]]
# All that a check may call; nothing else is made or changed at GitHub
ASKED = {
    "meta",
    "user",
    "org",
    "repo",
    "unknown",
    "permissions",
    "registration-token",
    "runner-registration",
    "app-installation",
    "installation-token",
    "rest-runner-groups",
}
MOST = 8  # REST calls of one connection


async def lines(checked: Checked, told: Told, sim: Simulator, most: int = MOST) -> list[str]:
    before = sim.history.counts.total()
    findings = await checked.github.check()
    assert sim.history.counts.total() - before <= most
    assert {name for name, count in sim.history.counts.items() if count} <= ASKED
    return told(findings)


async def test_a_good_token(checked: Checked, sim: Simulator, told: Told) -> None:
    sim.add_token("ghp_good", ["admin:org"], login="mona")
    assert await lines(checked.build(sim.url, "ghp_good"), told, sim) == [
        f"ok {sim.origin.partition('//')[2]} answers, an Enterprise Server 3.19.1",
        "ok signed in as mona by a classic token with the scope admin:org",
        "ok organization acme is there",
        "ok Actions is on in organization acme",
        "ok the classic token may register runners with organization acme",
    ]
    assert checked.github.accounts[""].transport._calls is None  # no connection stays open


async def test_an_expired_token(checked: Checked, sim: Simulator, told: Told) -> None:
    sim.add_token("ghp_old", ["admin:org"], expires_in=-1)
    [_, wrong] = await lines(checked.build(sim.url, "ghp_old"), told, sim, most=2)
    assert wrong.startswith("WRONG GitHub does not accept the token of ")
    for word in ("401 Bad credentials", "expired", f"{sim.origin}/settings/tokens/new?scopes="):
        assert word in wrong
    assert "ghp_old" not in wrong


async def test_a_refused_token_is_not_sent_again_at_once(
    checked: Checked, sim: Simulator, told: Told
) -> None:
    sim.add_token("ghp_old", ["admin:org"], expires_in=-1)
    checked.build(sim.url, "ghp_old")
    await lines(checked, told, sim, most=2)
    [_, wrong] = await lines(checked, told, sim, most=1)
    assert wrong.startswith("WRONG GitHub does not accept the token of ")
    assert sim.count("user") == 1


@pytest.mark.parametrize(
    ("body", "words"),
    [({"message": "An IP allow list", "token": "SECRET"}, "An IP allow list"), (b"SECRET", "")],
    ids=["words", "no-words"],
)
async def test_of_a_refused_secret_only_githubs_words_are_shown(
    checked: Checked, sim: Simulator, told: Told, body: Any, words: str
) -> None:
    sim.add_token("ghp_good", ["admin:org"])
    sim.faults.add("registration-token", status=403, body=body, times=2)
    *_, wrong = await lines(checked.build(sim.url, "ghp_good"), told, sim)
    assert "may not register runners" in wrong
    assert "403" in wrong
    assert words in wrong
    assert "SECRET" not in wrong


async def test_a_token_without_admin_org(checked: Checked, sim: Simulator, told: Told) -> None:
    sim.add_token("ghp_weak", ["repo"], login="mona")
    said = await lines(checked.build(sim.url, "ghp_weak"), told, sim)
    assert [line.partition(" ")[0] for line in said] == ["ok", "ok", "ok", "unseen", "WRONG"]
    for word in ("may not register", "Must have admin rights", "admin:org", "mona", "owner"):
        assert word in said[-1]


async def test_a_wrong_organization(checked: Checked, sim: Simulator, told: Told) -> None:
    sim.add_token("ghp_good", ["admin:org"])
    said = await lines(checked.build(f"{sim.origin}/acmee", "ghp_good"), told, sim)
    assert len(said) == 3
    assert "WRONG there is no organization acmee at" in said[-1]
    assert f'plugins.github.url = "{sim.origin}/acmee"' in said[-1]


async def test_a_person_given_as_an_organization(
    checked: Checked, sim: Simulator, told: Told
) -> None:
    sim.faults.add(contains="/users/mona", status=200, body={"login": "mona", "type": "User"})
    said = await lines(checked.build(f"{sim.origin}/mona", sim.token), told, sim)
    assert "mona is a person's account" in said[-1]
    assert f'"{sim.origin}/mona/REPOSITORY"' in said[-1]


async def test_a_port_where_nobody_listens(checked: Checked, told: Told) -> None:
    [said] = told(await checked.build("http://127.0.0.1:9/acme", "ghp_x").github.check())
    assert said.startswith("WRONG nothing listens at 127.0.0.1:9: Connection refused")


async def test_a_host_that_does_not_exist(checked: Checked, told: Told) -> None:
    [said] = told(await checked.build("https://git.invalid/acme", "ghp_x").github.check())
    assert said.startswith("WRONG ")
    assert "git.invalid" in said
    assert "plugins.github" in said


@asynccontextmanager
async def answering(text: bytes) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Something that answers all requests alike; its port, and what it was sent."""
    heard: list[bytes] = []

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            heard.append(await stream.receive_some(65536))
            await stream.send_all(text)

    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        yield listener.socket.getsockname()[1], heard
        nursery.cancel_scope.cancel()


def page(status: str, body: bytes = b"<html>hello</html>") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def test_a_host_that_is_no_github_gets_no_token(checked: Checked, told: Told) -> None:
    async with answering(page("200 OK")) as (port, heard):
        checked.build(f"http://127.0.0.1:{port}/acme", "ghp_secret")
        [said] = told(await checked.github.check())
    assert f"WRONG 127.0.0.1:{port} is no GitHub: it answers 200" in said
    assert "a web page" in said
    assert b"/api/v3/meta" in heard[0]
    assert not any(b"ghp_secret" in each for each in heard)


async def test_proxies_that_are_down_or_refuse(checked: Checked, told: Told) -> None:
    url = "https://github.com/acme"
    down = checked.build(url, "ghp_x", proxy="http://me:p4ss@127.0.0.1:9")
    [said] = told(await down.github.check())
    assert "WRONG the proxy cannot be reached: 127.0.0.1:9: Connection refused" in said
    assert "plugins.github.proxy" in said
    for status, word in (("407 No", "USER:PASSWORD"), ("403 No", "allow api.github.com")):
        async with answering(page(status, b"")) as (port, _):
            refusing = checked.build(url, "ghp_x", proxy=f"http://me:p4ss@127.0.0.1:{port}")
            [said] = told(await refusing.github.check())
        assert f"WRONG the proxy {'wants' if '407' in status else 'does not let'}" in said
        assert word in said
        assert "p4ss" not in said


async def test_a_certificate_that_is_not_trusted(checked: Checked, told: Told) -> None:
    async with answering(b"no TLS here\r\n\r\n") as (port, _):
        [said] = told(await checked.build(f"https://127.0.0.1:{port}/acme", "g").github.check())
    assert "cannot be trusted: TLS" in said
    assert "plugins.github.ca_file" in said


async def test_a_fine_grained_token(checked: Checked, sim: Simulator, told: Told) -> None:
    sim.add_token("github_pat_a", ["organization_self_hosted_runners=write"], login="mona")
    said = await lines(checked.build(sim.url, "github_pat_a"), told, sim)
    assert [line.partition(" ")[0] for line in said] == ["ok", "ok", "ok", "unseen", "ok"]
    assert "mona by a fine-grained token" in said[1]
    sim.add_token("github_pat_b", ["metadata=read"])
    *_, wrong = await lines(checked.build(sim.url, "github_pat_b"), told, sim)
    for word in ("not accessible by personal access token", "Self-hosted runners", "approve"):
        assert word in wrong


async def test_single_sign_on(checked: Checked, sim: Simulator, told: Told) -> None:
    sim.add_token("ghp_a", ["admin:org"])
    sim.demand_sso("acme")
    [*_, wrong] = await lines(checked.build(sim.url, "ghp_a"), told, sim, most=3)
    assert "not authorised for the single sign-on of acme" in wrong
    assert f"{sim.origin}/orgs/acme/sso)" in wrong


async def test_a_repository(checked: Checked, sim: Simulator, told: Told) -> None:
    url = sim.add_scope("acme/web")
    sim.add_token("ghp_repo", ["repo"])
    said = await lines(checked.build(url, "ghp_repo"), told, sim)
    assert said[-1] == "ok the classic token may register runners with repository acme/web"
    sim.add_token("ghp_org", ["admin:org"])
    *_, wrong = await lines(checked.build(url, "ghp_org"), told, sim)
    assert "no repository acme/web that the classic token may see" in wrong
    assert "scope repo" in wrong


async def test_an_enterprise(checked: Checked, sim: Simulator, told: Told) -> None:
    url = sim.add_scope("enterprises/big")
    sim.add_token("ghp_big", ["manage_runners:enterprise"])
    said = await lines(checked.build(url, "ghp_big"), told, sim)
    assert [line.partition(" ")[0] for line in said] == ["ok", "ok", "unseen", "ok"]
    assert said[-1] == "ok the classic token may register runners with enterprise big"
    sim.add_token("ghp_org", ["admin:org"])
    *_, wrong = await lines(checked.build(url, "ghp_org"), told, sim)
    assert "manage_runners:enterprise" in wrong


@pytest.mark.parametrize("sim_options", [{"version": None}])
async def test_github_itself_tells_no_version(checked: Checked, sim: Simulator, told: Told) -> None:
    [first, *_] = await lines(checked.build(sim.url, sim.token), told, sim)
    assert first.endswith(" answers")


class Installed:
    """An App, installed for the simulator's organization."""

    def __init__(self, private: Callable[[int], Secret]) -> None:
        self.private = private

    def __call__(self, key: int = 0, installation: int = 42, client: str = "Iv1.a") -> App:
        return App(client, installation, self.private(key))


@pytest.fixture
def installed(
    sim: Simulator, private: Callable[[int], Secret], public: Callable[[int], str]
) -> Installed:
    rights = ["organization_self_hosted_runners=write", "metadata=read"]
    sim.add_app("Iv1.a", 42, rights, account="acme", public_key=public(0))
    sim.add_app("Iv1.a", 43, rights, account="other", public_key=public(0))
    return Installed(private)


async def test_an_app(checked: Checked, sim: Simulator, told: Told, installed: Installed) -> None:
    said = await lines(checked.build(sim.url, app=installed()), told, sim)
    assert [line.partition(" ")[0] for line in said] == ["ok", "ok", "ok", "unseen", "ok"]
    assert "GitHub App Iv1.a, installed for acme" in said[1]
    assert said[-1] == "ok the GitHub App may register runners with organization acme"


async def test_an_app_whose_installation_is_not_shown(
    checked: Checked, sim: Simulator, told: Told, installed: Installed
) -> None:
    sim.faults.add("app-installation", status=404, times=None)
    sim.faults.add("meta", status=404, body={"message": "Not Found"})
    said = await lines(checked.build(sim.url, app=installed()), told, sim)
    assert [line.partition(" ")[0] for line in said] == ["ok", "ok", "ok", "unseen", "ok"]
    assert "permissions that are not shown" in said[1]


async def test_an_app_without_the_permission(
    checked: Checked, sim: Simulator, told: Told, private: Callable[[int], Secret]
) -> None:
    sim.add_app("Iv1.b", 44, ["metadata=read"], account="acme")
    app = App("Iv1.b", 44, private(0))
    *_, wrong = await lines(checked.build(sim.url, app=app), told, sim)
    for word in ("not accessible by integration", "Self-hosted runners", "installations/44"):
        assert word in wrong


async def test_an_app_of_a_person_has_its_pages_elsewhere(
    checked: Checked, sim: Simulator, told: Told, private: Callable[[int], Secret]
) -> None:
    url = sim.add_scope("mona/web")
    sim.add_app("Iv1.b", 44, ["metadata=read"], account="mona")
    sim.faults.add("repo", status=200, body={"owner": {"login": "mona", "type": "User"}})
    *_, wrong = await lines(checked.build(url, app=App("Iv1.b", 44, private(0))), told, sim)
    assert f"{sim.origin}/settings/installations/44" in wrong
    assert f"({sim.origin}/settings/apps)" in wrong


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"key": 1}, ["does not accept what the App Iv1.a signs", "private_key"]),
        ({"client": "Iv1.zzz"}, ["does not accept what the App Iv1.zzz signs", "client_id"]),
        ({"installation": 7}, ["has no installation 7", "installation_id"]),
        ({"installation": 43}, ["installation 43 is other's, not acme's"]),
    ],
)
async def test_an_app_that_is_set_up_wrongly(
    checked: Checked,
    sim: Simulator,
    told: Told,
    installed: Installed,
    given: dict[str, Any],
    words: list[str],
) -> None:
    [_, wrong] = await lines(checked.build(sim.url, app=installed(**given)), told, sim, most=3)
    assert wrong.startswith("WRONG ")
    for word in words:
        assert word in wrong


async def test_a_suspended_app(
    checked: Checked, sim: Simulator, told: Told, installed: Installed
) -> None:
    sim.suspend_app(42)
    [_, wrong] = await lines(checked.build(sim.url, app=installed()), told, sim, most=2)
    assert "WRONG the App's installation 42 is suspended" in wrong


@pytest.mark.parametrize("sim_options", [{"clock_offset": -300}])
async def test_an_app_on_a_machine_whose_clock_is_ahead(
    checked: Checked, sim: Simulator, told: Told, installed: Installed
) -> None:
    said = await lines(checked.build(sim.url, app=installed()), told, sim)
    assert "ok the GitHub App may register runners with organization acme" in said
    assert "ahead of GitHub's" in said[-1]


async def test_few_calls_are_left_to_the_runners(
    checked: Checked, sim: Simulator, told: Told
) -> None:
    sim.add_token("ghp_good", ["admin:org"])
    sim.limit_rate(20, "ghp_good")
    [*_, warned, rest] = await lines(checked.build(sim.url, "ghp_good"), told, sim, most=2)
    assert rest.startswith("unseen looking at organization acme was left out")
    assert warned.startswith("warn 19 of 5000 REST calls are left")
    sim.limit_rate(0, "ghp_good")
    [_, wrong] = await lines(checked.build(sim.url, "ghp_good"), told, sim, most=2)
    assert wrong.startswith("WRONG GitHub's rate limit is used up")


async def test_each_connection_is_told_by_its_name(
    checked: Checked, sim: Simulator, told: Told
) -> None:
    sim.add_token("ghp_good", ["admin:org"])
    two = Connection(url=f"{sim.origin}/acmee", token=checked.token("ghp_good"))
    said = told(await checked.build(sim.url, "ghp_good", more={"two": two}).github.check())
    assert [line.partition(": ")[0] for line in said[5:]] == [
        "ok connection two",
        "ok connection two",
        "WRONG connection two",
    ]
    assert "plugins.github.connections.two.url" in said[-1]


async def test_groups_of_runners_that_are_registered_by_rest(
    checked: Checked, sim: Simulator, told: Told
) -> None:
    sim.add_token("ghp_good", ["admin:org"])
    sim.add_runner_group("Zoo")
    names = {"linux": "zoo", "a": "default", "b": "Ark", "other": "Ark"}
    checked.rest_own = {
        name: GitHub.ProfileConfig(runner_group=group) for name, group in names.items()
    }
    linux = checked.profiles["linux"]
    sources = {"linux": "github", "a": "github", "b": "github", "other": "actions-queue"}
    checked.profiles = {
        name: type(linux)(name=name, source=source) for name, source in sources.items()
    }
    checked.queue_own = {}
    said = (await lines(checked.build(sim.url, "ghp_good"), told, sim))[5:]
    assert said[0] == 'ok profile linux: its runners join the runner group "zoo"'
    assert said[1] == "ok profile a: its runners join the default runner group"
    assert said[2].startswith('WRONG profile b: organization acme has no runner group "Ark"')
    assert f"{sim.origin}/organizations/acme/settings/actions/runner-groups" in said[2]
    assert len(said) == 3


async def test_a_token_that_is_not_there(checked: Checked, sim: Simulator, told: Told) -> None:
    checked.build(sim.url, "ghp_good")
    checked.github.accounts[""].settings.token.file.unlink()
    [_, wrong] = await lines(checked, told, sim, most=1)
    assert "there is no usable token" in wrong
    assert "No such file" in wrong


@pytest.mark.parametrize("route", ["user", "registration-token", "runner-registration", "org"])
async def test_a_github_that_is_ill_is_told_as_such(
    checked: Checked, sim: Simulator, told: Told, route: str
) -> None:
    sim.faults.add(route, status=502, times=9)
    *_, wrong = await lines(checked.build(sim.url, sim.token), told, sim)
    assert wrong.startswith("WRONG ")
    assert "502" in wrong
    assert "tries again" in wrong
    assert "may not" not in wrong
