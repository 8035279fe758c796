"""D34: bytes in which two readers may see two different requests."""

from __future__ import annotations

import re
from typing import Any

import pytest
import trio

from scaler_monitor.serving import strict

pytestmark = pytest.mark.once

NEXT = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /nope HTTP/1.1\r\nHost: localhost\r\n"

CORPUS = {
    "length and coding": POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 0\r\nContent-Length: 44\r\n\r\n",
    "two equal lengths": POST + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
    "lengths in one": POST + b"Content-Length: 0, 44\r\n\r\n",
    "equal lengths in one": POST + b"Content-Length: 0, 0\r\n\r\n",
    "signed length": POST + b"Content-Length: +0\r\n\r\n",
    "negative length": POST + b"Content-Length: -1\r\n\r\n",
    "hexadecimal length": POST + b"Content-Length: 0x0\r\n\r\n",
    "length with a space in it": POST + b"Content-Length: 4 4\r\n\r\n",
    "length of nothing": POST + b"Content-Length:\r\n\r\n",
    "length beyond numbers": POST + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n",
    "space before the colon": POST + b"Content-Length : 44\r\n\r\n",
    "coding with a space before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n",
    "two codings": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n",
    "twice chunked": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    "coding list": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
    "unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n",
    "coding after a control": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n",
    "coding of an old request": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "folded": POST + b"X: a\r\n b: c\r\n\r\n",
    "folded coding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "folded by a tab": POST + b"Content-Length: 0\r\n\t4\r\n\r\n",
    "folded first": b"GET / HTTP/1.1\r\n Host: localhost\r\n\r\n",
    "bare line feed": b"GET /healthz HTTP/1.1\nHost: localhost\n\n",
    "bare line feed between headers": POST + b"X: a\nContent-Length: 4\r\n\r\n",
    "bare line feed at the end": b"GET / HTTP/1.1\r\nHost: localhost\r\n\n",
    "bare carriage return": POST + b"X: a\rContent-Length: 44\r\n\r\n",
    "NUL in a value": POST + b"X: a\0b\r\n\r\n",
    "NUL in a name": POST + b"X\0: a\r\n\r\n",
    "NUL in the target": b"GET /health\0z HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "control in a value": POST + b"X: a\x01b\r\n\r\n",
    "delete in a value": POST + b"X: a\x7fb\r\n\r\n",
    "no colon": POST + b"Nothing\r\n\r\n",
    "no name": POST + b": nothing\r\n\r\n",
    "name of two words": POST + b"X Y: nothing\r\n\r\n",
    "bad chunk size": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "signed chunk size": POST + b"Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n",
    "huge chunk size": POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\n",
    "chunk longer than told": POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n",
    "no version": b"GET /healthz\r\nHost: localhost\r\n\r\n",
    "two spaces": b"GET  /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "tab for a space": b"GET\t/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "space in the target": b"GET /healthz /x HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "space after the version": b"GET /healthz HTTP/1.1 \r\nHost: localhost\r\n\r\n",
    "beyond ASCII": "GET /é HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
    "small letters": b"GET /healthz http/1.1\r\nHost: localhost\r\n\r\n",
    "version 1.2": b"GET /healthz HTTP/1.2\r\nHost: localhost\r\n\r\n",
    "version 0.9": b"GET /healthz HTTP/0.9\r\nHost: localhost\r\n\r\n",
    "HTTP/2 with knowledge": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
    "whole address": b"GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a tunnel": b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
    "a star": b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a query alone": b"GET ?x HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "empty lines": b"\r\n\r\n",
}


@pytest.mark.parametrize("what", CORPUS)
async def test_d34_what_is_ambiguous_is_refused_and_ends_its_connection(
    serving: Any, what: str
) -> None:
    async with serving() as served, served.client() as client:
        with trio.fail_after(10):
            heard = await served.say(CORPUS[what], NEXT)
        statuses = [int(each) for each in re.findall(rb"HTTP/1\.1 (\d+) ", heard)]
        assert len(statuses) <= 1, heard
        assert all(400 <= status <= 505 for status in statuses), heard
        assert b"HTTP/1.1 200" not in heard
        assert b"chunked" not in heard.lower()
        if statuses:
            assert b"connection: close" in heard.lower()
            assert b'"request_id"' in heard
        assert (await client.get("/healthz")).status_code == 200


async def test_d34_it_is_no_websocket_and_no_http2_whoever_asks(serving: Any) -> None:
    keys = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    settings = b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n"
    async with serving(guest_listen=("127.0.0.1:0",)) as served:
        for wanted, more in ((b"websocket", keys), (b"h2c", settings)):
            for guests, path, status in ((False, b"/healthz", b"200"), (True, b"/boot", b"404")):
                asked = b"GET %b HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade%b\r\n%b"
                upgrade = b"Upgrade: " + wanted + b"\r\n" + more + b"\r\n"
                with trio.fail_after(5):
                    heard = await served.say(
                        asked % (path, b"", upgrade),
                        asked % (path, b", close", b"\r\n"),
                        guests=guests,
                    )
                assert re.findall(rb"HTTP/1\.1 (\d+) ", heard) == [status, status], heard


async def test_d34_requests_in_a_row_are_answered_in_a_row(serving: Any) -> None:
    async with serving() as served:
        last = b"GET /nope HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        body = POST + b"Content-Length: 5\r\n\r\nGET /"
        chunks = POST + b"Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nGET /\r\n0\r\nX: y\r\n\r\n"
        said = NEXT + body + chunks + NEXT * 20 + last
        for pieces in ([said], [said[at : at + 7] for at in range(0, len(said), 7)]):
            with trio.fail_after(5):
                heard = await served.say(*pieces)
            statuses = re.findall(rb"HTTP/1\.1 (\d+) ", heard)
            assert statuses == [b"200", b"404", b"404"] + [b"200"] * 20 + [b"404"]


def test_a_head_is_looked_at_however_it_is_cut() -> None:
    for said in (NEXT, POST + b"Content-Length: 4\r\n\r\n"):
        assert [strict.refused(said[:end]) for end in range(len(said) + 1)] == [None] * (
            len(said) + 1
        )
    found = [strict.refused(b"GET /\n"[:end]) for end in range(7)]
    assert [each and each.status for each in found] == [None] * 6 + [400]
