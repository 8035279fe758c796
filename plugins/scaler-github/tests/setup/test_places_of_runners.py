"""The owner of the url, whether Actions is on there, and the right to register runners."""

from typing import Any

import pytest

from scaler_github.account import App
from scaler_github.client import GitHubError, Kind, Verdict, parse_config_url
from scaler_github.client.credentials import REGISTERING, TOKEN
from scaler_github.setup import owner, registering
from scaler_github.setup.asking import Answer
from scaler_github.setup.rights import Signed
from scaler_github.setup.where import Where

ORG = Where(parse_config_url("https://github.com/acme", {}), "plugins.github", "t")
REPO = Where(parse_config_url("https://github.com/acme/web", {}), "plugins.github", "t")
BIG = Where(parse_config_url("https://github.com/enterprises/big", {}), "plugins.github", "t")
CLASSIC = Signed("classic", "mona", frozenset({"admin:org"}))
GONE = Answer(404, {}, {}, "GitHub answered 404", Kind.GONE)


def test_a_persons_account_is_no_organization() -> None:
    [finding] = owner.elsewhere(ORG, Answer(200, {}, {"type": "User"}))
    assert "acme is a person's account" in finding.text
    assert 'plugins.github.url to "https://github.com/acme/REPOSITORY"' in finding.fix


@pytest.mark.parametrize(
    ("answer", "text", "fix"),
    [
        (Answer(200, {}, {"type": "Organization"}), "may not see it", "member"),
        (GONE, "no organization acme at github.com", 'url = "https://github.com/acme"'),
    ],
)
def test_an_organization_that_is_not_seen(answer: Answer, text: str, fix: str) -> None:
    [finding] = owner.elsewhere(ORG, answer)
    assert (finding.ok, finding.need) == (False, "required")
    assert text in finding.text
    assert fix in finding.fix


@pytest.mark.parametrize(
    ("signed", "fix"),
    [
        (CLASSIC, "scope repo"),
        (Signed("classic", "mona", frozenset({"repo"})), "mona must be an administrator"),
        (Signed("fine-grained"), "among the token's repositories"),
    ],
)
def test_a_repository_that_is_not_seen(signed: Signed, fix: str) -> None:
    [finding] = owner.place(REPO, signed, GONE)
    assert f"no repository acme/web that the {signed} may see" in finding.text
    assert fix in finding.fix


def test_places_that_are_odd() -> None:
    [there, archived] = owner.place(REPO, CLASSIC, Answer(200, {}, {"archived": True}))
    assert there.ok
    assert "archived" in archived.text
    [moved] = owner.place(REPO, CLASSIC, Answer(301, kind=Kind.BUG))
    assert "moved" in moved.text
    [hidden] = owner.place(ORG, CLASSIC, Answer(403, {}, {}, "an IP allow list", Kind.CREDENTIAL))
    assert (hidden.need, "IP allow list" in hidden.text) == ("unseen", True)


def test_single_sign_on_is_told_by_its_page_without_its_query() -> None:
    page = "https://github.com/orgs/acme/sso"
    headers = {"x-github-sso": f"required; url={page}?authorization_request=SECRET"}
    answer = Answer(403, headers, {}, "GitHub answered 403", Kind.CREDENTIAL)
    [finding] = owner.place(ORG, CLASSIC, answer)
    assert "single sign-on of acme" in finding.text
    assert "Configure SSO" in finding.fix
    assert page in finding.fix
    assert "SECRET" not in finding.fix
    error = GitHubError(Verdict(Kind.CREDENTIAL, "GitHub answered 403", status=403))
    assert registering.refused(ORG, CLASSIC, error, answer) == finding
    assert owner.sso(ORG, Answer(200, {"x-github-sso": "partial-results; organizations=1"})) is None


@pytest.mark.parametrize(
    ("where", "told", "word", "text"),
    [
        (ORG, {"enabled_repositories": "all"}, "ok", "Actions is on in organization acme"),
        (ORG, {"enabled_repositories": "selected"}, "ok", "selected repositories only"),
        (ORG, {"enabled_repositories": "none"}, "required", "Actions is off"),
        (REPO, {"enabled": True}, "ok", "Actions is on in repository acme/web"),
        (REPO, {"enabled": False}, "required", "Actions is off in repository acme/web"),
        (BIG, {"enabled_organizations": "selected"}, "ok", "selected organizations only"),
        (BIG, {"enabled_organizations": "none"}, "required", "Actions is off"),
        (ORG, {}, "unseen", "not told"),
    ],
)
def test_whether_actions_is_on(where: Where, told: Any, word: str, text: str) -> None:
    [finding] = owner.permissions(where, Answer(200, {}, told))
    assert ("ok" if finding.ok else finding.need) == word
    assert text in finding.text
    if word == "required":
        assert "/settings/actions" in finding.fix


@pytest.mark.parametrize("status", [403, 404])
def test_permissions_that_cannot_be_seen_are_not_needed(status: int) -> None:
    [finding] = owner.permissions(ORG, Answer(status, {}, {}, "…", Kind.CREDENTIAL))
    assert (finding.ok, finding.need) == (False, "unseen")
    assert str(status) in finding.text


def test_few_calls_that_are_left() -> None:
    core = {"limit": 5000, "remaining": 900, "resets_at": 1600, "reserve": 1000}
    [finding] = owner.scarce({"rate_limits": {"core": core}}, 100)
    assert finding.need == "useful"
    assert "900 of 5000 REST calls are left for the next 25 min" in finding.text
    assert owner.scarce({"rate_limits": {"core": {**core, "remaining": 1001}}}, 100) == []
    assert owner.scarce({}, 100) == []


def refused(
    kind: Kind, text: str, words: Answer | None = None, status: int = 403, step: str = TOKEN
) -> Any:
    error = GitHubError(Verdict(kind, text, status=status, step=step))
    return registering.refused(ORG, CLASSIC, error, words or Answer())


def test_a_refusal_is_told_in_githubs_words() -> None:
    said = "GitHub answered 403 to registration-token: acme forbids access via a classic token"
    words = Answer(403, {}, {}, said, Kind.CREDENTIAL)
    finding = refused(Kind.CREDENTIAL, "GitHub answered 403 to registration-token for x", words)
    assert "the classic token may not register runners with organization acme" in finding.text
    assert "forbids access via a classic token" in finding.text
    assert "owner of acme" in finding.fix


def test_what_is_no_refusal_is_not_called_one() -> None:
    ill = refused(Kind.RETRY, "registration-token for x: no whole answer within 30 s", status=0)
    assert "cannot be registered now" in ill.text
    assert "tries again" in ill.fix
    moved = refused(Kind.CREDENTIAL, "GitHub answered 404", step=REGISTERING)
    assert "no address of its Actions service" in moved.text
    assert "upper and lower case" in moved.fix


@pytest.mark.parametrize(
    ("where", "name", "told", "word", "text"),
    [
        (ORG, "Default", None, "ok", "default runner group"),
        (ORG, "zoo", {"total_count": 1, "runner_groups": [{"name": "Zoo"}]}, "ok", '"zoo"'),
        (ORG, "zoo", {"total_count": 1, "runner_groups": [{"name": "x"}]}, "required", "has no"),
        (ORG, "zoo", {"total_count": 101, "runner_groups": [{"name": "x"}]}, "unseen", "first 1"),
        (REPO, "zoo", None, "required", "has no runner groups"),
    ],
)
def test_runner_groups_of_the_rest_api(
    where: Where, name: str, told: Any, word: str, text: str
) -> None:
    answer = None if told is None else Answer(200, {}, told)
    finding = registering.listed_group(where, name, "profiles.a.github", answer)
    assert ("ok" if finding.ok else finding.need) == word
    assert text in finding.text
    if word == "required":
        assert "profiles.a.github.runner_group" in finding.fix


def test_runner_groups_that_cannot_be_listed() -> None:
    answer = Answer(403, {}, {}, "GitHub answered 403", Kind.CREDENTIAL)
    assert "403" in registering.listed_group(ORG, "zoo", "t", answer).text


MINE = {"type": "User", "login": "mona"}
OURS = {"type": "Organization", "login": "acme"}


@pytest.mark.parametrize(
    ("url", "owner_told", "page"),
    [
        ("acme", None, "https://github.com/organizations/acme/settings"),
        ("acme/web", OURS, "https://github.com/organizations/acme/settings"),
        ("acme/web", None, "https://github.com/organizations/acme/settings"),
        ("mona/web", MINE, "https://github.com/settings"),
        ("enterprises/big", None, "https://github.com/enterprises/big/settings"),
    ],
)
def test_the_pages_of_an_apps_owner(app: App, url: str, owner_told: Any, page: str) -> None:
    scope = parse_config_url(f"https://github.com/{url}", {})
    where = Where(scope, "plugins.github", app=app).learnt(owner_told)
    assert where.apps == f"{page}/apps"
    assert where.installation == f"{page}/installations/42"
    assert f"{page}/installations" in where.installations
    unknown = scope.kind == "repository" and owner_told is None
    assert ("https://github.com/settings/installations " in where.installations) is unknown
