"""Where the REST token comes from: a person's token, or a GitHub App's installation."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

import jwt
import trio

from scaler_github.client import types, urls
from scaler_github.client.classify import GitHubError, Kind, Verdict
from scaler_github.client.renewed import Lease, Renewed, growing
from scaler_github.client.transport import Request, authorization

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler_github.client.exchange import Exchange
    from scaler_github.client.transport import Response

_BACKDATED = 60.0  # seconds that a JWT is older than it is, for clocks that differ a little
_JWT_LASTS = 540.0  # GitHub takes ten minutes at most
_EARLY = 300.0  # an installation token is renewed so many seconds before it ends
_UNTOLD = 1800.0  # how long one lasts that does not say
_SLOW = 60.0  # an App that is refused is not asked for again sooner: a person must act


class RestToken(Protocol):
    """Gives the REST token."""

    @property
    def is_app(self) -> bool:
        """Whether it is that of a GitHub App's installation."""
        ...

    async def __call__(self, refused: str | None = None) -> str:
        """The token. `refused` is one that GitHub just answered 401 to: give another if you can.

        Raises:
            GitHubError: There is none.
        """
        ...


class Reread:
    """A text that is read again when it changes.

    Args:
        read: Reads it; blocks. Raises ValueError, whose text holds no secret.
        stamp: Tells one state of it from another, such as a file's time; blocks. None where it
            cannot be told, or does not change.
        limiter: Bounds the threads that read.
    """

    def __init__(
        self,
        read: Callable[[], str],
        stamp: Callable[[], object] = lambda: None,
        limiter: trio.CapacityLimiter | None = None,
    ) -> None:
        self._read = read
        self._stamp = stamp
        self._limiter = limiter
        self._lock = trio.Lock()
        self._text: str | None = None
        self._seen: object = None
        self.problem = ""
        self.changes = 0  # how many times another text was found

    async def text(self) -> str:
        """The text, as it was last read.

        Raises:
            GitHubError: It was never there.
        """
        if self._text is None:
            await self.look()
        if self._text is None:
            raise GitHubError(Verdict(Kind.CREDENTIAL, self.problem))
        return self._text

    async def look(self, *, anyway: bool = False) -> None:
        """Read it if it has changed.

        One that cannot be read (it may just be written) stays as it was; `problem` says why.
        """
        async with self._lock:
            try:
                with trio.fail_after(10):
                    stamp, text = await trio.to_thread.run_sync(
                        self._look, anyway, limiter=self._limiter, abandon_on_cancel=True
                    )
            except ValueError as error:
                self.problem = str(error)
                return
            except trio.TooSlowError:
                self.problem = "the token could not be read within 10 s"
                return
            self.problem = ""
            self._seen = stamp
            if text is not None and text != self._text:
                self.changes += self._text is not None
                self._text = text

    def _look(self, anyway: bool) -> tuple[object, str | None]:
        stamp = self._stamp()
        if self._text is not None and not anyway and (stamp is None or stamp == self._seen):
            return stamp, None
        return stamp, self._read().strip()


class PersonalToken:
    """A personal access token."""

    is_app = False

    def __init__(self, source: Reread) -> None:
        self._source = source
        self._before = 0  # replacements that were not of this source's text

    def read_from(self, source: Reread) -> None:
        """Take it from elsewhere, from the next call on."""
        self._before, self._source = self.changes, source

    @property
    def problem(self) -> str:
        """Why it could not be read anew; empty where all is well."""
        return self._source.problem

    @property
    def changes(self) -> int:
        """How many times it was replaced."""
        return self._before + self._source.changes

    async def __call__(self, refused: str | None = None) -> str:
        """The token as it is now; after a refusal it is read again."""
        token = await self._source.text()
        if refused is not None and token == refused:
            await self._source.look(anyway=True)
            token = await self._source.text()
        return token

    async def look(self) -> None:
        """See whether it was replaced."""
        await self._source.look()


class AppToken:
    """Tokens of a GitHub App's installation, made with the App's private key.

    Args:
        client_id: The App's client ID; its number will do, too.
        key: The private key, PEM.
        api: Base of the REST API.
    """

    is_app = True

    def __init__(
        self, client_id: str, installation_id: int, key: str, api: str, exchange: Exchange
    ) -> None:
        self._client_id = client_id
        self._installation_id = installation_id
        self._key = key
        self._api = api
        self._exchange = exchange
        self._token = Renewed(self._renew, _slow)

    def sign_by(self, key: str) -> None:
        """Sign by another of the App's keys; what was made by the old one is not used any more."""
        self._key = key
        self._token.forget()

    async def __call__(self, refused: str | None = None) -> str:
        """An installation token that is good for some minutes at least."""
        return await self._token.get(refused)

    async def _renew(self) -> Lease[str]:
        what = f"a token for installation {self._installation_id} of App {self._client_id}"
        response = await self._ask(what)
        if response.status == 401:  # our clock may be wrong: the answer told GitHub's
            response = await self._ask(what)
        try:
            self._exchange.checked(response, what, secret=True)
        except GitHubError as error:
            raise GitHubError(self._judged(error.verdict)) from None
        try:
            made = types.read(response.body, types.InstallationToken)
            authorization("Bearer", made.token)
        except ValueError:
            text = f"GitHub's answer to {what} is not readable: no token in it"
            raise GitHubError(Verdict(Kind.RETRY, text)) from None
        ends = types.unix_time(made.expires_at)
        lifetime = _UNTOLD if ends is None else ends - self._exchange.clock.now()
        return Lease.lasting(made.token, lifetime if lifetime > 0 else _UNTOLD, _EARLY)

    def _judged(self, verdict: Verdict) -> Verdict:
        hints = {
            401: "the private key does not belong to this App, or client_id is wrong",
            403: "the installation is suspended, or may not be used",
            404: "the App has no such installation: look at installation_id",
        }
        hint = hints.get(verdict.status)
        if hint is None or verdict.kind is Kind.WAIT:
            return verdict
        text = f"{verdict.text}: {hint}"
        return Verdict(Kind.CREDENTIAL, text, 0.0, verdict.request_id, verdict.status)

    async def _ask(self, what: str) -> Response:
        number = urls.segment(self._installation_id)
        request = Request(
            "POST",
            urls.join(self._api, f"app/installations/{number}/access_tokens"),
            {
                **authorization("Bearer", self.signed()),
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": urls.REST_VERSION,
            },
        )
        return await self._exchange.send(request, what)

    def signed(self) -> str:
        """A JWT by which the App itself is known, good for some minutes by GitHub's clock."""
        now = math.floor(self._exchange.clock.now())
        claims = {
            "iss": self._client_id,
            "iat": now - int(_BACKDATED),
            "exp": now - int(_BACKDATED) + int(_JWT_LASTS),
        }
        try:
            return jwt.encode(claims, self._key, algorithm="RS256")
        except (ValueError, TypeError, jwt.PyJWTError):  # their texts may quote the key
            text = "private_key holds no RSA key (PEM): take the file that GitHub gave for the App"
            raise GitHubError(Verdict(Kind.CREDENTIAL, text)) from None


def check_key(pem: str) -> None:
    """Whether a text is an App's private key. Raises ValueError, which does not show it."""
    try:
        jwt.encode({"iss": "x"}, pem, algorithm="RS256")
    except (ValueError, TypeError, jwt.PyJWTError):
        raise ValueError(
            "found no RSA private key, wanted the PEM file that GitHub gave for the App, "
            "which begins with -----BEGIN RSA PRIVATE KEY-----"
        ) from None


def token_expiry(text: str) -> float | None:
    """When a token ends, from the header `github-authentication-token-expiration`, in Unix seconds.

    GitHub writes `2026-12-01 10:00:00 UTC`, or an offset in place of `UTC`.
    """
    for form in ("%Y-%m-%d %H:%M:%S UTC", "%Y-%m-%d %H:%M:%S %z"):
        try:
            when = datetime.strptime(text.strip(), form)
        except ValueError:
            continue
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    return types.unix_time(text)


def _slow(error: GitHubError, failures: int) -> float:
    return _SLOW if error.kind is Kind.CREDENTIAL else growing(error, failures)
