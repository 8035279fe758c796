"""GitHub's REST API, as far as runners need it: credentials, scopes, and who am I."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from scaler_github.testing import rates, rights, tokens
from scaler_github.testing.errors import RestRefusal
from scaler_github.testing.http import Request, Response, json_response
from scaler_github.testing.routing import Routes
from scaler_github.testing.timing import rest_stamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler_github.testing.site import Site
    from scaler_github.testing.tokens import Token

#: Path prefixes of an organisation, a repository and an enterprise.
SCOPES = ("/orgs/{org}", "/repos/{owner}/{repo}", "/enterprises/{enterprise}")


class RestService:
    """Handlers of the REST API; each gets the token that came with the request."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._world = site.world
        self.routes = Routes("rest")
        add = self.routes.add
        add("runner-registration", "POST", "/actions/runner-registration", self.register)
        for prefix in SCOPES:
            path = f"{prefix}/actions/runners/registration-token"
            handler = self.guard(self.registration_token, rates.REGISTRATION)
            add("registration-token", "POST", path, handler)
            path = f"{prefix}/actions/permissions"
            add("permissions", "GET", path, self.guard(self.permissions))
        add("user", "GET", "/user", self.guard(self.user))
        add("org", "GET", "/orgs/{org}", self.guard(self.owner))
        add("repo", "GET", "/repos/{owner}/{repo}", self.guard(self.owner))
        add("enterprise", "GET", "/enterprises/{enterprise}", self.guard(self.owner))
        add("rate-limit", "GET", "/rate_limit", self.rate_limit)
        add("meta", "GET", "/meta", self.meta)

    def guard(
        self, handler: Callable[..., Response], resource: str = rates.CORE
    ) -> Callable[..., Response]:
        """Let a request through if its token is good, has budget left, and may see the place."""

        def guarded(request: Request, **parts: str) -> Response:
            person = self._site.authorized(request, "Bearer", tokens.PERSON, tokens.INSTALLATION)
            if person is None:
                raise RestRefusal(401, "Bad credentials")
            self._site.budgets.spend(person.account, resource, request.method)
            self._check_installation(person)
            self._check_owner(person, parts)
            return handler(request, person, **parts)

        return guarded

    def _check_installation(self, person: Token) -> None:
        for app in self._site.apps:
            if app.installation_id == person.installation_id and app.suspended:
                raise RestRefusal(403, "This installation has been suspended")

    def _check_owner(self, person: Token, parts: dict[str, str]) -> None:
        """What a token may not see does not exist; single sign-on is said openly."""
        owner = parts.get("org") or parts.get("owner")
        name = f"enterprises/{parts['enterprise']}" if "enterprise" in parts else owner
        if name is None:
            return
        seen = person.sees
        whole = f"{name}/{parts['repo']}".lower() if "repo" in parts else name.lower()
        if seen is not None and seen.isdisjoint({name.lower(), whole}):
            raise RestRefusal(404, "Not Found")
        if (
            person.form == tokens.CLASSIC
            and name.lower() in self._site.sso
            and name.lower() not in person.authorized
        ):
            url = f"{self._site.origin}/orgs/{name}/sso?authorization_request=SIMULATED"
            raise RestRefusal(
                403,
                "Resource protected by organization SAML enforcement. You must grant your "
                "Personal Access token access to this organization.",
                x_github_sso=f"required; url={url}",
            )

    def scope(self, parts: dict[str, str]) -> str:
        """The scope that a path speaks of; raises 404 if there is none of that name."""
        if "enterprise" in parts:
            scope = f"enterprises/{parts['enterprise']}"
        elif "repo" in parts:
            scope = f"{parts['owner']}/{parts['repo']}"
        else:
            scope = parts["org"]
        known = self._world.find_scope(scope)
        if known is None:
            raise RestRefusal(404, "Not Found")
        return known

    def require(
        self, person: Token, scope: str, needs: dict[rights.Place, rights.Need] = rights.RUNNERS
    ) -> None:
        """Raise what GitHub answers when a token lacks a right, by default to manage runners."""
        where = rights.place(scope)
        if not needs[where].met(person.rights):
            raise rights.refusal(person, needs[where], where)

    # Credentials

    def registration_token(self, request: Request, person: Token, **parts: str) -> Response:
        """A token that is good for runner-registration of this scope."""
        scope = self.scope(parts)
        self.require(person, scope)
        token = self._site.tokens.issue(tokens.REGISTRATION, scope)
        token.account = person.account
        expires = rest_stamp(token.expires).replace("Z", ".000+00:00")
        return json_response(201, {"token": token.text, "expires_at": expires})

    def register(self, request: Request) -> Response:
        """Change a registration token, under `RemoteAuth`, for the service's admin token."""
        token = self._site.authorized(request, "RemoteAuth", tokens.REGISTRATION)
        if token is None:
            raise RestRefusal(401, "Bad credentials")
        body = rest_object(request)
        url = body.get("url")
        if not isinstance(url, str) or body.get("runner_event") != "register":
            raise RestRefusal(422, "Invalid request: url and runner_event are required.")
        path = url.partition("://")[2].partition("/")[2].strip("/")
        if self._world.find_scope(path) != token.scope:
            raise RestRefusal(404, "Not Found")
        admin = self._site.tokens.issue(tokens.ADMIN, token.scope)
        return json_response(
            201,
            {
                "url": self._site.service_url,
                "token": admin.text,
                "token_schema": "OAuthAccessToken",
                "use_v2_flow": True,
            },
        )

    # Who and where

    def user(self, request: Request, person: Token) -> Response:
        """The person whose token it is; an installation has none."""
        if person.kind == tokens.INSTALLATION:
            raise RestRefusal(403, "Resource not accessible by integration")
        return json_response(200, {"login": person.login, "id": 1, "type": "User"})

    def owner(self, request: Request, person: Token, **parts: str) -> Response:
        """An organisation, a repository or an enterprise; all but the first need a right."""
        if "org" in parts:
            if not self._world.has_owner(parts["org"]):
                raise RestRefusal(404, "Not Found")
            return json_response(200, {"login": parts["org"], "id": 2, "type": "Organization"})
        scope = self.scope(parts)
        if "enterprise" in parts:
            if not rights.ENTERPRISE.met(person.rights):
                raise RestRefusal(404, "Not Found")
            return json_response(200, {"slug": parts["enterprise"], "id": 4})
        runs = rights.RUNNERS["repo"].met(person.rights)
        if not (runs or rights.REPOSITORY.met(person.rights)):
            raise RestRefusal(404, "Not Found")
        owner = {"login": parts["owner"], "id": 2, "type": "Organization"}
        names = {"name": parts["repo"], "full_name": scope, "owner": owner}
        return json_response(200, {"id": 3, **names, "private": True, "fork": False})

    def permissions(self, request: Request, person: Token, **parts: str) -> Response:
        """Whether Actions may be used; needs a right that managing runners does not."""
        self.require(person, self.scope(parts), rights.ACTIONS)
        key = "enabled" if "repo" in parts else "enabled_repositories"
        return json_response(
            200, {key: True if "repo" in parts else "all", "allowed_actions": "all"}
        )

    def rate_limit(self, request: Request) -> Response:
        """The budgets of whoever asks; asking costs nothing."""
        person = self._site.caller(request)
        if person is None and "authorization" in request.headers:
            raise RestRefusal(401, "Bad credentials")
        account = rates.ANONYMOUS if person is None else person.account
        shown = {name: _budget(self._site.budgets.of(account, name)) for name in rates.LIMITS}
        return json_response(200, {"resources": shown, "rate": shown[rates.CORE]})

    def meta(self, request: Request) -> Response:
        """The version, if it is an Enterprise Server."""
        version = self._world.options.version
        told = {} if version is None else {"installed_version": version}
        return json_response(200, {"verifiable_password_authentication": True, **told})


def _budget(rate: rates.RateLimit) -> dict[str, int]:
    return {
        "limit": rate.limit,
        "used": rate.used,
        "remaining": rate.remaining,
        "reset": int(rate.reset),
    }


def rest_object(request: Request) -> dict[str, Any]:
    """The JSON object that a REST request carries; raises the 400 or 422 of GitHub."""
    try:
        value = request.json()
    except msgspec.DecodeError:
        raise RestRefusal(400, "Problems parsing JSON") from None
    if not isinstance(value, dict):
        raise RestRefusal(422, "Invalid request: an object is required.")
    return value
