"""docs/reference/endpoints.md, held against what the code really sends."""

from __future__ import annotations

import json
import logging
import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
import trio

from scaler import Context, SecretSource
from scaler_github.client import QueueSession
from scaler_github.client.transport import HTTP
from scaler_github.connection import GitHub
from scaler_github.testing import Simulator

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/reference/endpoints.md").read_text()
WIRE = {  # what each kind of token is called on the page, by the field that brings it
    ("runner-registration", "token"): "admin token",
    ("registration-token", "token"): "registration token",
    ("sessions", "messageQueueAccessToken"): "queue token",
}


def rows(heading: str) -> list[list[str]]:
    part = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0].split("\n\n")
    tables = [block.strip() for block in part if block.strip().startswith("|")]
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in tables[0].splitlines()[2:]
    ]


@dataclass
class Recording(httpx.AsyncBaseTransport):
    """Passes requests on, and notes each as the page writes it."""

    scope: str
    rest: str
    token: str
    inner: httpx.AsyncBaseTransport
    seen: dict[tuple[str, str], tuple[str, frozenset[str], Any, int]] = field(default_factory=dict)
    bases: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tokens[self.token] = "REST token"
        self.bases["REST"] = self.rest

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self.inner.handle_async_request(request)
        body = await answer.aread()
        await answer.aclose()
        self._note(request, answer.status_code)
        self._learn(request, body)
        return httpx.Response(answer.status_code, headers=_plain(answer.headers), content=body)

    async def aclose(self) -> None:
        await self.inner.aclose()

    def _note(self, request: httpx.Request, status: int) -> None:
        if "authorization" not in request.headers:  # what is asked before a token is shown
            return
        scheme, _, token = request.headers["authorization"].partition(" ")
        base, path, query = self._based(request.url)
        names = frozenset(key for key, _ in parse_qsl(query, keep_blank_values=True))
        sent = json.loads(request.content) if request.content else None
        key = (request.method, f"{base}{path}")
        self.seen[key] = f"`{scheme}` {self.tokens[token]}", names, sent, status

    def _based(self, url: httpx.URL) -> tuple[str, str, str]:
        for name, base in sorted(self.bases.items(), key=lambda item: -len(item[1])):
            parts = urlsplit(base)
            own = parts.path.rstrip("/")
            if url.path.startswith(own):
                path = url.path.removeprefix(own).replace(self.scope, "SCOPE")
                path = re.sub(r"/[0-9a-f-]{36}$", "/SESSION", path)
                path = re.sub(r"/\d+(?=/|$)", "/MESSAGE" if name == "QUEUE" else "/ID", path)
                kept = parts.query.split("&")
                pairs = [pair for pair in url.query.decode().split("&") if pair not in kept]
                return name, path, "&".join(pairs)
        raise AssertionError(url)

    def _learn(self, request: httpx.Request, body: bytes) -> None:
        last = request.url.path.rpartition("/")[2]
        told = json.loads(body) if body else None
        if not isinstance(told, dict):
            return
        for (call, name), kind in WIRE.items():
            if (call == last or call in request.url.path) and name in told:
                self.tokens[told[name]] = kind
        if last == "runner-registration":
            self.bases["SERVICE"] = told["url"]
        if "messageQueueUrl" in told:
            self.bases["QUEUE"] = told["messageQueueUrl"]


def _plain(headers: httpx.Headers) -> dict[str, str]:
    return {key: value for key, value in headers.items() if key != "content-encoding"}


class NoCore:
    """Stands behind a plugin that is only asked to check."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a check used Context.{name}")


async def recorded(folder: Path) -> Recording:
    """What was sent when everything on the page was done once."""
    simulator = Simulator(flow="offered", poll_seconds=0.2)
    async with trio.open_nursery() as nursery:
        await nursery.start(simulator.serve)
        secret = folder / "token"
        secret.write_text(simulator.token)
        secret.chmod(0o600)
        config = GitHub.Config(url=simulator.url, token=SecretSource(file=secret))
        context: Context[Any, Any] = Context(
            name="github",
            scaler="host-1",
            config=config,
            profiles={},
            own={},
            folder=folder,
            log=logging.LoggerAdapter(logging.getLogger("test")),
            stopping=trio.Event(),
            core=NoCore(),
        )
        github = GitHub(context)
        account = github.accounts[""]
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        seen = Recording("orgs/acme", simulator.rest_url, simulator.token, HTTP(tls))
        account.transport._handler = seen
        async with account.open():
            await github.check()
            actions = account.actions
            assert await actions.find_scale_set("linux", 1) is None
            made = await actions.create_scale_set("linux", 1, ["linux"])
            session = await QueueSession.open(actions, made.id, "scaler-host-1")
            (job,) = simulator.queue_jobs("linux")
            message = await session.poll(0, 5, 5)
            assert message is not None
            await actions.acquirable_jobs(made.id)
            await session.acquire_jobs([job.request_id])
            await session.poll(message.id, 5, 5)
            await session.delete_message(message.id)
            await session.renew()
            await actions.delete_session(made.id, session.id)
        nursery.cancel_scope.cancel()
    return seen


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return trio.run(recorded, tmp_path_factory.mktemp("endpoints"))


@pytest.mark.parametrize("row", rows("The thirteen"), ids=lambda row: row[0])
def test_each_of_the_thirteen_is_as_the_page_says(row: list[str], seen: Recording) -> None:
    _, _, call, signs_in, query, body, good = row
    method, _, path = call.strip("`").partition(" ")
    assert (method, path) in seen.seen, f"sent were: {sorted(seen.seen)}"
    sign, names, sent, status = seen.seen[method, path]
    assert sign == signs_in
    assert names == set(re.findall(r"`(.+?)`", query))
    told = set(re.findall(r"`(.+?)`", body))
    assert isinstance(sent, list) if body == "a list of request ids" else set(sent or {}) == told
    assert str(status) in re.findall(r"\b\d{3}\b", good)


def test_there_are_thirteen() -> None:
    numbers = {row[0].rstrip("ab") for row in rows("The thirteen")}
    assert numbers == {str(number) for number in range(1, 14)}


def test_every_difference_is_told() -> None:
    """Eleven are known; each is told of one of the thirteen."""
    told = rows("Where older descriptions differ")
    assert len(told) == 11
    for _, text in told:
        assert re.search(r"\((\d+)((, | to )\d+)?\)", text), text
