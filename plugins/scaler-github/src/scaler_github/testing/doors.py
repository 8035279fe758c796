"""The simulator's hand on who exists, what opens, and how much of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from scaler_github.testing import rates
from scaler_github.testing.rights import ALL_RIGHTS, of_scope
from scaler_github.testing.site import App
from scaler_github.testing.tokens import DEFAULT_TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scaler_github.testing.rates import RateLimit
    from scaler_github.testing.site import Site
    from scaler_github.testing.tokens import Form

TokenKind = Literal["installation", "registration", "admin", "queue"]


class Doors:
    """Scopes, runner groups, tokens, Apps and their limits; part of `Simulator`."""

    _site: Site
    #: A personal access token with all rights.
    token: str

    def add_scope(self, scope: str) -> str:
        """Another organisation, repository or enterprise; returns its config URL."""
        self._site.world.scopes.append(scope.strip("/"))
        if (more := of_scope(scope)) == ALL_RIGHTS:
            self._site.tokens.add_person(DEFAULT_TOKEN, more)
        return f"{self._site.origin}/{scope.strip('/')}"

    def add_runner_group(self, name: str) -> int:
        """Another runner group; returns its id (1 is `Default`)."""
        return self._site.world.add_group(name)

    def close_runner_group(self, group_id: int, status: int | None = 403) -> None:
        """Let registering runners in a group by REST fail with 403 or 404; `None`: no more."""
        self._site.world.closed_groups.pop(group_id, None)
        if status is not None:
            self._site.world.closed_groups[group_id] = status

    def add_token(
        self,
        text: str,
        rights: Iterable[str] = ALL_RIGHTS,
        *,
        form: Form | None = None,
        login: str | None = None,
        expires_in: float | None = None,
        sees: Iterable[str] | None = None,
    ) -> str:
        """Another personal access token, or new properties of one; returns its text.

        Args:
            rights: OAuth scopes (`admin:org`) or permissions
                (`organization_self_hosted_runners=write`).
            form: `classic` or `fine-grained`; default: by the beginning of its text.
            login: whose it is; tokens of one person share their budgets. Default: somebody's
                who has no other.
            expires_in: seconds; 0 or less: it has expired.
            sees: owners and scopes that exist for it; default: all.
        """
        names = None if sees is None else frozenset(name.lower() for name in sees)
        return self._site.tokens.add_person(
            text, frozenset(rights), form=form, login=login, expires_in=expires_in, sees=names
        ).text

    def revoke_token(self, text: str) -> None:
        """Make a token unknown, of whatever kind it is."""
        self._site.tokens.revoke(text)

    def expire_tokens(self, kind: TokenKind | None = None) -> int:
        """Let all tokens of a kind expire now, or all but personal ones; returns how many."""
        return self._site.tokens.expire(kind)

    def demand_sso(self, organization: str, demanded: bool = True) -> None:
        """Let an organisation refuse classic tokens that `authorize_sso` has not let in."""
        if demanded:
            self._site.sso.add(organization.lower())
        else:
            self._site.sso.discard(organization.lower())

    def authorize_sso(self, organization: str, token: str | None = None) -> None:
        """Authorise a token (default: `token`) for an organisation; raises `LookupError`."""
        person = self._site.tokens.person(self.token if token is None else token)
        person.authorized.add(organization.lower())

    def add_app(
        self,
        client_id: str,
        installation_id: int,
        rights: Iterable[str] = ALL_RIGHTS,
        *,
        account: str = "",
        public_key: str | None = None,
    ) -> int:
        """A GitHub App with one installation; returns the App's number.

        Args:
            account: the owner that it is installed for; default: everybody.
            public_key: PEM, to check the signature of its JWTs, which must be RS256 then.
                Without it only their times and issuer are checked.
        """
        app = App(client_id, installation_id, frozenset(rights), account, public_key)
        self._site.apps.append(app)
        return app.app_id

    def suspend_app(self, installation_id: int, suspended: bool = True) -> None:
        """Suspend an installation, or let it in again; raises `LookupError`."""
        self._installation(installation_id).suspended = suspended

    def remove_app(self, installation_id: int) -> None:
        """End an installation and its tokens; raises `LookupError`."""
        self._site.apps.remove(self._installation(installation_id))
        self._site.tokens.revoke_installation(installation_id)

    def _installation(self, number: int) -> App:
        for app in self._site.apps:
            if app.installation_id == number:
                return app
        raise LookupError(f"no installation {number}")

    @property
    def rate(self) -> RateLimit:
        """The hourly budget of `token`."""
        return self.rate_of()

    def rate_of(
        self,
        token: str | None = None,
        *,
        installation_id: int | None = None,
        resource: str = rates.CORE,
    ) -> RateLimit:
        """The hourly budget of a token (default: `token`) or of an installation.

        Args:
            resource: `core` or `actions_runner_registration`.

        Raises:
            LookupError: no such token or resource.
        """
        if resource not in rates.LIMITS:
            raise LookupError(f"no resource {resource!r}; known: {', '.join(rates.LIMITS)}")
        return self._site.budgets.of(self._account(token, installation_id), resource)

    def limit_rate(
        self,
        remaining: int,
        token: str | None = None,
        *,
        installation_id: int | None = None,
        resource: str = rates.CORE,
        limit: int | None = None,
    ) -> None:
        """Leave so many calls of a budget until its reset; arguments as of `rate_of`."""
        rate = self.rate_of(token, installation_id=installation_id, resource=resource)
        rate.limit = rate.limit if limit is None else limit
        rate.used = rate.limit - remaining

    def limit_secondarily(
        self, seconds: float = 60.0, token: str | None = None, *, installation_id: int | None = None
    ) -> None:
        """Put a token (default: `token`) or an installation under a secondary limit."""
        self._site.budgets.close(self._account(token, installation_id), seconds)

    def _account(self, token: str | None, installation_id: int | None) -> str:
        if installation_id is not None:
            return f"installation {self._installation(installation_id).installation_id}"
        return self._site.tokens.person(self.token if token is None else token).account
