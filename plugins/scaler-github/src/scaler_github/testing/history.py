"""What was asked of the simulator, and what it answered."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scaler_github.testing.queue import CAPACITY_HEADER

if TYPE_CHECKING:
    from scaler_github.testing.http import Request

_KEPT = ("accept", "content-type", "user-agent", "x-github-api-version", CAPACITY_HEADER)


@dataclass(slots=True)
class Exchange:
    """One request; secrets are not kept.

    Attributes:
        at: when it came, in seconds since the epoch.
        route: the short name of its route; `unknown` if there is none.
        auth: the scheme of its Authorization header, without the credential.
        capacity: the total of runners that a poll advertised.
        status: of the answer; 0 if the connection was closed instead, `None` while it waits.
        seconds: from reading the request to having the answer.
        fault: the kind of the scripted fault that struck it.
    """

    number: int
    at: float
    method: str
    route: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    auth: str
    connection: int
    capacity: int | None = None
    status: int | None = None
    seconds: float | None = None
    fault: str | None = None


@dataclass(slots=True)
class History:
    """The last requests, and counters of all."""

    exchanges: deque[Exchange] = field(default_factory=lambda: deque(maxlen=100_000))
    #: Requests that came, by route.
    counts: Counter[str] = field(default_factory=Counter)
    _last: int = 0

    def begin(self, request: Request, route: str, now: float) -> Exchange:
        """A request has been read."""
        self._last += 1
        self.counts[route] += 1
        query = {key: "***" if "token" in key.lower() else v for key, v in request.query.items()}
        capacity = request.headers.get(CAPACITY_HEADER, "")
        exchange = Exchange(
            number=self._last,
            at=now,
            method=request.method,
            route=route,
            path=request.path,
            query=query,
            headers={key: request.headers[key] for key in _KEPT if key in request.headers},
            auth=request.headers.get("authorization", "").partition(" ")[0],
            connection=request.connection,
            capacity=int(capacity) if capacity.isascii() and capacity.isdigit() else None,
        )
        self.exchanges.append(exchange)
        return exchange

    def of(self, route: str) -> list[Exchange]:
        """The exchanges of one route, oldest first."""
        return [exchange for exchange in self.exchanges if exchange.route == route]

    def clear(self) -> None:
        """Forget everything."""
        self.exchanges.clear()
        self.counts.clear()
