"""Every credential that the simulator knows or gives out."""

from __future__ import annotations

import base64
import hmac
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

#: Kinds of tokens that expire.
INSTALLATION, REGISTRATION, ADMIN, QUEUE = "installation", "registration", "admin", "queue"
_KEY = secrets.token_bytes(32)


@dataclass(slots=True)
class Lifetimes:
    """How long each kind of token is good, in seconds."""

    installation: float = 3600
    registration: float = 3600
    admin: float = 3600
    queue: float = 3600


@dataclass(slots=True)
class Token:
    """One credential and what it opens.

    Attributes:
        scope: `acme`, `acme/widgets` or `enterprises/big`; empty for a person's token.
        rights: the OAuth scopes of a person's token.
        session_id, scale_set_id: of a queue token.
        ticket: the `sessionToken` of the queue URL that was given out with a queue token.
    """

    text: str
    kind: str
    expires: float
    scope: str = ""
    rights: frozenset[str] = frozenset()
    session_id: str = ""
    scale_set_id: int = 0
    ticket: str = ""


@dataclass(slots=True)
class TokenStore:
    """Issues tokens and looks them up."""

    now: Callable[[], float]
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    _known: dict[str, Token] = field(default_factory=dict)

    def add_person(self, text: str, rights: frozenset[str]) -> Token:
        """Register a personal access token; it never expires by itself."""
        token = self._known[text] = Token(text, "person", float("inf"), rights=rights)
        return token

    def issue(self, kind: str, scope: str, session_id: str = "", scale_set_id: int = 0) -> Token:
        """Give out a new token; admin and queue tokens are JWTs."""
        now = self.now()
        expires = now + float(getattr(self.lifetimes, kind))
        if kind in {ADMIN, QUEUE}:
            claims = {"aud": f"simulator-{kind}", "scope": scope, "jti": _random(32)}
            text = make_jwt({**claims, "nbf": int(now), "iat": int(now), "exp": int(expires)})
        elif kind == INSTALLATION:
            text = f"ghs_{_random(36)}"
        else:
            text = f"A{_random(28).upper()}"
        ticket = _random(32) if kind == QUEUE else ""
        token = Token(text, kind, expires, scope, frozenset(), session_id, scale_set_id, ticket)
        self._known[text] = token
        return token

    def find(self, text: str, kinds: tuple[str, ...]) -> Token | None:
        """The token, if it is known, of one of these kinds, and has not expired."""
        token = self._known.get(text)
        if token is None or token.kind not in kinds or token.expires <= self.now():
            return None
        return token

    def expire(self, kind: str | None = None) -> int:
        """End all tokens of a kind, or all that ever expire; returns how many."""
        now = self.now()
        chosen = [
            token
            for token in self._known.values()
            if token.kind != "person" and kind in {None, token.kind} and token.expires > now
        ]
        for token in chosen:
            token.expires = now
        return len(chosen)

    def revoke(self, text: str) -> None:
        """Forget one token, also a person's."""
        self._known.pop(text, None)


def make_jwt(claims: dict[str, Any]) -> str:
    """A JWT of the form HS256; nobody but the simulator can check its signature."""
    head = _part(msgspec.json.encode({"typ": "JWT", "alg": "HS256"}))
    signed = f"{head}.{_part(msgspec.json.encode(claims))}"
    return f"{signed}.{_part(hmac.digest(_KEY, signed.encode(), 'sha256'))}"


def read_claims(text: str) -> dict[str, Any]:
    """The claims of a JWT, unverified.

    Raises:
        ValueError: it is not a JWT.
    """
    parts = text.split(".")
    if len(parts) != 3:
        raise ValueError("a JWT has three parts")
    claims = msgspec.json.decode(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    if not isinstance(claims, dict):
        raise ValueError("the claims of a JWT are an object")
    return claims


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _random(length: int) -> str:
    return secrets.token_hex(length)[:length]
