"""Runners by REST: what is asked, and what is made of the answers."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import trio
from trio.testing import MockClock

from scaler_github.client import (
    Exchange,
    GitHubError,
    Kind,
    PersonalToken,
    Reread,
    Rest,
    Transport,
    parse_config_url,
)
from scaler_github.client.runners import RestRunners, Unusable

Answer = Callable[[httpx.Request], httpx.Response]
CONFIG = base64.b64encode(b'{".runner": "e30="}').decode()


@asynccontextmanager
async def runners(answer: Answer | httpx.Response, url: str = "https://github.com/acme") -> Any:
    async def handle(request: httpx.Request) -> httpx.Response:
        await trio.sleep(0.01)
        if not callable(answer):
            return httpx.Response(answer.status_code, content=answer.content)
        return answer(request)

    scope = parse_config_url(url, {})
    async with Transport(handler=httpx.MockTransport(handle), authorities=False) as transport:
        rest = Rest(scope.api, Exchange(transport), PersonalToken(Reread(lambda: "ghp_one")))
        yield RestRunners(rest, scope)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://github.com/acme", "/orgs/acme"),
        ("https://github.com/acme/web", "/repos/acme/web"),
        ("https://github.com/enterprises/big", "/enterprises/big"),
    ],
)
async def test_what_is_asked(url: str, path: str, autojump_clock: MockClock) -> None:
    seen: list[tuple[str, str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        seen.append((request.method, request.url.raw_path.decode(), body))
        if request.url.path.endswith("jitconfig"):
            made = {"runner": {"id": 7, "name": "r"}, "encoded_jit_config": CONFIG}
            return httpx.Response(201, json=made)
        if request.method == "DELETE" and request.url.path.endswith("/7"):
            return httpx.Response(204)
        if "labels" in request.url.path:
            return httpx.Response(200, json={"total_count": 1, "labels": [{"name": "a"}]})
        return httpx.Response(200, json={"total_count": 0, "runners": []})

    async with runners(answer, url) as api:
        assert await api.every() == ([], True)
        assert await api.by_name("a b") is None
        made = await api.generate_jit_config("r", 1, ["x"], "_work")
        assert await api.labels(7) == ["a"]
        assert await api.add_labels(7, ["b"]) == ["a"]
        assert await api.delete_label(7, "reserved-by:o/r") == ["a"]
        assert await api.delete(7)
    assert made.runner.id == 7
    assert CONFIG not in repr(made)
    base = f"{path}/actions/runners"
    asked = {"name": "r", "runner_group_id": 1, "labels": ["x"], "work_folder": "_work"}
    assert seen == [
        ("GET", f"{base}?per_page=100&page=1", None),
        ("GET", f"{base}?name=a+b&per_page=100&page=1", None),
        ("POST", f"{base}/generate-jitconfig", asked),
        ("GET", f"{base}/7/labels", None),
        ("POST", f"{base}/7/labels", {"labels": ["b"]}),
        ("DELETE", f"{base}/7/labels/reserved-by%3Ao%2Fr", None),
        ("DELETE", f"{base}/7", None),
    ]


async def test_a_name_is_matched_exactly(autojump_clock: MockClock) -> None:
    rows = [{"id": 1, "name": "R"}, {"id": 2, "name": "r1"}, {"id": 3, "name": "r", "new": {}}]
    answer = httpx.Response(200, json={"total_count": 3, "runners": rows})
    async with runners(answer) as api:
        found = await api.by_name("r")
        assert found.id == 3
        assert (found.online, found.busy) == (None, None)
        assert await api.by_name("r2") is None


@pytest.mark.parametrize(
    ("row", "online", "busy"),
    [
        ({"status": "online", "busy": True}, True, True),
        ({"status": "offline", "busy": False}, False, False),
        ({"status": "Online"}, True, None),
        ({"status": "idle", "busy": None}, None, None),
        ({"status": None}, None, None),
    ],
    ids=str,
)
async def test_states(
    row: dict[str, Any], online: bool | None, busy: bool | None, autojump_clock: MockClock
) -> None:
    async with runners(httpx.Response(200, json={"id": "7", "name": "r", **row})) as api:
        found = await api.get(7)
    assert (found.id, found.online, found.busy) == (7, online, busy)


async def test_what_others_make_of_theirs_is_not_looked_at(autojump_clock: MockClock) -> None:
    huge = {"id": 2**70, "name": "y", "busy": "yes"}
    odd: list[dict[str, Any]] = [{"id": {}, "name": "x"}, {"name": None}, huge, {"a": 1}]
    ours = {"id": 7, "name": "linux.1@host", "status": 2}
    answer = httpx.Response(200, json={"total_count": 5, "runners": [*odd, ours]})
    async with runners(answer) as api:
        found, complete = await api.every(lambda name: name.endswith("@host"))
    assert [(each.id, each.online) for each in found] == [(7, True)]
    assert complete


@pytest.mark.parametrize("row", [{"name": "r"}, {"id": 1, "name": "r", "busy": []}])
async def test_a_list_that_cannot_be_read_is_none(
    row: dict[str, Any], autojump_clock: MockClock
) -> None:
    async with runners(httpx.Response(200, json={"total_count": 1, "runners": [row]})) as api:
        with pytest.raises(GitHubError) as caught:
            await api.every()
    assert caught.value.kind is Kind.RETRY


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (409, "Already exists - A runner with the name *r* exists.", Kind.EXISTS),
        (409, "", Kind.EXISTS),
        (422, "A runner already exists", Kind.EXISTS),
        (422, "missing required key: runner_group_id", Kind.BUG),
        (403, "no", Kind.CREDENTIAL),
        (404, "Not Found", Kind.CREDENTIAL),
        (500, "", Kind.RETRY),
        (429, "", Kind.WAIT),
    ],
)
async def test_refused_registrations(
    status: int, message: str, kind: Kind, autojump_clock: MockClock
) -> None:
    async with runners(httpx.Response(status, json={"message": message})) as api:
        with pytest.raises(GitHubError) as caught:
            await api.generate_jit_config("r", 1, ["x"], "_work")
    assert caught.value.kind is kind
    assert not isinstance(caught.value, Unusable)


@pytest.mark.parametrize(
    ("body", "number"),
    [
        (b"", None),
        (b"[]", None),
        (b'{"runner": {"id": 7}, "encoded_jit', None),
        (b'{"runner": {"id": 7}}', 7),
        (b'{"runner": {"id": 7}, "encoded_jit_config": "secret!"}', 7),
        (b'{"runner": {"id": 0}, "encoded_jit_config": "secret!"}', None),
        (b'{"runner": {"id": true}, "encoded_jit_config": "secret!"}', None),
        (b'{"runner": [], "encoded_jit_config": "secret!"}', None),
    ],
)
async def test_configs_that_are_of_no_use(
    body: bytes, number: int | None, autojump_clock: MockClock
) -> None:
    async with runners(httpx.Response(201, content=body)) as api:
        with pytest.raises(Unusable, match="not readable") as caught:
            await api.generate_jit_config("r", 1, ["x"], "_work")
    assert caught.value.kind is Kind.RETRY
    assert caught.value.number == number
    assert "secret" not in str(caught.value)


async def test_what_is_gone(autojump_clock: MockClock) -> None:
    async with runners(httpx.Response(404, json={"message": "Not Found"})) as api:
        assert await api.get(7) is None
        assert not await api.delete(7)
        assert await api.delete_label(7, "x") is None
        for call in (api.labels(7), api.add_labels(7, ["x"])):
            with pytest.raises(GitHubError) as caught:
                await call
            assert caught.value.kind is Kind.GONE
        with pytest.raises(GitHubError, match="is the url right") as caught:
            await api.every()
        assert caught.value.kind is Kind.CREDENTIAL


async def test_a_runner_at_work_is_not_removed(autojump_clock: MockClock) -> None:
    async with runners(httpx.Response(422, json={"message": "whatever"})) as api:
        with pytest.raises(GitHubError) as caught:
            await api.delete(7)
    assert caught.value.kind is Kind.BUSY


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"labels": [1]}', b'{"labels": {}}'])
async def test_labels_that_cannot_be_read(body: bytes, autojump_clock: MockClock) -> None:
    async with runners(httpx.Response(200, content=body)) as api:
        for call in (api.labels(7), api.add_labels(7, ["x"]), api.delete_label(7, "x")):
            with pytest.raises(GitHubError) as caught:
                await call
            assert caught.value.kind is Kind.RETRY


async def test_groups(autojump_clock: MockClock) -> None:
    rows = [{"id": 1, "name": "Default"}, {"id": 4, "name": "GPU"}, {"name": "odd"}]
    answer = httpx.Response(200, json={"total_count": 3, "runner_groups": rows})
    async with runners(answer) as api:
        assert await api.group_id("DEFAULT") == 1
        assert await api.group_id("gpu") == 4
        for name in ("odd", "none"):
            with pytest.raises(GitHubError, match="has no runner group") as caught:
                await api.group_id(name)
            assert caught.value.kind is Kind.CREDENTIAL


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ([{"name": "a"}, {"name": "b", "id": 1}], ["a", "b"]),
        ([{"id": 1}, 7, None], [""]),
        (None, []),
        ({}, []),
        ("x", []),
    ],
    ids=repr,
)
async def test_labels_in_a_list_do_no_harm(
    labels: Any, names: list[str], autojump_clock: MockClock
) -> None:
    entry = {"id": 7, "name": "r", "labels": labels}
    body = {"total_count": 1, "runners": [entry]}
    async with runners(httpx.Response(200, json=body)) as api:
        [found], _ = await api.every()
    assert found.label_names == names
