"""The transport below httpx's own client."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import trio

from scaler_github.client.transport import HTTP
from scaler_github.client.wire.proxies import Proxies

Lab = Any
Certificates = Any


def url(server: Any) -> str:
    return f"http://127.0.0.1:{server.port}/"


def answer(body: bytes, header: str = "X: y") -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n{header}\r\n\r\n".encode() + body


async def test_httpx_can_use_it(lab: Lab, certificates: Certificates) -> None:
    async def handler(stream: trio.abc.Stream) -> None:
        while request := await lab.read_request(stream):
            body = request.partition(b"\r\n\r\n")[2]
            await stream.send_all(answer(gzip.compress(body * 2), "Content-Encoding: gzip"))

    async with lab.serving(handler, certificates.server()) as server:
        http = HTTP(certificates.client, connections=1)
        async with httpx.AsyncClient(transport=http, trust_env=False) as client:
            address = f"https://127.0.0.1:{server.port}/"
            for _ in range(2):
                answered = await client.post(address, json=[1])
                assert (answered.http_version, answered.reason_phrase) == ("HTTP/1.1", "OK")
                assert answered.text == "[1][1]"
            async with client.stream("GET", address) as answered:
                pass  # not read: its connection is closed, and its turn free
            assert (await client.get(address)).content == b""
            assert server.accepted == 2
            with pytest.raises(httpx.UnsupportedProtocol):
                await client.get("ftp://h/")


async def test_httpx_can_send_a_stream(lab: Lab) -> None:
    async def handler(stream: trio.abc.Stream) -> None:
        data = b""
        while not data.endswith(b"0\r\n\r\n"):
            data += await stream.receive_some()
        await stream.send_all(answer(data.partition(b"\r\n\r\n")[2]))

    async def parts() -> AsyncIterator[bytes]:
        yield b"ab"
        yield b"c"

    async with lab.serving(handler) as server:
        http = HTTP(lab.no_tls, proxies=Proxies())
        async with httpx.AsyncClient(transport=http, trust_env=False) as client:
            answered = await client.post(url(server), content=parts())
            assert answered.content == b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"


async def test_the_timeouts_of_httpx(lab: Lab) -> None:
    async def handler(stream: trio.abc.Stream) -> None:
        await trio.sleep_forever()

    async with lab.serving(handler) as server:
        http = HTTP(lab.no_tls, connections=1)
        async with httpx.AsyncClient(transport=http, trust_env=False) as client:
            with pytest.raises(httpx.ReadTimeout):
                await client.get(url(server), timeout=httpx.Timeout(None, read=0.02))
            with pytest.raises(httpx.WriteTimeout):
                await client.put(
                    url(server), content=bytes(32 << 20), timeout=httpx.Timeout(None, write=0.02)
                )
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lambda: client.get(url(server), timeout=None))
                await trio.testing.wait_all_tasks_blocked(0.01)
                with pytest.raises(httpx.PoolTimeout):
                    await client.get(url(server), timeout=httpx.Timeout(None, pool=0.02))
                nursery.cancel_scope.cancel()
