"""Signing in: what GitHub tells of a credential, and what follows from it."""

from typing import Any

import pytest

from scaler_github.account import App
from scaler_github.client import Kind, parse_config_url
from scaler_github.setup import rights, signin
from scaler_github.setup.asking import Answer
from scaler_github.setup.rights import Signed
from scaler_github.setup.signin import EXPIRATION
from scaler_github.setup.where import Where

NOW = 1_796_119_200.0  # 2026-12-01 10:00 UTC
URLS = {
    "organization": "https://github.com/acme",
    "repository": "https://github.com/acme/web",
    "enterprise": "https://github.com/enterprises/big",
}


def where(kind: str = "organization", **fields: Any) -> Where:
    scope = parse_config_url(URLS.get(kind, kind), {})
    return Where(scope, "plugins.github", "/etc/token", True, **fields)


def user(**headers: str) -> Answer:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(200, told, {"login": "mona"})


def test_a_classic_token_tells_its_scopes() -> None:
    signed, [finding] = signin.person(where(), user(x_oauth_scopes="admin:org, repo"), NOW)
    assert signed == Signed("classic", "mona", frozenset({"admin:org", "repo"}))
    assert finding.ok
    assert finding.text == "signed in as mona by a classic token with the scopes admin:org, repo"
    signed, [finding] = signin.person(where(), user(x_oauth_scopes=""), NOW)
    assert signed.form == "classic"
    assert "with no scope" in finding.text


def test_a_fine_grained_token_does_not() -> None:
    signed, [finding] = signin.person(where(), user(), NOW)
    assert (signed.form, finding.ok) == ("fine-grained", True)
    assert "mona by a fine-grained token" in finding.text


@pytest.mark.parametrize(
    ("told", "warned", "text"),
    [
        ("2027-03-01 10:00:00 UTC", False, "it expires in 90 days, on 2027-03-01"),
        ("2026-12-15 11:00:00 UTC", False, "in 14 days"),
        ("2026-12-10 10:00:00 UTC", True, "the token expires in 9 days, on 2026-12-10"),
        ("2026-12-02 10:00:00 UTC", True, "in 1 day,"),
        ("2026-12-01 20:00:00 +0000", True, "within a day"),
        ("nonsense", False, "signed in as mona"),
    ],
)
def test_its_end_is_warned_of_from_14_days_before(told: str, warned: bool, text: str) -> None:
    answer = Answer(200, {EXPIRATION: told}, {"login": "mona"})
    _, findings = signin.person(where(), answer, NOW)
    assert [finding.ok for finding in findings] == ([True, False] if warned else [True])
    assert text in findings[-1].text
    if warned:
        assert findings[-1].need == "useful"
        for word in ("/settings/tokens/new?scopes=admin:org", "/etc/token", "read again"):
            assert word in findings[-1].fix


def test_a_token_that_is_refused() -> None:
    answer = Answer(401, {}, {"message": "Bad credentials"}, "…", Kind.REFRESH)
    _, [finding] = signin.person(where(), answer, NOW)
    assert (finding.ok, finding.need) == (False, "required")
    for word in ("/etc/token", "401 Bad credentials", "expired", "revoked"):
        assert word in finding.text
    for word in ("https://github.com/settings/tokens/new?scopes=admin:org", "fine-grained"):
        assert word in finding.fix
    environment = Where(where().scope, "plugins.github", "the environment's variable T")
    _, [finding] = signin.person(environment, answer, NOW)
    assert "start scaler anew" in finding.fix


def test_a_token_that_cannot_be_used() -> None:
    answer = Answer(text="/etc/token is empty", kind=Kind.CREDENTIAL)
    _, [finding] = signin.person(where(), answer, NOW)
    assert "no usable token: /etc/token is empty" in finding.text


def test_who_may_not_ask_who_it_is_goes_on() -> None:
    text = "GitHub answered 403 to GET /user: Resource not accessible by integration"
    signed, [finding] = signin.person(where(), Answer(403, {}, {}, text, Kind.CREDENTIAL), NOW)
    assert (signed.form, finding.ok, finding.need) == ("unknown", False, "unseen")


@pytest.mark.parametrize(
    ("kind", "scopes", "more"),
    [
        ("organization", "admin:org, repo, read:user, user:email, manage_runners:org", []),
        (
            "organization",
            "admin:org, delete_repo, admin:enterprise",
            ["admin:enterprise", "delete_repo"],
        ),
        ("repository", "repo, repo:status", []),
        ("repository", "repo, admin:org, workflow", ["admin:org", "workflow"]),
        ("enterprise", "manage_runners:enterprise", []),
        ("enterprise", "admin:enterprise", ["admin:enterprise"]),
    ],
)
def test_d32_more_scopes_than_it_takes_are_worth_a_look(
    kind: str, scopes: str, more: list[str]
) -> None:
    _, findings = signin.person(where(kind), user(x_oauth_scopes=scopes), NOW)
    assert len(findings) == (2 if more else 1)
    if more:
        assert findings[1].need == "useful"
        assert "more than runners take: " + ", ".join(more) in findings[1].text
        assert rights.needed(where(kind)) in findings[1].fix


def installation(**fields: Any) -> Answer:
    given = {"organization_self_hosted_runners": "write", "metadata": "read"}
    told = {"account": {"login": "Acme"}, "permissions": given, "suspended_at": None}
    return Answer(200, {}, {**told, **fields})


def test_an_app_tells_where_it_is_installed_and_what_it_may_do(app: App) -> None:
    signed, [finding] = signin.app(where(app=app), installation())
    assert finding.ok
    assert "GitHub App Iv1.a, installed for Acme" in finding.text
    assert "organization_self_hosted_runners: write" in finding.text
    assert rights.suffices(where(app=app), signed)
    assert not rights.suffices(where("repository", app=app), signed)


def test_d32_an_app_that_may_do_more(app: App) -> None:
    given = {"organization_self_hosted_runners": "write", "contents": "write", "actions": "read"}
    _, [_, finding] = signin.app(where(app=app), installation(permissions=given))
    assert finding.need == "useful"
    assert finding.text == "it may do more than runners take: contents: write"
    assert "organizations/acme/settings/apps" in finding.fix


@pytest.mark.parametrize(
    ("answer", "text", "fix"),
    [
        (
            Answer(401, text="GitHub answered 401", kind=Kind.REFRESH),
            "App Iv1.a signs",
            "client_id",
        ),
        (Answer(401, text="GitHub answered 401", kind=Kind.REFRESH), "401", "clock"),
        (Answer(404, kind=Kind.GONE), "no installation 42", "app.installation_id"),
        (installation(suspended_at="2026-01-01T00:00:00Z"), "42 is suspended", "installations/42"),
        (installation(account={"login": "other"}), "42 is other's, not acme's", "Install the App"),
        (Answer(422, text="GitHub answered 422", kind=Kind.BUG), "422", "tries again"),
        (Answer(text="private_key holds no RSA", kind=Kind.CREDENTIAL), "no RSA", "tries again"),
    ],
)
def test_an_app_that_cannot_sign_in(app: App, answer: Answer, text: str, fix: str) -> None:
    _, [finding] = signin.app(where(app=app), answer)
    assert (finding.ok, finding.need) == (False, "required")
    assert text in finding.text
    assert fix in finding.fix


@pytest.mark.parametrize(
    ("kind", "signed", "words"),
    [
        ("organization", Signed("classic", "mona"), ["scope admin:org", "mona", "owner of acme"]),
        (
            "organization",
            Signed("classic", "mona", frozenset({"admin:org"})),
            ["mona must be an owner of acme"],
        ),
        ("repository", Signed("classic", "mona"), ["scope repo", "administrator of acme/web"]),
        ("enterprise", Signed("classic"), ["manage_runners:enterprise", "enterprise big"]),
        (
            "organization",
            Signed("fine-grained"),
            ["settings/personal-access-tokens", "Self-hosted runners", "approve", "owner acme"],
        ),
        ("repository", Signed("fine-grained"), ["Administration", "repository", "among those"]),
        ("enterprise", Signed("fine-grained"), ["classic", "manage_runners:enterprise"]),
        ("enterprise", Signed("app"), ["classic", "manage_runners:enterprise"]),
        ("organization", Signed("app"), ["Self-hosted runners", "settings/installations/42"]),
        ("repository", Signed("app"), ["Administration", "settings/installations/42"]),
        ("organization", Signed("unknown"), ["settings/tokens/new?scopes=admin:org"]),
        (
            "https://git.corp/acme",
            Signed("classic", "mona"),
            ["https://git.corp/settings/tokens", "admin:org"],
        ),
    ],
)
def test_how_to_give_the_right(app: App, kind: str, signed: Signed, words: list[str]) -> None:
    fix = rights.grant(where(kind, app=app if signed.form == "app" else None), signed)
    for word in words:
        assert word in fix
    if "git.corp" in kind:
        assert "github.com" not in fix
