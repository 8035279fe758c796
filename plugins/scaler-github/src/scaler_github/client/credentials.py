"""From a token to the Actions service: REST token, registration token, admin token.

The last one comes with the service's address and an expiry; the three are one value, replaced as a
whole, and renewed by one caller while the others wait for it.
"""

from __future__ import annotations

import base64
import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import trio

from scaler_github.client import types, urls
from scaler_github.client.classify import (
    GitHubError,
    Kind,
    Verdict,
    classify,
    missing_right,
    server_time,
)
from scaler_github.client.transport import (
    CALL_DEADLINE,
    Request,
    Response,
    Transport,
    TransportError,
    authorization,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_EARLY = 60.0  # renewed this many seconds before it ends
_UNTOLD_LIFETIME = 1800.0  # of a token that does not say when it ends
_REPLICATION_TRIES = 4
_KEPT_AFTER_FAILURE = 30.0  # while the old token is good, a failed renewal is not repeated at once


class RestToken(Protocol):
    """Where the REST token comes from: a person's token, or later an App's installation."""

    async def __call__(self, refused: str | None = None) -> str:
        """The token. `refused` is one that GitHub just answered 401 to: give another if you can."""
        ...


class PersonalToken:
    """A personal access token, read anew each time, so that it can be replaced while running."""

    def __init__(self, read: Callable[[], str]) -> None:
        self._read = read

    async def __call__(self, refused: str | None = None) -> str:
        """The token as it is now."""
        return self._read().strip()


@dataclass(frozen=True, slots=True)
class Admin:
    """The Actions service's address and the token for it; times are trio's.

    Attributes:
        due: When it should be renewed; it is still good until `ends`.
    """

    url: str
    token: str = field(repr=False)
    due: float
    ends: float


class Gate:
    """Closed while a rate limit lasts, for all callers of one credential."""

    def __init__(self) -> None:
        self._until = 0.0
        self._text = ""

    def check(self) -> None:
        """Raise GitHubError (WAIT, with the seconds left) while it is closed."""
        left = self._until - trio.current_time()
        if left > 0:
            raise GitHubError(Verdict(Kind.WAIT, self._text, left))

    def close(self, verdict: Verdict) -> None:
        """Close it for as long as GitHub told."""
        until = trio.current_time() + verdict.wait
        if until > self._until:
            self._until, self._text = until, verdict.text


class Credentials:
    """The credential chain of one scope. Safe to use from many tasks.

    Args:
        pause: Seconds between tries of runner-registration, which refuses a token that is so new
            that it is not known everywhere yet.
    """

    def __init__(
        self, scope: urls.Scope, transport: Transport, rest: RestToken, *, pause: float = 1.0
    ) -> None:
        self.scope = scope
        self.transport = transport
        self.rest_gate = Gate()
        self.service_gate = Gate()
        self._rest = rest
        self._pause = pause
        self._lock = trio.Lock()
        self._admin: Admin | None = None
        self._flights = 0
        self._failure: GitHubError | None = None
        self._failed_at = -_KEPT_AFTER_FAILURE

    async def admin(self, refused: Admin | None = None) -> Admin:
        """Address and token of the Actions service.

        Args:
            refused: One that GitHub just answered 401 to: it is not answered again.

        Raises:
            GitHubError: There is none, and none can be had.
        """
        if (good := self._good(refused)) is not None:
            return good
        seen = self._flights
        async with self._lock:
            if (good := self._good(refused)) is not None:
                return good
            if self._flights != seen and self._failure is not None:
                raise GitHubError(self._failure.verdict)  # the flight that we waited for
            self._failure = None  # one that is cancelled has no outcome for those who wait
            try:
                renewed = self._admin = await self._renew()
                return renewed
            except GitHubError as error:
                self._failure, self._failed_at = error, trio.current_time()
                old = self._admin
                if old is None or old is refused or old.ends <= trio.current_time():
                    raise
                return old  # it is good for a while yet: the next caller tries again
            finally:
                self._flights += 1

    def _good(self, refused: Admin | None) -> Admin | None:
        admin = self._admin
        if admin is None or admin is refused:
            return None
        now = trio.current_time()
        recently_failed = now < self._failed_at + _KEPT_AFTER_FAILURE
        return admin if now < (admin.ends if recently_failed else admin.due) else None

    async def _renew(self) -> Admin:
        registration = await self.registration_token()
        what = f"runner-registration for {self.scope}"
        request = Request(
            "POST",
            urls.join(self.scope.api, "actions/runner-registration"),
            {
                **_headers("RemoteAuth", registration),
                "Content-Type": "application/json",
            },
            msgspec.json.encode({"url": self.scope.url, "runner_event": "register"}),
        )
        response = await self._send(request, what)
        for _ in range(_REPLICATION_TRIES):
            if self._verdict(response, what).kind not in {Kind.REFRESH, Kind.CREDENTIAL}:
                break
            await trio.sleep(self._pause)
            response = await self._send(request, what)
        self._must_succeed(response, what)
        try:
            found = types.read(response.body, types.AdminConnection)
            url = urls.check_base(found.url)
            _headers("Bearer", found.token)
        except ValueError:
            raise _unreadable(what, "no address or no token in it") from None
        lifetime = _lifetime(found.token, response.headers)
        now = trio.current_time()
        return Admin(url, found.token, now + lifetime - min(_EARLY, lifetime / 4), now + lifetime)

    async def registration_token(self) -> str:
        """A fresh registration token. Getting one is also the proof of the right to register."""
        what = f"registration-token for {self.scope}"
        path = f"{self.scope.path}/actions/runners/registration-token"
        response = await self.rest("POST", path, what, secret=True)
        try:
            return types.read(response.body, types.RegistrationToken).token
        except ValueError:
            raise _unreadable(what, "no token in it") from None

    async def rest(
        self,
        method: str,
        path: str,
        what: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: object = None,
        secret: bool = False,
    ) -> Response:
        """A call of the REST API with the scope's token. Raises GitHubError unless it succeeds."""

        def request(token: str) -> Request:
            return Request(
                method,
                urls.join(self.scope.api, path, query),
                {
                    **_headers("Bearer", token),
                    "Accept": "application/vnd.github+json",
                    "Content-Type": "application/vnd.github.v3+json",
                    "X-GitHub-Api-Version": "2022-11-28",
                },
                b"" if body is None else msgspec.json.encode(body),
            )

        token = await self._rest()
        response = await self._send(request(token), what)
        if response.status == 401:
            another = await self._rest(refused=token)
            if another != token:
                response = await self._send(request(another), what)
        self._must_succeed(response, what, secret=secret)
        return response

    async def _send(self, request: Request, what: str) -> Response:
        self.rest_gate.check()
        return await send(self.transport, request, what)

    def _verdict(self, response: Response, what: str, secret: bool = True) -> Verdict:
        return classify(response, what, secret=secret, now=time.time())

    def _must_succeed(self, response: Response, what: str, *, secret: bool = True) -> None:
        verdict = self._verdict(response, what, secret)
        if verdict.kind is Kind.OK:
            return
        if verdict.kind is Kind.WAIT:
            self.rest_gate.close(verdict)
        if secret and verdict.kind in {Kind.REFRESH, Kind.CREDENTIAL, Kind.GONE}:
            hint = missing_right(self.scope)
            if response.status == 401:
                hint = "the token is wrong or has expired"
            elif response.status == 404:  # also what GitHub says of what a token may not see
                hint = f"is the url right? {self.scope.url}; if so, {hint}"
            text = f"{verdict.text}: {hint}"
            verdict = Verdict(Kind.CREDENTIAL, text, 0.0, verdict.request_id, response.status)
        raise GitHubError(verdict)


async def send(
    transport: Transport,
    request: Request,
    what: str,
    *,
    poll: bool = False,
    deadline: float = CALL_DEADLINE,
) -> Response:
    """Send it; a failure on the way becomes a GitHubError to try again."""
    try:
        call = transport.poll if poll else transport.call
        return await call(request, deadline=deadline)
    except TransportError as error:
        host = urls.host_of(request.url)
        raise GitHubError(Verdict(Kind.RETRY, f"{what}: {host}: {error}")) from None


def _headers(scheme: str, token: str) -> dict[str, str]:
    try:
        return authorization(scheme, token)
    except ValueError as error:
        raise GitHubError(Verdict(Kind.CREDENTIAL, str(error))) from None


def _unreadable(what: str, why: str) -> GitHubError:
    return GitHubError(Verdict(Kind.RETRY, f"GitHub's answer to {what} is not readable: {why}"))


def _lifetime(token: str, headers: Mapping[str, str]) -> float:
    """Seconds that a JWT is good for, by GitHub's clock: ours may be wrong."""
    try:
        claims: dict[str, Any] = msgspec.json.decode(_claims(token), type=dict[str, Any])
        lifetime = float(claims["exp"]) - server_time(headers, time.time())
    except (ValueError, KeyError, TypeError, IndexError, OverflowError):
        return _UNTOLD_LIFETIME
    # One that is over as it arrives tells of a wrong clock somewhere: a 401 will say when it ends
    return lifetime if 0 < lifetime < math.inf else _UNTOLD_LIFETIME


def _claims(token: str) -> bytes:
    part = token.split(".")[1]
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
