"""Scripted faults: the answers that GitHub should not give, and sometimes does."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec
import trio

from scaler_github.testing.errors import Refusal, RestRefusal
from scaler_github.testing.http import Request, Response, json_response

if TYPE_CHECKING:
    from scaler_github.testing.routing import Host

Kind = Literal[
    "status", "delay", "hang", "drop", "reset", "lose", "truncate", "slow", "raw", "edit"
]
Act = Callable[[], Awaitable[Response]]


@dataclass(slots=True)
class Fault:
    """One fault; see `Faults.add`."""

    route: str
    kind: Kind
    times: int | None
    skip: int
    status: int
    body: bytes | None
    headers: dict[str, str]
    delay: float
    fields: dict[str, Any]
    keep: int
    act: bool
    contains: str
    #: How often it has struck.
    struck: int = field(default=0)


class Faults:
    """The faults that are set, and the outage switch."""

    def __init__(self, now: Callable[[], float], routes: Callable[[], set[str]]) -> None:
        self._now = now
        self._routes = routes
        self._faults: list[Fault] = []
        self._outage_until = 0.0
        self._outage: Fault | None = None

    def add(
        self,
        route: str = "*",
        *,
        kind: Kind | None = None,
        times: int | None = 1,
        skip: int = 0,
        status: int | None = None,
        body: bytes | str | dict[str, Any] | list[Any] | None = None,
        headers: dict[str, str] | None = None,
        delay: float = 0.0,
        fields: dict[str, Any] | None = None,
        keep: int = 1,
        act: bool = False,
        contains: str = "",
    ) -> Fault:
        """Let calls go wrong. The oldest fault that applies to a call strikes alone.

        Args:
            route: the short name of a route, or `*` for every one.
            kind: `status` answers `status`, `headers` and `body` (default: the error that
                GitHub gives with it); `delay` only waits; `hang` never answers; `drop` and
                `reset` close the connection before acting; `lose` acts and then closes;
                `truncate` acts and breaks off after `keep` bytes of the body; `slow` acts
                and sends a byte every `delay` seconds (default 1); `raw` sends `body`
                instead of HTTP; `edit` acts and puts `fields` over the answer's. May be
                left out where `status`, `fields` or `delay` tells it.
            times: how often; `None` until it is removed.
            skip: calls that are let through first.
            delay: seconds to wait before anything else.
            act: for `status` and `raw`: do what was asked all the same.
            contains: only calls whose path and query contain this.

        Raises:
            ValueError: no such route or kind, or nothing to do.
        """
        if route != "*" and route not in self._routes():
            raise ValueError(f"no route {route!r}; known: {', '.join(sorted(self._routes()))}")
        if kind is None:
            kind = "status" if status else "edit" if fields else "delay" if delay else None
        if kind is None or kind not in get_args(Kind):
            raise ValueError(f"kind {kind!r} is none of {', '.join(get_args(Kind))}")
        if isinstance(body, (dict, list)):
            body = msgspec.json.encode(body)
        fault = Fault(
            route=route,
            kind=kind,
            times=times,
            skip=skip,
            status=status or 200,
            body=body.encode() if isinstance(body, str) else body,
            headers={name.lower(): text for name, text in (headers or {}).items()},
            delay=delay,
            fields=fields or {},
            keep=keep,
            act=act,
            contains=contains,
        )
        self._faults.append(fault)
        return fault

    def remove(self, fault: Fault) -> None:
        """Take one fault back; fine if it is used up."""
        if fault in self._faults:
            self._faults.remove(fault)

    def clear(self) -> None:
        """Take all faults back and end the outage."""
        self._faults.clear()
        self._outage = None

    def outage(
        self, seconds: float = math.inf, *, kind: Kind = "status", status: int = 503
    ) -> None:
        """Let every call fail for a time, or until `clear`; polls that wait go on waiting."""
        self._outage_until = self._now() + seconds
        self._outage = Fault("*", kind, None, 0, status, None, {}, 0.0, {}, 1, False, "")

    @property
    def pending(self) -> list[Fault]:
        """Faults that can still strike, oldest first."""
        return list(self._faults)

    def take(self, route: str, request: Request) -> Fault | None:
        """The fault that strikes this call."""
        if self._outage is not None:
            if self._now() < self._outage_until:
                self._outage.struck += 1
                return self._outage
            self._outage = None
        for fault in self._faults:
            if fault.route not in {"*", route} or fault.contains not in request.target:
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            fault.struck += 1
            if fault.times is not None and fault.struck >= fault.times:
                self._faults.remove(fault)
            return fault
        return None


async def strike(fault: Fault, host: Host, act: Act) -> Response:
    """Answer one call as its fault says; `act` is what would have been done."""
    if fault.kind == "hang":
        await trio.sleep_forever()
    if fault.delay and fault.kind != "slow":
        await trio.sleep(fault.delay)
    if fault.kind in {"drop", "reset"}:
        return Response(0, ending="close" if fault.kind == "drop" else "reset")
    if fault.kind in {"status", "raw"}:
        if fault.act:
            await act()
        return _scripted(fault, host)
    response = await act()
    if fault.kind == "lose":
        response.ending = "close"
    elif fault.kind == "truncate":
        response.keep = fault.keep
    elif fault.kind == "slow":
        response.pace = fault.delay or 1.0
    elif fault.kind == "edit" and response.body:
        response.body = msgspec.json.encode({**msgspec.json.decode(response.body), **fault.fields})
    return response


def _scripted(fault: Fault, host: Host) -> Response:
    if fault.kind == "raw":
        return Response(0, fault.body or b"\x00\xffgarbage\r\n\r\n", ending="raw")
    if fault.body is not None:
        headers = {"content-type": "application/json; charset=utf-8", **fault.headers}
        return Response(fault.status, fault.body, headers)
    response = standard_error(fault.status, host)
    response.headers.update(fault.headers)
    return response


def standard_error(status: int, host: Host) -> Response:
    """The error that a host gives with a status when nothing more is known."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    if status < 400:
        return json_response(status, {})
    if host == "rest":
        response = RestRefusal(status, "Bad credentials" if status == 401 else phrase).response()
    else:
        kind = "AccessDeniedException" if status in {401, 403} else "VssServiceException"
        response = Refusal(status, kind, phrase).response()
    if status == 429:
        response.headers["retry-after"] = "1"
    return response


async def settled(act: Act) -> Response:
    """Do what was asked; a refusal is an answer too."""
    try:
        return await act()
    except (Refusal, RestRefusal) as refusal:
        return refusal.response()
