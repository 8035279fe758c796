"""Asking GitHub: calls whose failure is an answer, too, with its headers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from scaler_github.client import AppToken, GitHubError, Kind, Purpose, urls
from scaler_github.client.classify import classify
from scaler_github.client.exchange import send
from scaler_github.client.limits import CORE
from scaler_github.client.rest import bearer
from scaler_github.client.transport import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler_github.account import Account
    from scaler_github.client.transport import Response

DEADLINE = 10.0  # seconds for one call
ACCEPT = "application/vnd.github+json"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a call.

    Attributes:
        status: 0 where no answer came, or none was asked for.
        told: The JSON object of its body; empty where it is none.
        text: What GitHub said, or why there is no answer; for people. Empty for a success.
        kind: The class of the failure; OK for a success.
        wait: Seconds to wait, where GitHub says so.
    """

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    told: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    kind: Kind = Kind.OK
    wait: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        return self.kind is Kind.OK


class Asker:
    """Asks as one account; counts its calls.

    Attributes:
        calls: How many went to the REST API.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._rest = account.rest
        self.calls = 0

    async def without_token(self, path: str) -> Answer:
        """A call that anybody may make: whoever answers may not be GitHub. TransportError: nobody.

        It goes round the limits, which are the credential's.
        """
        self.calls += 1
        request = Request("GET", urls.join(self._rest.api, path), {"Accept": ACCEPT})
        response = await self._account.transport.call(request, deadline=DEADLINE)
        return Answer(response.status, response.headers, _object(response.body))

    async def get(self, path: str, what: str, **query: str | int) -> Answer:
        """Read something, with the account's token."""
        return await self._ask("GET", urls.join(path, "", query), what)

    async def post(self, path: str, what: str, resource: str = CORE) -> Answer:
        """Make something; what is made is not in the answer, which may be a secret."""
        made = await self._ask("POST", path, what, resource)
        return Answer(made.status, made.headers, {}, made.text, made.kind, made.wait)

    async def get_as_app(self, path: str, what: str) -> Answer:
        """Read something as the App itself. It has limits of its own, which nobody keeps."""
        token, exchange = self._account.token, self._rest.exchange
        assert isinstance(token, AppToken)
        response = None
        for _ in range(2):  # the first answer tells GitHub's clock, by which the next is signed
            try:
                request = _request("GET", urls.join(self._rest.api, path), token.signed())
                self.calls += 1
                response = await send(exchange.transport, request, what, deadline=DEADLINE)
            except GitHubError as error:
                return _judged(error, None)
            exchange.clock.heard(response.headers)
            if response.status != 401:
                break
        assert response is not None
        verdict = classify(response, what, now=exchange.clock.now())
        return _judged(GitHubError(verdict), response)

    async def _ask(self, method: str, path: str, what: str, resource: str = CORE) -> Answer:
        token, exchange, response = self._rest.token, self._rest.exchange, None
        try:
            first = await token()
            response = await self._send(method, path, what, first, resource)
            if response.status == 401:
                another = await token(refused=first)
                if another != first:
                    response = await self._send(method, path, what, another, resource)
            exchange.checked(response, what)
        except GitHubError as error:
            return _judged(error, response)
        return Answer(response.status, response.headers, _object(response.body))

    async def _send(self, method: str, path: str, what: str, token: str, resource: str) -> Response:
        request = _request(method, urls.join(self._rest.api, path), token)
        self.calls += 1
        return await self._rest.exchange.send(
            request, what, purpose=Purpose.ROUTINE, resource=resource, deadline=DEADLINE
        )


def _request(method: str, url: str, token: str) -> Request:
    accept = {"Accept": ACCEPT, "X-GitHub-Api-Version": urls.REST_VERSION}
    return Request(method, url, {**bearer(token), **accept})


def _judged(error: GitHubError, response: Response | None) -> Answer:
    """What came, with its verdict; which may be a success after all."""
    verdict = error.verdict
    if response is None:
        return Answer(text=str(error), kind=error.kind, wait=error.wait)
    told = _object(response.body)
    text = str(error)
    return Answer(response.status, response.headers, told, text, verdict.kind, verdict.wait)


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        plain = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return {}
    return plain if isinstance(plain, dict) else {}
