"""What a credential may do, and how GitHub says that it may not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from scaler_github.testing import tokens
from scaler_github.testing.errors import RestRefusal

if TYPE_CHECKING:
    from scaler_github.testing.tokens import Token

Place = Literal["org", "repo", "enterprise"]


@dataclass(frozen=True, slots=True)
class Need:
    """A right: the scopes of classic tokens that give it, and the permission of others.

    Tokens of every kind may name it either way in `Token.rights`.
    """

    oauth: tuple[str, ...]
    permission: str

    def met(self, rights: frozenset[str]) -> bool:
        """Whether these rights include it; the permission to write includes reading."""
        write = self.permission.replace("=read", "=write")
        return not rights.isdisjoint({*self.oauth, self.permission, write})


RUNNERS: dict[Place, Need] = {
    "org": Need(("admin:org",), "organization_self_hosted_runners=write"),
    "repo": Need(("repo",), "administration=write"),
    "enterprise": Need(
        ("manage_runners:enterprise", "admin:enterprise"), "enterprise_runners=write"
    ),
}
ACTIONS: dict[Place, Need] = {
    "org": Need(("admin:org",), "organization_administration=read"),
    "repo": Need(("repo",), "administration=read"),
    "enterprise": Need(("admin:enterprise",), "enterprise_administration=read"),
}
ARTIFACTS = Need(("repo", "public_repo"), "actions=read")
REPOSITORY = Need(("repo",), "metadata=read")
ENTERPRISE = Need(("read:enterprise", "admin:enterprise"), "enterprise_administration=read")
#: OAuth scopes of a classic token that may do everything here.
ALL_RIGHTS = frozenset(
    {"admin:org", "repo", "manage_runners:enterprise", "admin:enterprise", "read:user"}
)


def place(scope: str) -> Place:
    """What a scope is."""
    if scope.startswith("enterprises/"):
        return "enterprise"
    return "repo" if "/" in scope else "org"


def permissions(rights: frozenset[str]) -> dict[str, str]:
    """The permissions of an installation, as GitHub shows them."""
    named = {right for right in rights if "=" in right}
    for need in [*RUNNERS.values(), *ACTIONS.values(), REPOSITORY]:
        if not rights.isdisjoint(need.oauth):
            named.add(need.permission)
    return {name: level for name, _, level in (one.partition("=") for one in sorted(named))}


def refusal(person: Token, need: Need, where: Place) -> RestRefusal:
    """The answer to a token that lacks a right; each kind of token gets another one."""
    if person.form == tokens.CLASSIC:
        if where == "repo":
            return RestRefusal(404, "Not Found", x_accepted_oauth_scopes=need.oauth[0])
        return RestRefusal(
            403,
            "Must have admin rights to Repository.",
            x_accepted_oauth_scopes=", ".join(need.oauth),
        )
    whose = "integration" if person.kind == tokens.INSTALLATION else "personal access token"
    return RestRefusal(
        403,
        f"Resource not accessible by {whose}",
        x_accepted_github_permissions=need.permission,
    )


def of_scope(scope: str) -> frozenset[str]:
    """The OAuth scopes that managing runners of a scope takes, and few more."""
    few = frozenset({"admin:org", "repo", "read:user"})
    return ALL_RIGHTS if scope.strip("/").startswith("enterprises/") else few
