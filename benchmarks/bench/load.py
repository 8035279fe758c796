"""How much the stand-in can take: that it is not what the other figures measure."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.processes import Hub, hub

CONNECTIONS = 20
REQUESTS = 20_000


@dataclass(frozen=True)
class Capacity:
    """Requests a second that were answered, and what one cost the stand-in, in µs of CPU."""

    rate: float
    cost: float


def measure(requests: int = REQUESTS) -> Capacity:
    """Register and remove runners, one after the other, on several connections at once."""
    with hub(lifetime=60) as where:
        before = where.ask("load")
        began = time.monotonic()
        asyncio.run(_load(where, int(before["set"]), requests))
        took = time.monotonic() - began
        cpu = where.ask("load")["cpu"] - before["cpu"]
    return Capacity(requests / took, cpu / requests * 1e6)


async def _load(where: Hub, scale_set: int, requests: int) -> None:
    loop = asyncio.get_running_loop()
    host, _, port = where.origin.removeprefix("http://").partition(":")
    token = await loop.run_in_executor(None, _admin, where)
    done: list[asyncio.Future[None]] = []
    for number in range(CONNECTIONS):
        ended: asyncio.Future[None] = loop.create_future()
        done.append(ended)
        made = _client(number, scale_set, token, requests // CONNECTIONS, ended)
        await loop.create_connection(made, host, int(port))
    await asyncio.wait_for(asyncio.gather(*done), 60)


def _admin(where: Hub) -> str:
    import http.client

    connection = http.client.HTTPConnection(where.origin.removeprefix("http://"), timeout=10)
    headers = {"Authorization": "RemoteAuth AREGISTRATIONTOKEN"}
    connection.request("POST", "/api/v3/actions/runner-registration", "{}", headers)
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return str(answer["token"])


def _client(
    number: int, scale_set: int, token: str, count: int, ended: asyncio.Future[None]
) -> Callable[[], _Client]:
    return lambda: _Client(number, scale_set, token, count, ended)


class _Client(asyncio.Protocol):
    """Asks as soon as it is answered."""

    def __init__(
        self, number: int, scale_set: int, token: str, count: int, ended: asyncio.Future[None]
    ) -> None:
        headers = f"Host: localhost\r\nAuthorization: Bearer {token}\r\nAccept: application/json"
        body = json.dumps({"name": f"load.{number}@bench", "workFolder": "_work"})
        self._register = (
            f"POST /rest/_apis/runtime/runnerscalesets/{scale_set}/generatejitconfig HTTP/1.1\r\n"
            f"{headers}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode()
        self._remove = (
            "DELETE /rest/_apis/distributedtask/pools/0/agents/%d?api-version=6.0-preview "
            f"HTTP/1.1\r\n{headers}\r\n\r\n"
        )
        self._left = count
        self._ended = ended
        self._seen = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._register)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._seen += data
        if self._seen.startswith(b"HTTP/1.1 204"):
            request = self._register
        elif self._seen.startswith(b"HTTP/1.1 200"):
            if not self._seen.endswith(b'"}'):
                return
            at = self._seen.find(b'"id":') + 5
            request = (self._remove % int(self._seen[at : self._seen.find(b",", at)])).encode()
        else:
            self._ended.set_exception(RuntimeError(self._seen.decode()))
            return
        self._seen = b""
        self._left -= 1
        if self._left > 0:
            self._transport.write(request)
        elif not self._ended.done():
            self._ended.set_result(None)
            self._transport.close()
