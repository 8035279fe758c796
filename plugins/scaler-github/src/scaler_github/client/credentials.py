"""From a REST token to the Actions service: registration token, then admin token.

The last one comes with the service's address and an expiry; they are one value, replaced as a
whole, and renewed by one caller while the others wait for it.
"""

from __future__ import annotations

import base64
import math
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from scaler_github.client import types, urls
from scaler_github.client.classify import GitHubError, Kind, Verdict, classify, server_time
from scaler_github.client.limits import REGISTRATION, Limits
from scaler_github.client.renewed import Lease, Renewed, growing
from scaler_github.client.rest import bearer
from scaler_github.client.rights import missing_right
from scaler_github.client.transport import Request, Response, Transport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler_github.client.rest import Rest

TOKEN, REGISTERING = "registration-token", "runner-registration"  # the steps, as errors name them
_UNTOLD_LIFETIME = 1800.0  # of a token that does not say when it ends
_REPLICATION_TRIES = 4


@dataclass(frozen=True, slots=True)
class Admin:
    """The Actions service's address and the token for it."""

    url: str
    token: str = field(repr=False)


class Credentials:
    """The credential chain of one scope. Safe to use from many tasks.

    Args:
        pause: Seconds between tries of runner-registration, which refuses a token that is so new
            that it is not known everywhere yet; after failures nobody asks for as long at first,
            and then for longer.
    """

    def __init__(self, scope: urls.Scope, rest: Rest, *, pause: float = 1.0) -> None:
        self.scope = scope
        self.rest = rest
        self.service_limits = Limits()
        self._pause = pause
        self._admin: Renewed[Admin] = Renewed(self._renew, self._slow)

    @property
    def transport(self) -> Transport:
        """The connections."""
        return self.rest.exchange.transport

    def forget(self) -> None:
        """The REST token is another one: what was made from it may be another one's."""
        self._admin.forget()

    async def admin(self, refused: Admin | None = None) -> Admin:
        """Address and token of the Actions service.

        Args:
            refused: One that GitHub just answered 401 to: it is not answered again.

        Raises:
            GitHubError: There is none, and none can be had.
        """
        return await self._admin.get(refused)

    def _slow(self, error: GitHubError, failures: int) -> float:
        return self._pause * growing(error, failures)

    async def _renew(self) -> Lease[Admin]:
        registration = await self.registration_token()
        what = f"runner-registration for {self.scope}"
        request = Request(
            "POST",
            urls.join(self.scope.api, "actions/runner-registration"),
            {
                **bearer(registration, "RemoteAuth"),
                "Content-Type": "application/json",
            },
            msgspec.json.encode({"url": self.scope.url, "runner_event": "register"}),
        )
        exchange = self.rest.exchange
        response = await exchange.send(request, what)
        for _ in range(_REPLICATION_TRIES):
            if classify(response, what, secret=True).kind not in {Kind.REFRESH, Kind.CREDENTIAL}:
                break
            await trio.sleep(self._pause)
            response = await exchange.send(request, what)
        self._must_succeed(response, what)
        try:
            found = types.read(response.body, types.AdminConnection)
            url = urls.check_base(found.url)
            bearer(found.token)
        except (ValueError, GitHubError):
            raise _unreadable(what, "no address or no token in it") from None
        return Lease.lasting(Admin(url, found.token), _lifetime(found.token, response.headers))

    async def registration_token(self) -> str:
        """A fresh registration token. Getting one is also the proof of the right to register."""
        what = f"registration-token for {self.scope}"
        path = f"{self.scope.path}/actions/runners/registration-token"
        try:
            response = await self.rest.call("POST", path, what, secret=True, resource=REGISTRATION)
        except GitHubError as error:
            raise self._hinted(error, TOKEN) from None
        try:
            return types.read(response.body, types.RegistrationToken).token
        except ValueError:
            raise _unreadable(what, "no token in it") from None

    def _must_succeed(self, response: Response, what: str) -> None:
        try:
            self.rest.exchange.checked(response, what, secret=True)
        except GitHubError as error:
            raise self._hinted(error, REGISTERING) from None

    def _hinted(self, error: GitHubError, step: str) -> GitHubError:
        """A failure of a step, with what a person should look at where it is a refusal."""
        verdict = replace(error.verdict, step=step)
        if error.kind not in {Kind.REFRESH, Kind.CREDENTIAL, Kind.GONE} or not verdict.status:
            return GitHubError(verdict)
        hint = missing_right(self.scope)
        if verdict.status == 401:
            hint = "the token is wrong or has expired"
        elif verdict.status == 404:  # also what GitHub says of what a token may not see
            hint = f"is the url right? {self.scope.url}; if so, {hint}"
        text = f"{verdict.text}: {hint}"
        return GitHubError(replace(verdict, kind=Kind.CREDENTIAL, text=text, wait=0.0))


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
