"""The smallest client of the Actions service: one call, one answer, nothing retried.

For tests of the simulator and for load tests. It shares no code with the real client, so
that the two cannot agree on a mistake.
"""

from __future__ import annotations

import json
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import trio

from scaler_github.testing.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_SETS = "_apis/runtime/runnerscalesets"
#: Spares reading the system's certificates for every client; it trusts nobody.
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
AGENTS = "_apis/distributedtask/pools/0/agents"


class Probe:
    """A client that knows one scale set and one session at a time.

    Attributes:
        base, admin: what runner-registration gave.
        scale_set: the number of the scale set that was made last.
        session: the last session answer.
        cursor: the id of the last message that `news` saw.
    """

    def __init__(self, http: httpx.AsyncClient, rest_url: str, config_url: str, token: str) -> None:
        self.http = http
        self.rest_url = rest_url
        self.config_url = config_url
        self.token = token
        self.base = ""
        self.admin = ""
        self.scale_set = 0
        self.session: dict[str, Any] = {}
        self.cursor = 0

    async def rest(
        self, method: str, path: str, *, auth: str | None = None, body: Any = None
    ) -> httpx.Response:
        """A call of the REST API; `auth` is a whole Authorization header."""
        headers = {"Authorization": f"Bearer {self.token}" if auth is None else auth}
        return await self.http.request(method, f"{self.rest_url}{path}", headers=headers, json=body)

    async def register(self, scope: str = "orgs/acme") -> None:
        """Go through the chain of credentials to `base` and `admin`."""
        path = f"/{scope}/actions/runners/registration-token"
        answer = (await self.rest("POST", path)).raise_for_status().json()
        body = {"url": self.config_url, "runner_event": "register"}
        answer = await self.rest(
            "POST",
            "/actions/runner-registration",
            auth=f"RemoteAuth {answer['token']}",
            body=body,
        )
        found = answer.raise_for_status().json()
        self.base, self.admin = found["url"], found["token"]

    async def service(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        token: str | None = None,
        version: str | None = "6.0-preview",
        **query: str,
    ) -> httpx.Response:
        """A call of the Actions service."""
        if version is not None:
            query["api-version"] = version
        headers = {"Authorization": f"Bearer {self.admin if token is None else token}"}
        return await self.http.request(
            method, f"{self.base}{path}", params=query, headers=headers, json=body
        )

    def path(self, rest: str = "") -> str:
        """A path under the current scale set."""
        return f"{_SETS}/{self.scale_set}{rest}"

    async def create(self, name: str = "vm", *labels: str, group: int = 1) -> httpx.Response:
        """Make a scale set, and speak of it from now on."""
        body = {
            "name": name,
            "runnerGroupId": group,
            "labels": [{"name": label, "type": "System"} for label in labels],
            "RunnerSetting": {"disableUpdate": True},
        }
        answer = await self.service("POST", _SETS, body=body)
        if answer.status_code == 200:
            self.scale_set = answer.json()["id"]
        return answer

    async def find(self, **query: str) -> httpx.Response:
        """Look for scale sets."""
        return await self.service("GET", _SETS, **query)

    async def open(self, owner: str = "host-1") -> httpx.Response:
        """Open a session, and use it from now on."""
        answer = await self.service("POST", self.path("/sessions"), body={"ownerName": owner})
        if answer.status_code == 200:
            self.session = answer.json()
        return answer

    async def refresh(self) -> httpx.Response:
        """Refresh the session."""
        answer = await self.service("PATCH", self.path(f"/sessions/{self.session['sessionId']}"))
        if answer.status_code == 200:
            self.session = answer.json()
        return answer

    @property
    def queue_token(self) -> str:
        """The queue token of the session."""
        return str(self.session["messageQueueAccessToken"])

    async def poll(self, cursor: int = 0, capacity: int | None = 100) -> httpx.Response:
        """Poll once."""
        headers = {
            "Authorization": f"Bearer {self.queue_token}",
            "Accept": "application/json; api-version=6.0-preview",
        }
        if capacity is not None:
            headers["X-ScaleSetMaxCapacity"] = str(capacity)
        url = str(self.session["messageQueueUrl"])
        if cursor:
            url += f"&lastMessageId={cursor}"
        return await self.http.get(url, headers=headers)

    async def news(self, capacity: int | None = 100) -> list[dict[str, Any]]:
        """Poll once, delete the message, and return its job messages (none for a 202)."""
        answer = await self.poll(self.cursor, capacity)
        if answer.status_code == 202:
            return []
        message = answer.raise_for_status().json()
        self.cursor = message["messageId"]
        (await self.delete_message(self.cursor)).raise_for_status()
        return list(json.loads(message["body"]))

    async def delete_message(self, number: int) -> httpx.Response:
        """Delete a message: its id goes at the end of the path, and the query stays."""
        url = httpx.URL(str(self.session["messageQueueUrl"]))
        url = url.copy_with(path=f"{url.path}/{number}")
        return await self.http.delete(url, headers={"Authorization": f"Bearer {self.queue_token}"})

    async def acquire(self, ids: list[int]) -> httpx.Response:
        """Acquire offered jobs."""
        return await self.service(
            "POST", self.path("/acquirejobs"), body=ids, token=self.queue_token
        )

    async def jitconfig(self, name: str) -> httpx.Response:
        """Register a runner."""
        body = {"name": name, "workFolder": "_work"}
        return await self.service("POST", self.path("/generatejitconfig"), body=body)


@asynccontextmanager
async def probed(*, ready: bool = True, **options: Any) -> AsyncIterator[tuple[Simulator, Probe]]:
    """A simulator that serves and a probe of it, for the length of a test.

    Args:
        ready: let the probe register, make the scale set `vm` and open a session.
        options: for `Simulator`.
    """
    sim = Simulator(**options)
    async with trio.open_nursery() as nursery:
        await nursery.start(sim.serve)
        async with httpx.AsyncClient(timeout=10, trust_env=False, verify=_NO_TLS) as http:
            probe = Probe(http, sim.rest_url, sim.url, sim.token)
            if ready:
                await probe.register()
                (await probe.create()).raise_for_status()
                (await probe.open()).raise_for_status()
            yield sim, probe
        nursery.cancel_scope.cancel()
