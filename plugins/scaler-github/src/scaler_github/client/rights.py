"""Which right a credential lacks, and how to give it: in GitHub's words, for people."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler_github.client.urls import Scope

_LONGEST = 200
_SSO = re.compile(r"required; *url=(https?://[\x21-\x7e]{1,300})")


@dataclass(frozen=True, slots=True)
class Right:
    """What registering runners takes.

    Attributes:
        scope: Of a classic token.
        permission: Of a fine-grained token or an App, to write, as GitHub's API names it; empty
            where they will not do.
        title: That permission as GitHub's pages name it.
    """

    scope: str
    permission: str = ""
    title: str = ""


#: By kind of scope.
RIGHTS = {
    "organization": Right("admin:org", "organization_self_hosted_runners", "Self-hosted runners"),
    "repository": Right("repo", "administration", "Administration"),
    "enterprise": Right("manage_runners:enterprise"),
}


def missing_right(scope: Scope) -> str:
    """What a token needs to register runners with a scope."""
    right = RIGHTS[scope.kind]
    if not right.permission:
        return f"it takes a classic token with the scope {right.scope}, and no other will do"
    return (
        f"a classic token needs the scope {right.scope}, a fine-grained one the permission "
        f"{right.permission}: write"
    )


def single_sign_on(headers: Mapping[str, str]) -> str | None:
    """Whether the organization demands that the token be authorised for its single sign-on.

    Returns:
        The page for it, empty where none is told; None where it is not demanded.
    """
    told = headers.get("x-github-sso", "")
    if not told.startswith("required"):
        return None
    found = _SSO.match(told)
    # Its query is for one person, and ends within the hour
    return found[1].partition("?")[0] if found else ""


def missing(headers: Mapping[str, str]) -> str:
    """What an answer's headers say is missing; empty where they say nothing."""
    if (page := single_sign_on(headers)) is not None:
        where = f": open {page}" if page else ""
        return f"the token is not authorised for this organisation's single sign-on{where}"
    told = []
    if scopes := _clean(headers.get("x-accepted-oauth-scopes", "")):
        has = headers.get("x-oauth-scopes")
        own = "" if has is None else f", the token has {_clean(has) or 'none'}"
        words = "one of the scopes" if "," in scopes else "the scope"
        told.append(f"wanted {words} {scopes}{own}")
    if permissions := _clean(headers.get("x-accepted-github-permissions", "")):
        told.append(f"wanted the permission {permissions}")
    return "; ".join(told)


def _clean(text: str) -> str:
    return "".join(c for c in text.strip() if c.isascii() and c.isprintable())[:_LONGEST]
