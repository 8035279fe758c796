"""Which right a credential lacks, and how to give it: in GitHub's words, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler_github.client.urls import Scope

# By kind of scope: of a classic token, of a fine-grained token or an App
_RIGHTS = {
    "organization": ("admin:org", "organization_self_hosted_runners: write"),
    "repository": ("repo", "administration: write"),
    "enterprise": ("manage_runners:enterprise", ""),
}
_LONGEST = 200


def missing_right(scope: Scope) -> str:
    """What a token needs to register runners with a scope."""
    classic, fine = _RIGHTS[scope.kind]
    if not fine:
        return f"it takes a classic token with the scope {classic}, and no other will do"
    return f"a classic token needs the scope {classic}, a fine-grained one the permission {fine}"


def missing(headers: Mapping[str, str]) -> str:
    """What an answer's headers say is missing; empty where they say nothing."""
    sso = headers.get("x-github-sso", "")
    if sso.startswith("required"):
        url = _clean(sso.partition("url=")[2]).partition("?")[0]  # its query is for one person
        where = f": open {url}" if url.startswith("https://") else ""
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
