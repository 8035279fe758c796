"""Every credential that the simulator knows or gives out."""

from __future__ import annotations

import base64
import hmac
import math
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

#: Kinds of tokens that expire.
INSTALLATION, REGISTRATION, ADMIN, QUEUE = "installation", "registration", "admin", "queue"
#: The kind of a personal access token, and the two forms of it.
#: The personal access token that every simulator accepts.
DEFAULT_TOKEN = "ghp_simulator0000000000000000000000000000"
PERSON = "person"
Form = Literal["classic", "fine-grained"]
CLASSIC: Form = "classic"
FINE_GRAINED: Form = "fine-grained"
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
        rights: OAuth scopes or permissions, of a person's token or an installation's.
        form: of a person's token: `classic` or `fine-grained`.
        login: the person whose token it is.
        account: whose budget its calls are counted on.
        sees: the owners and scopes that it may see, in lower case; `None`: all.
        authorized: organisations with single sign-on that it was authorised for.
        installation_id: of an installation's token.
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
    form: str = ""
    login: str = ""
    account: str = ""
    sees: frozenset[str] | None = None
    authorized: set[str] = field(default_factory=set)
    installation_id: int = 0


@dataclass(slots=True)
class TokenStore:
    """Issues tokens and looks them up."""

    now: Callable[[], float]
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    _known: dict[str, Token] = field(default_factory=dict)
    _persons: int = 0

    def add_person(
        self,
        text: str,
        rights: frozenset[str],
        *,
        form: Form | None = None,
        login: str | None = None,
        expires_in: float | None = None,
        sees: frozenset[str] | None = None,
    ) -> Token:
        """Register a personal access token, or change one; see `Simulator.add_token`."""
        if form is None:
            form = FINE_GRAINED if text.startswith("github_pat_") else CLASSIC
        if form not in get_args(Form):
            raise ValueError(f"form {form!r} is none of {', '.join(get_args(Form))}")
        old = self._known.get(text)
        if login is None and old is not None:
            login = old.login
        elif login is None:
            self._persons += 1
            login = "octocat" if self._persons == 1 else f"octocat-{self._persons}"
        expires = math.inf if expires_in is None else self.now() + expires_in
        token = Token(text, PERSON, expires, rights=rights, form=form, login=login, sees=sees)
        token.account = f"user {login}"
        token.authorized = old.authorized if old is not None else set()
        self._known[text] = token
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
            if token.kind != PERSON and kind in {None, token.kind} and token.expires > now
        ]
        for token in chosen:
            token.expires = now
        return len(chosen)

    def revoke(self, text: str) -> None:
        """Forget one token, also a person's."""
        self._known.pop(text, None)

    def revoke_installation(self, installation_id: int) -> None:
        """Forget all tokens of an App's installation."""
        for token in [*self._known.values()]:
            if token.kind == INSTALLATION and token.installation_id == installation_id:
                del self._known[token.text]

    def person(self, text: str) -> Token:
        """A personal access token, expired or not; raises `LookupError`."""
        token = self._known.get(text)
        if token is None or token.kind != PERSON:
            raise LookupError("no such personal access token")
        return token


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
