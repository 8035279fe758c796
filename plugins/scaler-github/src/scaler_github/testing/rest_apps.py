"""GitHub Apps: their JWTs, their installations, and the tokens of these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jwt

from scaler_github.testing import listing, rights, tokens
from scaler_github.testing.errors import RestRefusal
from scaler_github.testing.http import Request, Response, json_response
from scaler_github.testing.timing import rest_stamp

if TYPE_CHECKING:
    from scaler_github.testing.rest import RestService
    from scaler_github.testing.site import App, Site
    from scaler_github.testing.tokens import Token


class RestApps:
    """Handlers under `/app`, which take an App's JWT, added to a `RestService`."""

    def __init__(self, site: Site, rest: RestService) -> None:
        self._site = site
        self._world = site.world
        add = rest.routes.add
        one = "/app/installations/{number}"
        add("installation-token", "POST", f"{one}/access_tokens", self.access_token)
        add("app", "GET", "/app", self.app)
        add("app-installations", "GET", "/app/installations", self.installations)
        add("app-installation", "GET", one, self.installation)
        revoke = rest.guard(self.revoke)
        add("revoke-installation-token", "DELETE", "/installation/token", revoke)

    def _apps(self, request: Request) -> list[App]:
        """The installations of the App whose JWT came; raises the 401 of GitHub."""
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
        issuer = str(claims.get("iss"))
        apps = [one for one in self._site.apps if issuer in {one.client_id, str(one.app_id)}]
        if not apps:
            raise RestRefusal(401, "Integration not found")
        keys = [one.public_key for one in apps if one.public_key is not None]
        if keys and not any(_signed(text, key) for key in keys):
            raise RestRefusal(401, "A JSON web token could not be decoded")
        return apps

    def _one(self, request: Request, number: str) -> App:
        for app in self._apps(request):
            if str(app.installation_id) == number:
                return app
        raise RestRefusal(404, "Not Found")

    def access_token(self, request: Request, *, number: str) -> Response:
        """Change a JWT for an installation token; 403 while the installation is suspended."""
        app = self._one(request, number)
        if app.suspended:
            raise RestRefusal(403, "This installation has been suspended")
        token = self._site.tokens.issue(tokens.INSTALLATION, "")
        token.rights = app.rights
        token.installation_id = app.installation_id
        token.account = f"installation {app.installation_id}"
        token.sees = frozenset({app.account.lower()}) if app.account else None
        return json_response(
            201,
            {
                "token": token.text,
                "expires_at": rest_stamp(token.expires),
                "permissions": rights.permissions(app.rights),
                "repository_selection": "all",
            },
        )

    def app(self, request: Request) -> Response:
        """The App itself."""
        apps = self._apps(request)
        app = apps[0]
        return json_response(
            200,
            {
                "id": app.app_id,
                "client_id": app.client_id,
                "slug": "simulated",
                "name": "Simulated",
                "owner": {"login": app.account or "octocat", "id": 2},
                "permissions": rights.permissions(app.rights),
                "installations_count": len(apps),
            },
        )

    def installations(self, request: Request) -> Response:
        """Where the App is installed: a bare array, in pages."""
        rows = [self._shown(app) for app in self._apps(request)]
        return listing.page(self._site, request, None, rows)

    def installation(self, request: Request, *, number: str) -> Response:
        """One installation."""
        return json_response(200, self._shown(self._one(request, number)))

    def revoke(self, request: Request, person: Token) -> Response:
        """End the installation token that asks."""
        if person.kind != tokens.INSTALLATION:
            raise RestRefusal(403, "Resource not accessible by personal access token")
        self._site.tokens.revoke(person.text)
        return Response(204)

    def _shown(self, app: App) -> dict[str, Any]:
        return {
            "id": app.installation_id,
            "app_id": app.app_id,
            "account": {"login": app.account or self._world.scope.partition("/")[0], "id": 2},
            "target_type": "Organization",
            "repository_selection": "all",
            "permissions": rights.permissions(app.rights),
            "suspended_at": rest_stamp(self._world.now()) if app.suspended else None,
        }


def _signed(text: str, public_key: str) -> bool:
    try:
        jwt.PyJWS().decode(text, public_key, algorithms=["RS256"])
    except jwt.InvalidTokenError:
        return False
    return True
