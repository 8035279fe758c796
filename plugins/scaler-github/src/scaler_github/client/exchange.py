"""One exchange with GitHub: within the limits, with what its answer teaches learnt."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from scaler_github.client import urls
from scaler_github.client.classify import GitHubError, Kind, Verdict, classify
from scaler_github.client.clock import ServerClock
from scaler_github.client.limits import CORE, Limits, Purpose
from scaler_github.client.transport import CALL_DEADLINE, TransportError

if TYPE_CHECKING:
    from scaler_github.client.transport import Request, Response, Transport


class Exchange:
    """What all calls with one credential share: connections, limits, GitHub's clock."""

    def __init__(
        self, transport: Transport, limits: Limits | None = None, clock: ServerClock | None = None
    ) -> None:
        self.transport = transport
        self.limits = limits or Limits()
        self.clock = clock or ServerClock()

    async def send(
        self,
        request: Request,
        what: str,
        *,
        purpose: Purpose = Purpose.PROVISIONING,
        resource: str = CORE,
        deadline: float = CALL_DEADLINE,
    ) -> Response:
        """Send it when the limits allow; whatever the answer is, it is learnt from.

        Raises:
            GitHubError: No answer came, or it may not be asked now.
        """
        limits = self.limits  # (of the credential that this call has; it may be replaced)
        async with limits.call(request.method, purpose, resource):
            response = await send(self.transport, request, what, deadline=deadline)
        self.clock.heard(response.headers)
        if response.status != 401:  # which is told the limits of those who have no credential
            limits.heard(response.headers, time.time())
        return response

    def checked(self, response: Response, what: str, *, secret: bool = False) -> Verdict:
        """The verdict of an answer that is a success.

        Raises:
            GitHubError: It is none; a rate limit is kept by all callers from now on.
        """
        verdict = classify(response, what, secret=secret, now=self.clock.now())
        if verdict.kind is Kind.OK:
            self.limits.succeeded()
            return verdict
        if verdict.kind is Kind.WAIT:
            verdict = self.limits.refused(verdict, response)
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
