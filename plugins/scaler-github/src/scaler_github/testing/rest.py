"""GitHub's REST API, as far as runners need it: credentials, scopes, and who am I."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from scaler_github.testing import tokens
from scaler_github.testing.errors import RestRefusal
from scaler_github.testing.http import Request, Response, json_response
from scaler_github.testing.routing import Routes
from scaler_github.testing.timing import rest_stamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler_github.testing.site import Site
    from scaler_github.testing.tokens import Token

#: OAuth scopes of a classic token that may do everything here.
ALL_RIGHTS = frozenset({"admin:org", "repo", "manage_runners:enterprise", "read:user"})
#: Path prefixes of an organisation, a repository and an enterprise.
SCOPES = ("/orgs/{org}", "/repos/{owner}/{repo}", "/enterprises/{enterprise}")


class RestService:
    """Handlers of the REST API; each gets the token that came with the request."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._world = site.world
        self.routes = Routes("rest")
        add = self.routes.add
        add("installation-token", "POST", "/app/installations/{number}/access_tokens", self.app)
        add("runner-registration", "POST", "/actions/runner-registration", self.register)
        for prefix in SCOPES:
            path = f"{prefix}/actions/runners/registration-token"
            add("registration-token", "POST", path, self.guard(self.registration_token))
            path = f"{prefix}/actions/permissions"
            add("permissions", "GET", path, self.guard(self.permissions))
        add("user", "GET", "/user", self.guard(self.user))
        add("org", "GET", "/orgs/{org}", self.guard(self.owner))
        add("repo", "GET", "/repos/{owner}/{repo}", self.guard(self.owner))
        add("enterprise", "GET", "/enterprises/{enterprise}", self.guard(self.owner))
        add("rate-limit", "GET", "/rate_limit", self.rate_limit)
        add("meta", "GET", "/meta", self.meta)

    def guard(self, handler: Callable[..., Response]) -> Callable[..., Response]:
        """Let a request through if its token is good and the budget is not used up."""

        def guarded(request: Request, **parts: str) -> Response:
            person = self._site.authorized(request, "Bearer", "person", tokens.INSTALLATION)
            if person is None:
                raise RestRefusal(401, "Bad credentials")
            self._spend()
            response = handler(request, person, **parts)
            response.headers["x-oauth-scopes"] = ", ".join(sorted(person.rights))
            return response

        return guarded

    def _spend(self) -> None:
        rate, now = self._site.rate, self._world.now()
        if now >= rate.reset:
            rate.used, rate.reset = 0, now + 3600
        if rate.remaining == 0:
            raise RestRefusal(403, f"API rate limit exceeded for {self._site.login}.")
        rate.used += 1

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

    def require(self, person: Token, scope: str) -> None:
        """Raise the 403 that GitHub gives when a token lacks the right to manage runners."""
        if scope.startswith("enterprises/"):
            right, wanted = "manage_runners:enterprise", "enterprise_runners=write"
        elif "/" in scope:
            right, wanted = "repo", "administration=write"
        else:
            right, wanted = "admin:org", "organization_self_hosted_runners=write"
        if right not in person.rights:
            raise RestRefusal(
                403,
                "Resource not accessible by personal access token",
                x_accepted_github_permissions=wanted,
                x_accepted_oauth_scopes=right,
                x_oauth_scopes=", ".join(sorted(person.rights)),
            )

    # Credentials

    def app(self, request: Request, *, number: str) -> Response:
        """Change a GitHub App's JWT for an installation token."""
        self._check_app(request, number)
        token = self._site.tokens.issue(tokens.INSTALLATION, "")
        token.rights = next(a.rights for a in self._site.apps if str(a.installation_id) == number)
        answer = {"token": token.text, "expires_at": rest_stamp(token.expires)}
        return json_response(201, {**answer, "permissions": {}, "repository_selection": "all"})

    def _check_app(self, request: Request, number: str) -> None:
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        try:
            claims = tokens.read_claims(text)
            issued, expires = float(claims["iat"]), float(claims["exp"])
        except (ValueError, KeyError, TypeError):
            raise RestRefusal(401, "A JSON web token could not be decoded") from None
        now = self._world.now()
        if scheme != "Bearer" or expires <= now:
            raise RestRefusal(401, "'Expiration time' claim ('exp') must be in the future")
        if issued > now + 5:
            raise RestRefusal(401, "'Issued at' claim ('iat') must be in the past")
        if expires > now + 605:
            raise RestRefusal(401, "'Expiration time' claim ('exp') is too far in the future")
        apps = [a for a in self._site.apps if a.client_id == str(claims.get("iss"))]
        if not apps:
            raise RestRefusal(401, "Integration not found")
        if all(str(a.installation_id) != number for a in apps):
            raise RestRefusal(404, "Not Found")

    def registration_token(self, request: Request, person: Token, **parts: str) -> Response:
        """A token that is good for runner-registration of this scope."""
        scope = self.scope(parts)
        self.require(person, scope)
        token = self._site.tokens.issue(tokens.REGISTRATION, scope)
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
        return json_response(200, {"login": self._site.login, "id": 1, "type": "User"})

    def owner(self, request: Request, person: Token, **parts: str) -> Response:
        """An organisation, a repository or an enterprise."""
        if "org" in parts:
            if not self._world.has_owner(parts["org"]):
                raise RestRefusal(404, "Not Found")
            return json_response(200, {"login": parts["org"], "id": 2, "type": "Organization"})
        scope = self.scope(parts)
        if "enterprise" in parts:
            return json_response(200, {"slug": parts["enterprise"], "id": 4})
        owner = {"login": parts["owner"], "id": 2, "type": "Organization"}
        names = {"name": parts["repo"], "full_name": scope, "owner": owner}
        return json_response(200, {"id": 3, **names, "private": True, "fork": False})

    def permissions(self, request: Request, person: Token, **parts: str) -> Response:
        """Whether Actions may be used; needs the same right as runners."""
        self.require(person, self.scope(parts))
        key = "enabled" if "repo" in parts else "enabled_repositories"
        return json_response(
            200, {key: True if "repo" in parts else "all", "allowed_actions": "all"}
        )

    def rate_limit(self, request: Request) -> Response:
        """The budget; asking costs nothing."""
        rate = self._site.rate
        core = {"limit": rate.limit, "used": rate.used, "remaining": rate.remaining}
        core["reset"] = int(rate.reset)
        return json_response(200, {"resources": {"core": core}, "rate": core})

    def meta(self, request: Request) -> Response:
        """What Enterprise Server says about itself."""
        return json_response(
            200, {"verifiable_password_authentication": True, "installed_version": "3.19.1"}
        )


def rest_object(request: Request) -> dict[str, Any]:
    """The JSON object that a REST request carries; raises the 400 or 422 of GitHub."""
    try:
        value = request.json()
    except msgspec.DecodeError:
        raise RestRefusal(400, "Problems parsing JSON") from None
    if not isinstance(value, dict):
        raise RestRefusal(422, "Invalid request: an object is required.")
    return value
