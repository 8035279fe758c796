"""What a check is about: the connection, where its settings stand, and GitHub's pages for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from scaler_github.account import Account, App
    from scaler_github.client import Scope


PLUGIN = "github"  # whose settings the accounts are
_ENVIRONMENT = "HTTPS_PROXY of the environment"


@dataclass(frozen=True, slots=True)
class Where:
    """One connection, as its findings speak of it.

    Attributes:
        setting: The table of its settings, such as `plugins.github`.
        source: Where its token is read from, for people; empty for an App.
        reread: Whether it is read again when it changes.
        proxy: What sets its proxy: a setting, or the environment's variables.
        ca_file: The file of authorities that is set; empty where none is.
        person: Whether the owner is a person; None while that is not known.
    """

    scope: Scope
    setting: str
    source: str = ""
    reread: bool = False
    app: App | None = None
    proxy: str = _ENVIRONMENT
    ca_file: str = ""
    person: bool | None = None

    @classmethod
    def of(cls, account: Account) -> Where:
        """What findings about an account need."""
        table = f"plugins.{PLUGIN}"
        if account.name:
            table += f".connections.{account.name}"
        settings, source, reread = account.settings, "", False
        if settings.token is not None:
            reread = settings.token.file is not None
            source = str(settings.token.file or f"the environment's variable {settings.token.env}")
        return cls(
            account.scope,
            table,
            source,
            reread,
            settings.app,
            f"{table}.proxy" if settings.proxy else _ENVIRONMENT,
            str(settings.ca_file or ""),
        )

    def learnt(self, owner: object) -> Where:
        """This, with what GitHub tells of the owner: its `type`."""
        kind = owner.get("type") if isinstance(owner, dict) else None
        if kind not in ("User", "Organization"):
            return self
        return replace(self, person=kind == "User")

    @property
    def proxy_is_set(self) -> bool:
        """Whether the settings name the proxy, and not the environment."""
        return self.proxy != _ENVIRONMENT

    # GitHub's pages. Enterprise Server has them at its own host.

    @property
    def api(self) -> str:
        """Host and port of the REST API."""
        return urlsplit(self.scope.api).netloc

    @property
    def owner(self) -> str:
        """The organization, or the repository's owner, or the enterprise."""
        return self.scope.name.partition("/")[0]

    @property
    def tokens(self) -> str:
        """Where a person's classic tokens are."""
        return f"{self.scope.web}/settings/tokens"

    @property
    def fine_grained(self) -> str:
        """Where a person's fine-grained tokens are."""
        return f"{self.scope.web}/settings/personal-access-tokens"

    @property
    def actions(self) -> str:
        """Where it is settled who may use Actions."""
        return f"{self._settings}/actions"

    @property
    def groups(self) -> str:
        """Where the runner groups are."""
        return f"{self.actions}/runner-groups"

    @property
    def installation(self) -> str:
        """Where what an App may do is accepted, and taken back."""
        assert self.app is not None
        return f"{self._account}/installations/{self.app.installation_id}"

    @property
    def installations(self) -> str:
        """Where the owner's installations are; both places where it is not known whose they are."""
        if self.person is None and self.scope.kind == "repository":
            persons = replace(self, person=True).installations
            return f"{persons} (those of an organization: {self._account}/installations)"
        return f"{self._account}/installations"

    @property
    def apps(self) -> str:
        """Where the Apps of the owner are."""
        return f"{self._account}/apps"

    @property
    def _account(self) -> str:
        """The settings of the owner, whom a repository does not tell by its name."""
        if self.scope.kind == "enterprise":
            return self._settings
        if self.person:
            return f"{self.scope.web}/settings"
        return f"{self.scope.web}/organizations/{self.owner}/settings"

    @property
    def _settings(self) -> str:
        web, name = self.scope.web, self.scope.name
        return {
            "organization": f"{web}/organizations/{name}/settings",
            "repository": f"{web}/{name}/settings",
            "enterprise": f"{web}/enterprises/{name}/settings",
        }[self.scope.kind]
