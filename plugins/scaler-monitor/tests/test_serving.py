from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
import trio.testing
from quart import has_request_context

from scaler import Job, Report, Runner, RunnerState, Unavailable
from scaler_monitor import limits
from scaler_monitor.plugin import Monitor
from scaler_monitor.serving import server
from scaler_monitor.site import RECENT

QUICK = server.GRACE + 2  # seconds that an end may take


def is_refusal(response: httpx.Response, code: int, name: str) -> bool:
    answer = response.json()
    return bool(
        response.status_code == code
        and answer == {"error": name, "request_id": response.headers["X-Request-ID"]}
        and response.headers["Content-Type"] == "application/json"
        and response.headers["Cache-Control"] == "no-store"
        and response.headers["X-Content-Type-Options"] == "nosniff"
    )


async def test_answers(serving: Any, world: Any) -> None:
    async with serving() as served, served.client() as client:
        healthy = await client.get("/healthz")
        assert (healthy.status_code, healthy.json()) == (200, {"ok": True})
        assert healthy.headers["Cache-Control"] == "no-store"
        assert healthy.headers["X-Content-Type-Options"] == "nosniff"
        assert "Server" not in healthy.headers
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()) == (200, {"ready": True, "problems": []})

        first = (await client.get("/dashboard.json")).json()
        assert first["profile_runner_counts"]["linux"]["wanted"] == 3
        idle = Runner(id=1, name="linux.1@here", profile="linux", state=RunnerState.IDLE)
        world.change(
            runners=(idle,),
            reports=(Report(plugin="queue", profile="linux", ok=False, text="401", time=1.0),),
        )
        second = await client.get("/dashboard.json")
        assert second.headers["Content-Type"] == "application/json"
        assert second.json()["profile_runner_counts"]["linux"]["idle"] == 1
        assert second.json()["runners"][0]["runner"]["status"] == "Idle"
        await trio.sleep(RECENT)
        ready = await client.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["problems"][0]["text"] == "401"
        assert ready.json() == {"ready": False, "problems": second.json()["degraded"]}

        head = await client.head("/dashboard.json")
        assert (head.status_code, head.content) == (200, b"")
        assert int(head.headers["Content-Length"]) == len(second.content)


async def test_refusals(serving: Any, caplog: Any, capfd: Any) -> None:
    async with serving() as served, served.client() as client:
        for path in ("/nope", "/healthz/", "/%2fhealthz", "/%2e%2e/etc/passwd", "/static/x"):
            assert is_refusal(await client.get(path), 404, "not-found"), path
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "ODD"):
            response = await client.request(method, "/healthz")
            assert is_refusal(response, 405, "method-not-allowed"), method
            assert response.headers["Allow"] == "GET, HEAD"
        large = await client.post("/healthz", content=b"x" * 1_000_000)
        assert is_refusal(large, 413, "request-entity-too-large")
        assert (await client.get("/healthz")).status_code == 200
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


async def test_other_sites_are_refused(serving: Any) -> None:
    async with serving() as served, served.client() as client:
        own = served.monitor.addresses[0]
        same = await client.get("/dashboard.json", headers={"Origin": own})
        assert same.status_code == 200
        assert not [name for name in same.headers if name.startswith("access-control-")]
        for origin in ("null", "", "http://evil.example", f"{own}0", "http://[", "x://"):
            response = await client.get("/dashboard.json", headers={"Origin": origin})
            assert is_refusal(response, 403, "foreign-origin"), origin


async def test_a_fault_tells_the_client_its_number_and_no_more(
    serving: Any, world: Any, caplog: Any, capfd: Any
) -> None:
    def broken() -> Any:
        if has_request_context():
            raise RuntimeError("the secret of the house")
        return world.now

    async with serving() as served, served.client() as client:
        world.view = broken
        response = await client.get("/dashboard.json")
        assert is_refusal(response, 500, "internal")
        del world.view
        assert (await client.get("/dashboard.json")).status_code == 200
    [record] = caplog.records
    assert record.name == "scaler.plugins.monitor"
    assert response.json()["request_id"] in record.getMessage()
    assert record.exc_info is not None
    assert capfd.readouterr() == ("", "")


async def test_no_websockets(serving: Any) -> None:
    async with serving() as served:
        stream = await served.connect()
        await stream.send_all(
            b"GET /healthz HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Version: 13\r\n\r\n"
        )
        with trio.fail_after(2):
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 403 ")
        await stream.aclose()


@pytest.mark.parametrize(
    "noise",
    [b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"],
)
async def test_noise_ends_its_own_connection_alone(serving: Any, noise: bytes) -> None:
    async with serving() as served, served.client() as client:
        stream = await served.connect()
        await stream.send_all(noise)
        await stream.send_eof()
        with trio.fail_after(2):
            while await stream.receive_some():
                pass
        await stream.aclose()
        assert (await client.get("/healthz")).status_code == 200


async def test_several_addresses(serving: Any, tmp_path: Path) -> None:
    path = tmp_path / "monitor.sock"
    async with serving("127.0.0.1:0", "[::1]:0", f"unix:{path}") as served:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert served.monitor.addresses[1].startswith("http://[::1]:")
        assert served.monitor.addresses[2] == f"unix:{path}"
        for number in range(3):
            async with served.client(number) as client:
                assert (await client.get("/healthz")).status_code == 200
    assert not path.exists()
    assert served.monitor.addresses == ()


async def test_a_socket_that_was_left_behind_is_replaced(serving: Any, tmp_path: Path) -> None:
    path = tmp_path / "monitor.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    async with serving(f"unix:{path}") as served, served.client() as client:
        assert (await client.get("/healthz")).status_code == 200


async def test_an_address_that_is_taken(
    make: Callable[..., tuple[Monitor, trio.Event]], world: Any, serving: Any, tmp_path: Path
) -> None:
    path, plain = tmp_path / "monitor.sock", tmp_path / "plain"
    plain.write_text("mine")
    async with serving("127.0.0.1:0", f"unix:{path}") as served:
        port = served.monitor.addresses[0].rpartition(":")[2]
        for taken in (f"127.0.0.1:{port}", f"unix:{path}", f"unix:{plain}"):
            other, _ = make("127.0.0.1:0", f"unix:{tmp_path}/first", taken)
            with pytest.raises(Unavailable, match="cannot listen") as caught:
                await other.run_service(trio.TASK_STATUS_IGNORED)
            text = f"cannot listen on {taken}: Address already in use"
            assert str(caught.value) == text
            assert other.addresses == ()
            assert not (tmp_path / "first").exists()
        assert path.exists()
        assert plain.read_text() == "mine"
        async with served.client(1) as client:
            assert (await client.get("/healthz")).status_code == 200


async def test_a_host_that_is_not_ours(make: Callable[..., tuple[Monitor, trio.Event]]) -> None:
    other, _ = make("192.0.2.1:0")
    with pytest.raises(Unavailable, match=r"cannot listen on 192\.0\.2\.1:0: Cannot assign"):
        await other.run_service(trio.TASK_STATUS_IGNORED)


async def test_it_can_start_again_where_it_was(serving: Any) -> None:
    async with serving() as served, served.client() as client:
        port = served.monitor.addresses[0].rpartition(":")[2]
        await client.get("/healthz")
        served.stopping.set()
        await served.ended.wait()
        async with serving(f"127.0.0.1:{port}") as again, again.client() as other:
            assert (await other.get("/healthz")).status_code == 200


@pytest.mark.parametrize("how", ["stop", "cancel"])
@pytest.mark.parametrize("where", ["tcp", "unix"])
async def test_a_client_that_never_reads_cannot_put_off_the_end(
    serving: Any, world: Any, tmp_path: Path, how: str, where: str
) -> None:
    jobs = tuple(Job(id=str(number), state="done", name="x" * 5000) for number in range(4000))
    world.change(jobs=jobs)
    path = tmp_path / "monitor.sock"
    async with serving("127.0.0.1:0", f"unix:{path}") as served:
        stream: trio.SocketStream = (
            await trio.open_unix_socket(str(path)) if where == "unix" else await served.connect()
        )
        await stream.send_all(b"GET /dashboard.json HTTP/1.1\r\nHost: here\r\n\r\n" * 3)
        await stream.receive_some(1)
        half = await served.connect()
        await half.send_all(b"GET /dash")
        await trio.testing.wait_all_tasks_blocked(0.1)
        began = trio.current_time()
        if how == "stop":
            served.stopping.set()
        else:
            served.scope.cancel()
        with trio.fail_after(20):
            await served.ended.wait()
        assert trio.current_time() - began < QUICK
        await stream.aclose()
        await half.aclose()


async def test_an_idle_connection_does_not_put_off_the_end(serving: Any) -> None:
    async with serving() as served, served.client() as client:
        await client.get("/healthz")
        began = trio.current_time()
        served.stopping.set()
        await served.ended.wait()
        assert trio.current_time() - began < 3  # less than an idle connection may stay


async def test_nothing_is_left_of_requests_whose_body_nobody_asked_for(serving: Any) -> None:
    def living() -> int:  # a task that stays keeps its socket
        return len(os.listdir("/proc/self/fd"))

    async with serving() as served:
        before = living()
        at_once = trio.CapacityLimiter(20)
        sizes = (1_000, 30_000, 100_000, 1_000_000, 3_000_000)

        async def post(client: httpx.AsyncClient, size: int) -> None:
            async with at_once:
                response = await client.post("/nope", content=b"x" * size, timeout=20)
            assert response.status_code == (404 if size < limits.BODY else 413)

        async with served.client() as client, trio.open_nursery() as nursery:
            for number in range(60):
                nursery.start_soon(post, client, sizes[number % len(sizes)])
        with trio.move_on_after(10):
            while living() > before:  # noqa: ASYNC110 - nobody tells
                await trio.sleep(0.05)
        assert living() <= before
