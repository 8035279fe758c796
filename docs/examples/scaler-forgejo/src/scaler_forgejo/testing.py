"""Forgejo, as far as the plugin asks it: a server of HTTP on a port of this host.

It answers as Forgejo 15 does: null for a list of jobs that is empty, pages of runners with the
number of all of them beside, names that need not be unique. A test looks into it, adds jobs, has
runners work, and makes it fail, by its plain attributes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import h11
import trio

TOKEN = "token-of-the-tests"


@dataclass
class Reply:
    """An answer: JSON, or no body at all."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Forge:
    """What a Forgejo holds, within one scope.

    Attributes:
        runners: Each as it is listed, by its id.
        jobs: Each as it is listed.
        asked: Method and path of each request so far.
        instead: What is answered in place of the truth, by what a path ends in.
        page: The largest page that it gives.
        between: Called after each page of runners: what others do meanwhile.
        rows: The runners in the order that they are listed in; None for that of their registration.
    """

    scope: str = "orgs/acme"
    version: str = "15.0.2+gitea-1.22.0"
    runners: dict[int, dict[str, Any]] = field(default_factory=dict)
    jobs: list[dict[str, Any]] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    instead: dict[str, Reply] = field(default_factory=dict)
    page: int = 50
    between: Callable[[], None] | None = None
    rows: Callable[[], list[dict[str, Any]]] | None = None
    url: str = ""
    _ids: Iterator[int] = field(default_factory=lambda: iter(range(1, 1 << 30)))

    def add_job(self, *labels: str, status: str = "waiting", attempt: int = 1) -> dict[str, Any]:
        """A job appears."""
        number = next(self._ids)
        job = {
            "id": number,
            "attempt": attempt,
            "handle": f"handle-{number}-{attempt}",
            "run_id": number + 1000,
            "repo_id": 1,
            "owner_id": 1,
            "name": "build",
            "needs": None,
            "runs_on": list(labels),
            "task_id": 0,
            "status": status,
        }
        self.jobs.append(job)
        return job

    def add_runner(self, name: str, status: str = "offline") -> int:
        """A runner is registered."""
        number = next(self._ids)
        self.runners[number] = {
            "id": number,
            "uuid": f"uuid-{number}",
            "name": name,
            "status": status,
            "labels": [],
            "ephemeral": True,
        }
        return number

    def names(self) -> list[str]:
        """The names of all runners, in the order of their registration."""
        return [each["name"] for each in self.runners.values()]

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Reply:
        """What Forgejo says to a request."""
        parts = urlsplit(target)
        path = parts.path.removeprefix("/api/v1")
        self.asked.append((method, path))
        for end, reply in self.instead.items():
            if path.endswith(end):
                return reply
        if path == "/version":
            return Reply(200, {"version": self.version})
        if headers.get("authorization") != f"token {TOKEN}":
            return Reply(401, {"message": "invalid token"})
        runners = f"/{self.scope}/actions/runners"
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        last = path.removeprefix(f"{runners}/")
        if (method, path) == ("GET", f"{runners}/jobs"):
            return self._jobs(query["labels"].split(","))
        if (method, path) == ("GET", runners):
            return self._page(int(query["page"]), min(int(query["limit"]), self.page))
        if (method, path) == ("POST", runners):
            number = self.add_runner(json.loads(body)["name"])
            made = {"id": number, "uuid": f"uuid-{number}", "token": f"secret-{number}"}
            return Reply(201, made)
        if last.isdecimal() and int(last) in self.runners:
            if method == "DELETE":
                del self.runners[int(last)]
                return Reply(204)
            return Reply(200, self.runners[int(last)])
        return Reply(404, {"message": "not found"})

    def _jobs(self, labels: list[str]) -> Reply:
        found = [job for job in self.jobs if job["runs_on"] and set(job["runs_on"]) <= set(labels)]
        return Reply(200, found or None)

    def _page(self, number: int, limit: int) -> Reply:
        runners = list(self.runners.values()) if self.rows is None else self.rows()
        reply = Reply(200, runners[(number - 1) * limit : number * limit])
        reply.headers["X-Total-Count"] = str(len(runners))
        if self.between is not None:
            self.between()
        return reply


async def serve(forge: Forge, *, task_status: trio.TaskStatus[None]) -> None:
    """Answer for a forge, on a port that is free, until cancelled; its `url` says where."""

    async def talk(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError, h11.RemoteProtocolError):
            await _converse(forge, stream)

    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    forge.url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
    task_status.started()
    await trio.serve_listeners(talk, [listener])


async def _converse(forge: Forge, stream: trio.SocketStream) -> None:
    """Answer the requests of one connection, one after another."""
    talk = h11.Connection(h11.SERVER)
    while True:
        request, body = None, b""
        while True:
            event = talk.next_event()
            if event is h11.NEED_DATA:
                talk.receive_data(await stream.receive_some())
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                break
            else:
                return await stream.aclose()
        if request is None:
            return await stream.aclose()
        headers = {key.decode(): value.decode() for key, value in request.headers}
        reply = forge.answer(request.method.decode(), request.target.decode(), headers, body)
        content = b"" if reply.status == 204 else json.dumps(reply.body).encode()
        told = {"Content-Type": "application/json", **reply.headers}
        if reply.status != 204:
            told["Content-Length"] = str(len(content))
        head = h11.Response(status_code=reply.status, reason=b"", headers=list(told.items()))
        data = [talk.send(head), talk.send(h11.Data(data=content)), talk.send(h11.EndOfMessage())]
        await stream.send_all(b"".join(each or b"" for each in data))
        if talk.our_state is h11.MUST_CLOSE:
            return await stream.aclose()
        talk.start_next_cycle()
