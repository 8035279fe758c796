"""Settings that change while the Monitor serves: nobody notices but who is meant to."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
import trustme

from scaler import Report, SettingsChange
from scaler_monitor.inplace import restarts
from scaler_monitor.page.live import Live
from scaler_monitor.settings import Config, StaticFolder, Tls

from .reloading import Token, reload, status, until

ROUNDS = 12


# -- a certificate


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def issue(tmp_path: Path, authority: trustme.CA) -> Callable[[], Tls]:
    numbers: Iterator[int] = iter(range(1000))

    def make() -> Tls:
        folder = tmp_path / f"tls{next(numbers)}"
        folder.mkdir()
        tls = Tls(cert=folder / "cert.pem", key=folder / "key.pem")
        issued = authority.issue_cert("127.0.0.1", "localhost")
        tls.key.touch(0o600)
        tls.key.write_bytes(issued.private_key_pem.bytes())
        tls.cert.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
        return tls

    return make


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return context


async def shown(served: Any, context: ssl.SSLContext) -> bytes:
    """The certificate that a new connection is shown."""
    plain = await served.connect()
    async with trio.SSLStream(
        plain, context, server_hostname="127.0.0.1", https_compatible=True
    ) as stream:
        await stream.do_handshake()
        found: bytes = stream.getpeercert(binary_form=True)
        return found


async def test_a_new_certificate_is_shown_and_no_request_fails(
    serving: Any, authority: trustme.CA, issue: Callable[[], Tls], world: Any
) -> None:
    trust = trusting(authority)
    over, answers, seen = trio.Event(), [0, 0], set()

    async def ask(number: int, limits: httpx.Limits) -> None:
        async with httpx.AsyncClient(verify=trust, trust_env=False, limits=limits) as client:
            while not over.is_set():
                assert (await client.get(url)).status_code == 200
                answers[number] += 1

    async with serving("127.0.0.1:0", tls=issue()) as served:
        url = f"{served.monitor.addresses[0]}/healthz"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, 0, httpx.Limits())
            nursery.start_soon(ask, 1, httpx.Limits(max_keepalive_connections=0))
            for _ in range(ROUNDS // 2):
                tls = issue()
                assert await reload(served, tls=tls) == []
                found = await shown(served, trust)
                assert ssl.DER_cert_to_PEM_cert(found) in tls.cert.read_text()
                seen.add(found)
            over.set()
        assert len(seen) == ROUNDS // 2
        assert min(answers) > 3
        bad = issue()
        bad.cert.write_text("nothing")
        [told] = await reload(served, tls=bad)
        assert told.startswith(f"plugins.monitor.tls: {bad.cert} and {bad.key} are no certificate")
        text, ok = world.reports[-1]
        assert not ok
        assert text.startswith(f"tls: {bad.cert} and {bad.key} are no certificate and its key")
        assert text.endswith("; the old one is still shown")
        assert await shown(served, trust) in seen
        assert await reload(served, tls=issue()) == []
        assert world.reports[-1][1]
        assert await shown(served, trust) not in seen


# -- everything else


async def test_folders_names_and_addresses_in_place(serving: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("found")
    folder = StaticFolder(path=tmp_path)
    over, answers = trio.Event(), 0

    async def ask() -> None:
        nonlocal answers
        async with served.client() as client:
            while not over.is_set():
                assert (await client.get("/kept/file")).text == "found"
                answers += 1

    async def code(path: str, **headers: str) -> int:
        return int((await client.get(path, headers=headers)).status_code)

    kept = {"/kept": folder}
    async with serving(static=kept) as served, served.client() as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            for _ in range(ROUNDS):
                assert await code("/new/file") == 404
                assert await code("/healthz", Host="ci.example") == 403
                more = {
                    "static": {**kept, "/new": folder},
                    "allowed_hosts": ("ci.example",),
                    "external_base_url": "https://other.example/ci",
                }
                assert await reload(served, **more) == []
                assert await code("/new/file") == 200
                assert await code("/healthz", Host="ci.example") == 200
                assert await code("/healthz", Host="other.example") == 200
                told = (await client.get("/openapi.json")).json()
                assert told["servers"] == [{"url": "https://other.example/ci"}]
                assert "/new/{path}" in told["paths"]
                assert await reload(served, static=kept) == []
            over.set()
        assert answers > ROUNDS
        told = (await client.get("/openapi.json")).json()
        assert told["servers"] == [{"url": served.monitor.addresses[0]}]


async def test_proxies_count_from_the_next_request_on(serving: Any, world: Any) -> None:
    forwarded = {"X-Forwarded-For": "192.0.2.7"}

    async def asker(served: Any, client: Any) -> str:
        world.guests.clear()
        await client.get("/boot", headers=forwarded)
        [(address, _)] = world.guests
        return str(address)

    async with serving() as served, served.client() as client:
        assert await asker(served, client) == "127.0.0.1"
        await reload(served, trusted_proxies=("127.0.0.0/8",))
        assert await asker(served, client) == "192.0.2.7"
        await reload(served)
        assert await asker(served, client) == "127.0.0.1"


async def test_pictures_need_a_token_from_then_on(serving: Any) -> None:
    async with serving() as served, served.client() as client:
        path = "/runner/1/screenshot.png"
        assert (await client.get(path)).status_code == 404
        await reload(served, screenshots_need_token=True)
        assert (await client.get(path)).status_code == 401


async def test_a_stream_of_events_goes_on(serving: Any, world: Any) -> None:
    heard: list[bytes] = []

    async def listen(response: httpx.Response) -> None:
        async for each in response.aiter_raw():
            heard.append(each)  # noqa: PERF401 - it has no end

    async with (
        serving() as served,
        served.client() as client,
        client.stream("GET", "/events", timeout=30) as response,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(listen, response)
        await until(lambda: heard)
        for number in range(5):
            await reload(served, allowed_hosts=(f"name{number}",))
        before = len(heard)
        told = Report(plugin="queue", profile="linux", ok=False, text="this is new", time=1.0)
        world.change(reports=(told,))
        await until(lambda: b"this is new" in b"".join(heard[before:]))
        nursery.cancel_scope.cancel()


async def test_what_is_listened_on_stays_until_a_restart(
    serving: Any, issue: Callable[[], Tls]
) -> None:
    async with serving("localhost:0") as served, served.client() as client:
        reached = served.monitor.addresses
        for _ in range(2):  # it is told as long as it is so
            told = await reload(served, listen=("127.0.0.1:1",), guest_listen=("127.0.0.1:2",))
            assert [each.partition(":")[0] for each in told] == [
                "plugins.monitor.listen",
                "plugins.monitor.guest_listen",
            ]
        assert served.monitor.addresses == reached
        sent = {"Host": f"localhost:{reached[0].rpartition(':')[2]}"}
        assert (await client.get("/healthz", headers=sent)).status_code == 200
        [told_tls] = await reload(served, listen=("localhost:0",), tls=issue())
        assert told_tls.startswith("plugins.monitor.tls: ")
        assert await reload(served, listen=("localhost:0",)) == []


def test_tls_on_and_off(issue: Callable[[], Tls]) -> None:
    tls = issue()
    plain, secret = Config(), Config(tls=tls)
    guests = Config(tls=Tls(cert=tls.cert, key=tls.key, guests=True))
    assert [each.partition(":")[0] for each in restarts(secret, plain)] == ["plugins.monitor.tls"]
    assert [each.partition(":")[0] for each in restarts(plain, guests)] == ["plugins.monitor.tls"]
    for one, other in ((secret, guests), (guests, secret)):
        [told] = restarts(one, other)
        assert told.startswith("plugins.monitor.tls.guests: guest_listen stays ")
    assert restarts(secret, Config(tls=issue())) == []


async def test_settings_that_change_before_and_while_it_starts_count(
    make: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    token = Token(tmp_path, "token")
    monitor, stopping = make()
    change = SettingsChange(config=True)
    monitor._context.config = Config(listen=("127.0.0.1:0",), allowed_hosts=("first",))
    assert await monitor.on_settings_changed(change) == []

    async def changing(function: Any, *args: Any, **more: Any) -> Any:
        if function is Live:
            monitor._context.config = Config(
                listen=("127.0.0.1:0",), allowed_hosts=("second",), token=(token.source,)
            )
            assert await monitor.on_settings_changed(change) == []
        return await real(function, *args, **more)

    real: Callable[..., Awaitable[Any]] = trio.to_thread.run_sync
    async with trio.open_nursery() as nursery:
        with monkeypatch.context() as patch:
            patch.setattr(trio.to_thread, "run_sync", changing)
            await nursery.start(monitor.run_service)
        async with httpx.AsyncClient(base_url=monitor.addresses[0], trust_env=False) as client:
            sent = {"Host": "second"}
            assert (await client.get("/healthz", headers=sent)).status_code == 200
            assert (await client.get("/healthz", headers={"Host": "first"})).status_code == 403
            assert await status(client, token.text) not in (401, 403)
        stopping.set()
    monitor._context.config = Config(listen=("127.0.0.1:1",))
    assert await monitor.on_settings_changed(change) == []  # it listens on nothing
