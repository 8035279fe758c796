"""Where every request comes in: recorded, delayed, perhaps struck by a fault, answered."""

from __future__ import annotations

import inspect
import itertools
from contextlib import nullcontext
from typing import TYPE_CHECKING

import trio

from scaler_github.testing import faults, rest_headers
from scaler_github.testing.errors import Refusal, RestRefusal
from scaler_github.testing.http import Request, Response, json_response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractContextManager

    from scaler_github.testing.faults import Faults
    from scaler_github.testing.history import Exchange, History
    from scaler_github.testing.routing import Host, Route, Routes
    from scaler_github.testing.site import Site

#: Paths under this speak to the simulator itself; no fault or delay touches them.
CONTROL = "/_control"
_MARK = b"\xef\xbb\xbf"


class Front:
    """Finds the route of a request and sees it through."""

    def __init__(
        self,
        site: Site,
        rest: Routes,
        actions: Routes,
        queue: Routes,
        blobs: Routes,
        scripted: Faults,
        history: History,
        delays: dict[str, float],
    ) -> None:
        self._site = site
        self._rest = rest
        self._actions = actions
        self._queue = queue
        self._blobs = blobs
        self._faults = scripted
        self._history = history
        self._delays = delays
        self._ids = itertools.count(1)
        self.control: Callable[[Request], Awaitable[Response]] | None = None

    @property
    def names(self) -> set[str]:
        """The short names of all routes."""
        return self._rest.names | self._actions.names | self._queue.names | self._blobs.names

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        if request.path.startswith(CONTROL) and self.control is not None:
            return await self.control(request)
        found, host = self._find(request)
        world = self._site.world
        name = found[0].name if found else "unknown"
        exchange = self._history.begin(request, name, world.now())
        world.changed.ring()
        with self._counted(request, host):
            response = await self._answer(request, exchange, found, host)
        self._dress(request, response, host, name, scripted=exchange.fault is not None)
        exchange.status = response.status if response.ending == "normal" else 0
        exchange.seconds = world.now() - exchange.at
        world.changed.ring()
        return response

    def _counted(self, request: Request, host: Host) -> AbstractContextManager[None]:
        person = self._site.caller(request) if host == "rest" else None
        return nullcontext() if person is None else self._site.budgets.running(person.account)

    async def _answer(
        self,
        request: Request,
        exchange: Exchange,
        found: tuple[Route, dict[str, str]] | None,
        host: Host,
    ) -> Response:
        name = exchange.route
        wait = self._site.world.options.delay + self._delays.get(name, 0.0)
        if wait > 0:
            await trio.sleep(wait)

        async def act() -> Response:
            if found is None:
                return _nothing_here(host)
            route, parts = found
            return await faults.settled(lambda: _call(route, request, parts))

        fault = self._faults.take(name, request)
        if fault is None:
            return await act()
        exchange.fault = fault.kind
        return await faults.strike(fault, host, act)

    def _find(self, request: Request) -> tuple[tuple[Route, dict[str, str]] | None, Host]:
        site, path, method = self._site, request.path, request.method
        if path.startswith(site.service_path):
            return self._actions.find(method, path[len(site.service_path) :]), "actions"
        if path.startswith(site.queue_path):
            return self._queue.find(method, path[len(site.queue_path) :]), "queue"
        if path.startswith(site.blob_path):
            return self._blobs.find(method, path[len(site.blob_path) :]), "blob"
        if path.startswith("/api/v3/"):
            return self._rest.find(method, path[len("/api/v3") :]), "rest"
        if request.headers.get("host", "").startswith("api."):
            return self._rest.find(method, path), "rest"
        return None, "rest"

    def _dress(
        self, request: Request, response: Response, host: Host, name: str, *, scripted: bool
    ) -> None:
        number = next(self._ids)
        headers = response.headers
        if host == "blob":
            return
        if host != "rest":
            headers["activityid"] = f"00000000-0000-4000-8000-{number:012x}"
            is_json = headers.get("content-type", "").startswith("application/json")
            marked = self._site.world.options.byte_order_mark
            if marked and is_json and response.body and not scripted:
                response.body = _MARK + response.body
            return
        headers["x-github-request-id"] = f"51A0:{number:06X}"
        headers["x-github-media-type"] = "github.v3; format=json"
        for key, text in rest_headers.told(self._site, request, name, response.status).items():
            headers.setdefault(key, text)


async def _call(route: Route, request: Request, parts: dict[str, str]) -> Response:
    answer = route.handler(request, **parts)
    return await answer if inspect.isawaitable(answer) else answer


def _nothing_here(host: Host) -> Response:
    if host == "rest":
        return RestRefusal(404, "Not Found").response()
    if host == "queue":
        return json_response(404, {"message": "no such queue"})
    return Refusal(404, "VssResourceNotFoundException", "No such API resource.").response()
