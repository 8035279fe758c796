"""Signing in: whose token it is, what it may do, and when it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scaler_github.account.watch import days_left, ending
from scaler_github.client import Kind
from scaler_github.client.tokens import token_expiry
from scaler_github.setup import rights
from scaler_github.setup.findings import AGAIN, unseen, useful, well, wrong
from scaler_github.setup.rights import Signed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler import Finding
    from scaler_github.setup.asking import Answer
    from scaler_github.setup.where import Where

EXPIRATION = "github-authentication-token-expiration"
_MOST = 8  # names in one line


def person(where: Where, answer: Answer, now: float) -> tuple[Signed, list[Finding]]:
    """What `GET /user` says of a personal access token.

    Args:
        now: GitHub's clock, Unix seconds.
    """
    if answer.status == 401:
        text = f"GitHub does not accept the token of {where.source}"
        why = "it has expired, was revoked, or is not whole"
        return Signed("unknown"), [
            wrong(f"{text} ({_said(answer) or 401}): {why}", rights.new_token(where)),
        ]
    if not answer.status and answer.kind is Kind.CREDENTIAL:
        fix = f"Put a token into {where.source}, and nothing else."
        return Signed("unknown"), [wrong(f"there is no usable token: {answer.text}", fix)]
    signed = _signed(answer)
    if not answer.ok:
        # An installation's token may not ask who it is, and others may be kept from it, too
        return signed, [unseen(f"whose token it is cannot be seen: {answer.text}")]
    expires = _expires(answer)
    if signed.form == "classic":
        who = f"a {signed} with {_names('the scope', signed.scopes) or 'no scope'}"
    else:
        who = f"a {signed}, whose permissions GitHub does not tell"
    soon = _ends(where, expires, now)
    end = "" if soon or expires is None else f"; {ending(expires, now).replace('the token', 'it')}"
    found = [well(f"signed in as {signed.login} by {who}{end}"), *soon]
    return signed, [*found, *_too_much(where, signed)]


def app(where: Where, answer: Answer) -> tuple[Signed, list[Finding]]:
    """What `GET /app/installations/ID` says of an App, asked as the App itself."""
    assert where.app is not None
    number, table = where.app.installation_id, f"{where.setting}.app"
    signed = Signed("app", permissions=_texts(answer.told.get("permissions")))
    if answer.status == 401:
        return signed, [
            wrong(
                f"GitHub does not accept what the App {where.app.client_id} signs: {answer.text}",
                f"Look at {table}: private_key must be one of this App's (its settings list their "
                "fingerprints; a new one can be made there), and client_id its client ID. This "
                "machine's clock counts, too.",
            )
        ]
    if answer.status == 404:
        return signed, [
            wrong(
                f"the App {where.app.client_id} has no installation {number}",
                f"Set {table}.installation_id to the number at the end of the installation's "
                f"address: {where.installations}, then Configure. If the App is "
                "not listed there, install it.",
            )
        ]
    if not answer.ok:
        return signed, [wrong(f"the App's installation cannot be seen: {answer.text}", AGAIN)]
    account = answer.told.get("account")
    owner = _text(account, "login") or _text(account, "slug")
    if answer.told.get("suspended_at"):
        text = f"the App's installation {number} is suspended"
        return signed, [wrong(text, f"Unsuspend it at {where.installation}.")]
    if owner and owner.lower() != where.owner.lower():
        fix = (
            f"Install the App for {where.owner} and set {table}.installation_id to that "
            f"installation's number, or set {where.setting}.url to one of {owner}."
        )
        return signed, [wrong(f"installation {number} is {owner}'s, not {where.owner}'s", fix)]
    given = {f"{name}: {level}" for name, level in signed.permissions.items()}
    who = f"GitHub App {where.app.client_id}, installed for {owner or where.owner}"
    told = _names("the permission", given) or "no permission"
    if "permissions" not in answer.told:
        told = "permissions that are not shown"
    return signed, [well(f"signed in as {who} with {told}"), *_too_much(where, signed)]


def installation_token(answer: Answer) -> list[Finding]:
    """An App signs in by a token that it makes."""
    if answer.ok or answer.status:
        return []
    return [wrong(f"the App gets no token: {answer.text}", AGAIN)]


def _signed(answer: Answer) -> Signed:
    login = _text(answer.told, "login")
    scopes = answer.headers.get("x-oauth-scopes")
    if scopes is None:
        return Signed("fine-grained" if answer.ok else "unknown", login)
    names = (each.strip()[:60] for each in scopes.split(","))
    return Signed(
        "classic", login, frozenset(each for each in names if each.isprintable() and each)
    )


def _expires(answer: Answer) -> float | None:
    told = answer.headers.get(EXPIRATION, "")
    return token_expiry(told) if told else None


def _ends(where: Where, expires: float | None, now: float) -> list[Finding]:
    if expires is None or days_left(expires, now) is None:
        return []
    return [useful(ending(expires, now), rights.new_token(where))]


def _too_much(where: Where, signed: Signed) -> list[Finding]:
    more = rights.excess(where, signed)
    if not more:
        return []
    if signed.form == "app":
        fix = f"Take from the App what nothing else needs: {where.apps}."
    else:
        own = rights.needed(where)
        fix = (
            f"Whoever gets hold of it may do all that. Leave it {own} alone at {where.tokens}, or "
            "use a fine-grained token or a GitHub App."
        )
    return [useful(f"it may do more than runners take: {_names('', more)}", fix)]


def _names(what: str, names: frozenset[str] | set[str] | list[str]) -> str:
    """`the scopes a, b`; empty for none."""
    some = sorted(names)
    if not some:
        return ""
    shown = ", ".join(some[:_MOST]) + (f" and {len(some) - _MOST} more" * (len(some) > _MOST))
    return f"{what}{'s' if len(some) > 1 else ''} {shown}" if what else shown


def _texts(plain: Any) -> Mapping[str, str]:
    if not isinstance(plain, dict):
        return {}
    return {
        key[:60]: level[:20]
        for key, level in plain.items()
        if isinstance(level, str) and (key + level).isprintable()
    }


def _text(plain: Any, key: str) -> str:
    value = plain.get(key) if hasattr(plain, "get") else None
    return value[:100] if isinstance(value, str) and value.isprintable() else ""


def _said(answer: Answer) -> str:
    words = _text(answer.told, "message")
    return f"{answer.status} {words}" if words else ""
