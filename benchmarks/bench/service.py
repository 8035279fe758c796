"""The stand-in's requests: read by hand, answered at once or when there is news."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from bench import wire
from bench.world import Poll, ScaleSet, World

TOKEN = "ghp_benchmark"
_END = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length:"
_CAPACITY = b"\r\nx-scalesetmaxcapacity:"
_NOT_FOUND = wire.error(404, "NotFoundException", "There is nothing here.")
_UNAUTHORIZED = wire.error(401, "UnauthorizedException", "The token is missing or wrong.")
_BUSY = wire.error(400, "JobStillRunningException", "The runner is still running a job.")
_EXISTS = wire.error(409, "AgentExistsException", "A runner exists with the same name.")
_SET_EXISTS = wire.error(400, "RunnerScaleSetExistsException", "The name is taken.")
_NO_SET = wire.error(404, "RunnerScaleSetNotFoundException", "No such runner scale set.")
_NO_AGENT = wire.error(404, "AgentNotFoundException", "No such runner.")
_NO_SESSION = wire.error(404, "RunnerScaleSetSessionNotFoundException", "No such session.")
_CONFLICT = wire.error(409, "RunnerScaleSetSessionConflictException", "There is a session.")


class Service:
    """Answers requests: `handle` gives the answer, or None where it comes later."""

    def __init__(self, world: World, origin: str) -> None:
        self.world = world
        self.base = f"{origin}/rest/".encode()
        self.queue_url = f"{origin}/queue/message?region=bench"
        self.admin = wire.jwt({"aud": "admin"})
        self._admin = self.admin.encode()
        self.queue = wire.jwt({"aud": "queue"})
        self._queue = self.queue.encode()
        self._sessions = 0

    def handle(
        self, method: bytes, target: bytes, head: bytes, body: bytes, client: Connection
    ) -> bytes | None:
        """One request."""
        path, _, query = target.partition(b"?")
        first, *rest = path[1:].split(b"/")
        if first == b"queue":
            if self._queue not in head:
                return _UNAUTHORIZED
            return self._queue_call(method, rest, query, head, client)
        if first == b"rest" and len(rest) > 2:
            if rest[2] == b"pools":
                return self._agent(method, rest, query) if self._admin in head else _UNAUTHORIZED
            if rest[-1] == b"acquirejobs":
                return self._acquire(rest, body) if self._queue in head else _UNAUTHORIZED
            if self._admin not in head:
                return _UNAUTHORIZED
            if rest[-1] == b"generatejitconfig":
                return self._jit_config(rest, body)
            return self._scale_sets(method, rest, query, body)
        if first == b"api":
            return self._rest(rest[-1], head)
        return _NOT_FOUND

    def _count(self, kind: str) -> None:
        self.world.requests[kind] += 1

    # --- the queue

    def _queue_call(
        self, method: bytes, rest: list[bytes], query: bytes, head: bytes, client: Connection
    ) -> bytes | None:
        one = self._set(_value(query, b"set"))
        if one is None:
            return _NO_SESSION
        if method == b"DELETE":
            self._count("delete message")
            one.unacknowledged.pop(int(rest[1]), None)
            return wire.NO_CONTENT
        self._count("poll")
        cursor = int(_value(query, b"lastMessageId") or 0)
        lower = head.lower()
        at = lower.find(_CAPACITY)
        if at >= 0:
            at += len(_CAPACITY)
            end = lower.find(b"\r\n", at)
            self.world.advertise(one, int(lower[at : end if end >= 0 else None]))
        message = self.world.fetch(one, cursor)
        if message is None:
            client.held = self.world.hold(one, cursor, client.answer)
        return message

    def _set(self, number: bytes) -> ScaleSet | None:
        return self.world.sets.get(int(number)) if number.isdigit() else None

    # --- the Actions service

    def _jit_config(self, rest: list[bytes], body: bytes) -> bytes:
        self._count("JIT config")
        one = self._set(rest[3])
        if one is None:
            return _NO_SET
        name = json.dumps(json.loads(body)["name"])[1:-1].encode()
        agent = self.world.register(one, name)
        if agent is None:
            return _EXISTS
        return wire.jit_config(agent.id, name, one.id, self.base)

    def _acquire(self, rest: list[bytes], body: bytes) -> bytes:
        self._count("acquire")
        one = self._set(rest[3])
        if one is None:
            return _NO_SET
        got = self.world.acquire(one, json.loads(body))
        return wire.listing([b"%d" % number for number in got])

    def _agent(self, method: bytes, rest: list[bytes], query: bytes) -> bytes:
        # _apis/distributedtask/pools/0/agents[/{id}]
        if len(rest) == 5 or not rest[5]:
            self._count("list runners")
            name = parse_qs(query.decode()).get("agentName")
            found = list(self.world.agents.values())
            if name:
                quoted = json.dumps(name[0])[1:-1].encode()
                found = [self.world.named[quoted]] if quoted in self.world.named else []
            return wire.listing(
                [
                    wire.agent(a.id, a.name, a.scale_set.id, a.online, a.job is not None)
                    for a in found
                ]
            )
        self._count("remove runner" if method == b"DELETE" else "get runner")
        agent = self.world.agents.get(int(rest[5]))
        if method == b"DELETE":
            if agent is not None and agent.job is not None:
                return _BUSY
            if agent is not None:
                self.world.forget(agent)
            return wire.NO_CONTENT
        if agent is None:
            return _NO_AGENT
        busy = agent.job is not None
        return wire.ok(wire.agent(agent.id, agent.name, agent.scale_set.id, agent.online, busy))

    def _scale_sets(self, method: bytes, rest: list[bytes], query: bytes, body: bytes) -> bytes:
        self._count("other")
        if rest[2] == b"runnergroups":
            group = {"id": 1, "name": "default", "size": 0, "isDefaultGroup": True}
            return wire.answer(200, {"count": 1, "value": [group]})
        if len(rest) == 3:
            if method == b"POST":
                return self._create(json.loads(body))
            name = parse_qs(query.decode()).get("name", [""])[0]
            found = self.world.scale_set(name)
            return wire.listing([] if found is None else [_shown(found)])
        one = self._set(rest[3])
        if one is None:
            return _NO_SET
        if len(rest) == 4:
            if method == b"DELETE":
                del self.world.sets[one.id]
                return wire.NO_CONTENT
            if method == b"PATCH":
                one.labels = _labels(json.loads(body)) or one.labels
            return wire.ok(_shown(one))
        if rest[4] == b"sessions":
            return self._session(method, one, rest, body)
        if rest[4] == b"acquirablejobs":
            return self._acquirable(one)
        return _NOT_FOUND

    def _create(self, given: dict[str, Any]) -> bytes:
        if self.world.scale_set(given["name"]) is not None:
            return _SET_EXISTS
        return wire.ok(_shown(self.world.create(given["name"], _labels(given))))

    def _session(self, method: bytes, one: ScaleSet, rest: list[bytes], body: bytes) -> bytes:
        if method == b"POST":
            if one.session:
                return _CONFLICT
            self._sessions += 1
            one.session = f"5e55104d-0000-4000-8000-{self._sessions:012d}"
        elif rest[5:] != [one.session.encode()]:
            return _NO_SESSION
        elif method == b"DELETE":
            one.session = ""
            return wire.NO_CONTENT
        owner = json.loads(body).get("ownerName", "") if body else ""
        return wire.answer(
            200,
            {
                "sessionId": one.session,
                "ownerName": owner,
                "runnerScaleSet": json.loads(_shown(one)),
                "messageQueueUrl": f"{self.queue_url}&set={one.id}",
                "messageQueueAccessToken": self.queue,
                "statistics": json.loads(one.statistics()),
            },
        )

    def _acquirable(self, one: ScaleSet) -> bytes:
        if not one.offered:
            return wire.NO_CONTENT
        rows = [
            {
                "acquireJobUrl": "/acquirejobs",
                "messageType": "JobAvailable",
                "runnerRequestId": number,
                "repositoryName": "widgets",
                "ownerName": "acme",
                "jobWorkflowRef": "acme/widgets/.github/workflows/ci.yml@refs/heads/main",
                "eventName": "push",
                "requestLabels": [one.name],
            }
            for number in one.offered
        ]
        return wire.answer(200, {"count": len(rows), "value": rows})

    # --- the REST API

    def _rest(self, what: bytes, head: bytes) -> bytes:
        self._count("other")
        if what == b"registration-token":
            if f"Bearer {TOKEN}".encode() not in head:
                return wire.answer(401, {"message": "Bad credentials"})
            expires = "2099-01-01T00:00:00.000+00:00"
            return wire.answer(201, {"token": "AREGISTRATIONTOKEN", "expires_at": expires})
        if what == b"runner-registration":
            if b"RemoteAuth AREGISTRATIONTOKEN" not in head:
                return wire.answer(401, {"message": "Bad credentials"})
            found = {"url": self.base.decode(), "token": self.admin}
            more = {"token_schema": "OAuthAccessToken", "use_v2_flow": True}
            return wire.answer(201, {**found, **more})
        return wire.answer(404, {"message": "Not Found"})


class Connection(asyncio.Protocol):
    """One client's connection: requests one after another, kept alive."""

    def __init__(self, service: Service, control: Callable[..., bytes | None]) -> None:
        self._service = service
        self._control = control
        self._delay = service.world.options.delay
        self._loop = service.world.loop
        self._buffer = b""
        self.held: Poll | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self.held is not None:
            self.held.timer.cancel()

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        while (end := buffer.find(_END)) >= 0:
            head = buffer[:end]
            lower, length = head.lower(), 0
            at = lower.find(_LENGTH)
            if at >= 0:
                stop = lower.find(b"\r\n", at + 2)
                length = int(lower[at + len(_LENGTH) : stop if stop >= 0 else None])
            whole = end + 4 + length
            if len(buffer) < whole:
                break
            body, buffer = buffer[end + 4 : whole], buffer[whole:]
            method, target, _ = head[: head.find(b"\r\n")].split(b" ", 2)
            self._request(method, target, head, body)
        self._buffer = buffer

    def _request(self, method: bytes, target: bytes, head: bytes, body: bytes) -> None:
        if target.startswith(b"/_bench/"):
            found = self._control(target, self.write)
            if found is not None:
                self.write(found)
            return
        found = self._service.handle(method, target, head, body, self)
        if found is not None:
            self.answer(found)

    def answer(self, data: bytes) -> None:
        """Answer after the delay, which nobody waits for here."""
        self.held = None
        if self._delay:
            self._loop.call_later(self._delay, self.write, data)
        else:
            self.write(data)

    def write(self, data: bytes) -> None:
        """Answer now, if somebody is still there."""
        if self._transport is not None:
            self._transport.write(data)


def _value(query: bytes, name: bytes) -> bytes:
    for pair in query.split(b"&"):
        key, _, value = pair.partition(b"=")
        if key == name:
            return value
    return b""


def _labels(given: dict[str, Any]) -> list[str]:
    return [label["name"] for label in given.get("labels", [])]


def _shown(one: ScaleSet) -> bytes:
    fields = {
        "id": one.id,
        "name": one.name,
        "runnerGroupId": 1,
        "runnerGroupName": "default",
        "labels": [
            {"id": str(n), "name": x, "type": "System"} for n, x in enumerate(one.labels, 1)
        ],
        "RunnerSetting": {"disableUpdate": True},
        "enabled": True,
        "createdOn": wire.stamp().decode(),
        "statistics": json.loads(one.statistics()),
    }
    return json.dumps(fields).encode()
