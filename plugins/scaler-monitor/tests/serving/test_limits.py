"""C50: whatever size a client sends or claims."""

from __future__ import annotations

import tracemalloc
from typing import Any

import h11
import pytest
import trio
from hypothesis import example, given
from hypothesis import strategies as st

from scaler_monitor import limits
from scaler_monitor.serving import strict

pytestmark = pytest.mark.once

GIB = 1 << 30
HOST = b"Host: localhost\r\n"


def status(heard: bytes) -> int:
    return int(heard.split(b" ")[1])


def head(target: int, sizes: list[int]) -> bytes:
    fields = b"".join(b"X: %b\r\n" % (b"x" * size) for size in sizes)
    return b"GET /%b HTTP/1.1\r\n%b%b\r\n" % (b"x" * target, HOST, fields)


@given(
    target=st.integers(0, 3 * strict.TARGET),
    sizes=st.lists(st.integers(0, 2 * strict.FIELDS), max_size=130),
    cut=st.integers(1, 100_000),
)
@example(target=strict.TARGET - 1, sizes=[], cut=10_000)
@example(target=strict.TARGET, sizes=[], cut=10_000)
@example(target=0, sizes=[0] * 99, cut=10_000)
@example(target=0, sizes=[0] * 100, cut=10_000)
def test_c50_a_head_of_any_size(target: int, sizes: list[int], cut: int) -> None:
    """It is taken or refused by its size alone, and never much of it is kept."""
    said = head(target, sizes)
    connection = strict.Strict()
    found = None
    for start in range(0, len(said), cut):
        connection.receive_data(said[start : start + cut])
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError as error:
            found = error.error_status_hint
            break
        assert len(connection.trailing_data[0]) <= strict.TARGET + strict.FIELDS + 128
        if isinstance(event, h11.Request):
            found = 200
    fields = len(said) - said.index(b"\r\n") - 1
    if target + 1 > strict.TARGET:
        assert found == 414
    elif fields > strict.FIELDS or len(sizes) + 1 > strict.COUNT:
        assert found == 431
    else:
        assert found == 200


@pytest.mark.parametrize("ended", [True, False])
async def test_c50_heads_beyond_bounds_are_told_why(serving: Any, ended: bool) -> None:
    end = b"\r\n\r\n" if ended else b""
    async with serving() as served, served.client() as client:
        with trio.fail_after(10):
            target = b"GET /?" + b"x" * 9000 + (b" HTTP/1.1\r\n" + HOST if ended else b"")
            heard = await served.say(target + end)
            assert status(heard) == 414
            assert b'"error": "request-uri-too-long"' in heard
            assert b'"message": "the path and the query are over 8192 bytes"' in heard
            large = b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"x" * 17_000 + end
            heard = await served.say(large)
            assert status(heard) == 431
            assert b'"error": "request-header-fields-too-large"' in heard
            many = b"GET / HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 101 + end
            assert status(await served.say(many)) == 431
        assert (await client.get("/" + "x" * 8000)).status_code == 404
        assert (await client.get("/healthz", headers={"X": "x" * 15_000})).status_code == 200


@pytest.mark.parametrize("size", [limits.BODY + 1, 1 << 20, GIB, 10**19])
@pytest.mark.parametrize("expecting", [b"", b"Expect: 100-continue\r\n"])
async def test_c50_a_claimed_length_is_refused_before_it_comes(
    serving: Any, size: int, expecting: bytes
) -> None:
    async with serving() as served:
        with trio.fail_after(5):
            heard = await served.say(
                b"POST /healthz HTTP/1.1\r\n%bContent-Length: %d\r\n%b\r\nx"
                % (HOST, size, expecting)
            )
        answer = heard[heard.index(b"HTTP/1.1 413") :]
        assert b'"error": "request-entity-too-large"' in answer
        assert b"connection: close" in answer.lower()


@pytest.mark.parametrize("chunked", [True, False])
async def test_c50_a_gibibyte_that_keeps_coming_is_cut_off_and_never_kept(
    serving: Any, chunked: bool
) -> None:
    claim = b"Transfer-Encoding: chunked\r\n" if chunked else b"Content-Length: %d\r\n" % GIB
    piece = (b"10000\r\n%b\r\n" if chunked else b"%b") % bytes(1 << 16)
    async with serving() as served, served.client() as client:
        await client.get("/healthz")
        tracemalloc.start()
        try:
            sent = 0
            with trio.fail_after(20):
                stream = await served.connect()
                heard = b""

                async def listen() -> None:
                    nonlocal heard
                    try:
                        while more := await stream.receive_some():
                            heard += more
                    except trio.BrokenResourceError:
                        return

                async with trio.open_nursery() as nursery:
                    nursery.start_soon(listen)
                    try:
                        await stream.send_all(b"POST / HTTP/1.1\r\n" + HOST + claim + b"\r\n")
                        while sent < GIB:
                            await stream.send_all(piece)
                            sent += len(piece)
                    except trio.BrokenResourceError:
                        pass
                await stream.aclose()
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert status(heard) == 413
        assert sent < 32 << 20
        assert most < 8 << 20
        assert (await client.get("/healthz")).status_code == 200


async def test_c50_a_body_within_bounds_is_taken(serving: Any) -> None:
    async with serving() as served, served.client() as client:
        for size in (0, 1, limits.BODY):
            response = await client.post("/nope", content=b"x" * size)
            assert response.status_code == 404

        async def chunks() -> Any:
            yield b"x" * limits.BODY

        assert (await client.post("/nope", content=chunks())).status_code == 404
