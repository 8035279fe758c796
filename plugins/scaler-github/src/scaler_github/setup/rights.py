"""What a credential may do, what it takes to register runners, and how to give what is missing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from scaler_github.client.rights import RIGHTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler_github.setup.where import Where

Form = Literal["classic", "fine-grained", "app", "unknown"]

# Others give the same right and more
_ENOUGH = {"enterprise": {"admin:enterprise"}}
# Reading does no harm worth a word; a selector reads artifacts, and of a private repository that
# takes `repo`; the last is a part of admin:org
_HARMLESS = {"repo", "public_repo", "user:email", "manage_runners:org"}
_OF_REPO = ("repo:", "repo_", "security_events")
_NO_HARM_WRITTEN = {"checks", "statuses", "pull_requests", "issues", "metadata"}


@dataclass(frozen=True, slots=True)
class Signed:
    """Who the credential is, as GitHub told.

    Attributes:
        login: Whose it is; empty where that cannot be seen.
        scopes: Of a classic token.
        permissions: Of an App's installation: name to level.
    """

    form: Form
    login: str = ""
    scopes: frozenset[str] = frozenset()
    permissions: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return {
            "classic": "classic token",
            "fine-grained": "fine-grained token",
            "app": "GitHub App",
            "unknown": "token",
        }[self.form]


def needed(where: Where) -> str:
    """The scope of a classic token that registering runners takes."""
    return RIGHTS[where.scope.kind].scope


def suffices(where: Where, signed: Signed) -> bool | None:
    """Whether it says of itself that it may register runners; None where it does not say."""
    right = RIGHTS[where.scope.kind]
    if signed.form == "classic":
        enough = {right.scope} | _ENOUGH.get(where.scope.kind, set())
        return not signed.scopes.isdisjoint(enough)
    if signed.form == "app" and right.permission:
        return signed.permissions.get(right.permission) in ("write", "admin")
    return None


def excess(where: Where, signed: Signed) -> list[str]:
    """What it may do that runners do not take, and that would harm in wrong hands."""
    if signed.form == "classic":
        kept = _HARMLESS | {needed(where)}
        return sorted(
            scope
            for scope in signed.scopes
            if scope not in kept and not scope.startswith(("read:", *_OF_REPO))
        )
    if signed.form != "app":
        return []
    own = RIGHTS[where.scope.kind].permission
    return sorted(
        f"{name}: {level}"
        for name, level in signed.permissions.items()
        if level != "read" and name != own and name not in _NO_HARM_WRITTEN
    )


def new_token(where: Where) -> str:
    """Where to make a token that will do, and where to put it."""
    right = RIGHTS[where.scope.kind]
    more = f' (or a fine-grained one of {where.owner}, "{right.title}": write)'
    return (
        f"Make one at {where.tokens}/new?scopes={right.scope}{more if right.permission else ''}, "
        f"and put it into {where.source}{_then(where)}."
    )


def _then(where: Where) -> str:
    return ", which is read again when it changes" if where.reread else ", then start scaler anew"


def grant(where: Where, signed: Signed) -> str:
    """How to give the credential the right to register runners."""
    kind = where.scope.kind
    if kind == "enterprise" and signed.form in ("app", "fine-grained"):
        return (
            "For an enterprise GitHub's documents know of classic tokens alone, with the scope "
            f"{needed(where)}: {new_token(where)}"
        )
    if signed.form == "app":
        level = "repository" if kind == "repository" else "organization"
        return (
            f'Give the App the {level} permission "{RIGHTS[kind].title}": read and write, in its '
            f"settings ({where.apps}), then accept that at {where.installation}."
        )
    if signed.form == "classic":
        if suffices(where, signed):
            return f"{signed.login or 'Whose token it is'} must be {_admin(where)}."
        return (
            f"Tick the scope {needed(where)} of the token at {where.tokens}; "
            f"{signed.login or 'whose token it is'} must be {_admin(where)}."
        )
    if signed.form == "fine-grained":
        level = "repository" if kind == "repository" else "organization"
        chosen = ", the repository among those chosen" if kind == "repository" else ""
        return (
            f"Edit the token at {where.fine_grained}: resource owner {where.owner}{chosen}, "
            f'{level} permission "{RIGHTS[kind].title}": read and write. Where {where.owner} '
            "demands it, one of its owners has to approve the token then."
        )
    return new_token(where)


def _admin(where: Where) -> str:
    return {
        "organization": f"an owner of {where.scope.name}",
        "repository": f"an administrator of {where.scope.name}",
        "enterprise": f"an owner of the enterprise {where.scope.name}",
    }[where.scope.kind]
