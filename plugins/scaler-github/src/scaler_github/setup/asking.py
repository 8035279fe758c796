"""Asking GitHub: calls whose failure is an answer, too, with its headers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import msgspec

from scaler_github.client import AppToken, GitHubError, Kind, Purpose, Verdict, urls
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
_LONGEST = 200


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
    """Asks as one account."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._rest = account.rest

    async def without_token(self, path: str) -> Answer:
        """A call that anybody may make: whoever answers may not be GitHub. TransportError: nobody.

        It goes round the limits, which are the credential's.
        """
        request = Request("GET", urls.join(self._rest.api, path), {"Accept": ACCEPT})
        response = await self._account.transport.call(request, deadline=DEADLINE)
        return Answer(response.status, response.headers, _object(response.body))

    async def get(self, path: str, what: str, **query: str | int) -> Answer:
        """Read something, with the account's token."""
        return _judged(
            *await self._rest.attempt(
                "GET", path, what, query=query, purpose=Purpose.ROUTINE, deadline=DEADLINE
            )
        )

    async def post(self, path: str, what: str, resource: str = CORE) -> Answer:
        """Make a secret: of the answer, nothing but the words of a refusal is shown."""
        response, error = await self._rest.attempt(
            "POST",
            path,
            what,
            purpose=Purpose.ROUTINE,
            resource=resource,
            secret=True,
            deadline=DEADLINE,
        )
        made = _judged(response, error)
        words = _message(made.told) if made.status >= 400 else ""
        return replace(made, told={}, text=f"{made.text}: {words}" if words else made.text)

    async def get_as_app(self, path: str, what: str) -> Answer:
        """Read something as the App itself. It has limits of its own, which nobody keeps."""
        token, exchange = self._account.token, self._rest.exchange
        assert isinstance(token, AppToken)
        response = None
        for _ in range(2):  # the first answer tells GitHub's clock, by which the next is signed
            try:
                request = Request(
                    "GET",
                    urls.join(self._rest.api, path),
                    {
                        **bearer(token.signed()),
                        "Accept": ACCEPT,
                        "X-GitHub-Api-Version": urls.REST_VERSION,
                    },
                )
                response = await send(exchange.transport, request, what, deadline=DEADLINE)
            except GitHubError as error:
                return _judged(None, error)
            exchange.clock.heard(response.headers)
            if response.status != 401:
                break
        assert response is not None
        verdict = classify(response, what, now=exchange.clock.now())
        return _judged(response, GitHubError(verdict))


def _judged(response: Response | None, error: GitHubError | None) -> Answer:
    """What came, with its verdict; which may be a success after all."""
    verdict = Verdict(Kind.OK) if error is None else error.verdict
    if response is None:
        # A token that was refused a moment ago is not sent again: its answer is known
        status = verdict.status if verdict.kind is Kind.REFRESH else 0
        return Answer(status, text=verdict.text, kind=verdict.kind, wait=verdict.wait)
    told = _object(response.body)
    return Answer(response.status, response.headers, told, verdict.text, verdict.kind, verdict.wait)


def _message(told: Mapping[str, Any]) -> str:
    message = told.get("message")
    if not isinstance(message, str):
        return ""
    return "".join(c for c in " ".join(message.split()) if c.isprintable())[:_LONGEST]


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        plain = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return {}
    return plain if isinstance(plain, dict) else {}
