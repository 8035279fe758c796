"""Asking GitHub: calls whose failure is an answer, too, with its headers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from scaler_github.client import AppToken, GitHubError, Kind, Purpose, urls
from scaler_github.client.limits import CORE
from scaler_github.client.rest import bearer
from scaler_github.client.transport import Request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from scaler_github.account import Account
    from scaler_github.client.transport import Response

DEADLINE = 10.0  # seconds for one call


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
        request = Request(
            "GET", urls.join(self._rest.api, path), {"Accept": "application/vnd.github+json"}
        )
        response = await self._account.transport.call(request, deadline=DEADLINE)
        return Answer(response.status, response.headers, _object(response.body))

    async def get(self, path: str, what: str, **query: str | int) -> Answer:
        """Read something, with the account's token."""
        return await self._ask("GET", urls.join(path, "", query), what, self._rest.token)

    async def post(self, path: str, what: str, resource: str = CORE) -> Answer:
        """Make something; what is made is not in the answer, which may be a secret."""
        made = await self._ask("POST", path, what, self._rest.token, resource)
        return Answer(made.status, made.headers, {}, made.text, made.kind, made.wait)

    async def get_as_app(self, path: str, what: str) -> Answer:
        """Read something as the App itself."""
        token = self._account.token
        assert isinstance(token, AppToken)

        async def signed(refused: str | None = None) -> str:
            del refused  # the first answer told GitHub's clock: another one is another JWT
            return await token.signed()

        return await self._ask("GET", path, what, signed)

    async def _ask(
        self,
        method: str,
        path: str,
        what: str,
        token: Callable[..., Awaitable[str]],
        resource: str = CORE,
    ) -> Answer:
        response = None
        try:
            sent = trio.current_time()
            first = await token()
            response = await self._send(method, path, what, first, resource)
            if response.status == 401:
                another = await token(refused=first)
                if another != first:
                    sent = trio.current_time()
                    response = await self._send(method, path, what, another, resource)
            self._rest.exchange.checked(response, what, sent=sent)
        except GitHubError as error:
            verdict = error.verdict
            if response is None:
                return Answer(text=str(error), kind=error.kind, wait=error.wait)
            headers, told = response.headers, _object(response.body)
            return Answer(response.status, headers, told, str(error), verdict.kind, verdict.wait)
        return Answer(response.status, response.headers, _object(response.body))

    async def _send(self, method: str, path: str, what: str, token: str, resource: str) -> Response:
        headers = {
            **bearer(token),
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": urls.REST_VERSION,
        }
        request = Request(method, urls.join(self._rest.api, path), headers)
        self.calls += 1
        return await self._rest.exchange.send(
            request, what, purpose=Purpose.ROUTINE, resource=resource, deadline=DEADLINE
        )


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        plain = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return {}
    return plain if isinstance(plain, dict) else {}
