from __future__ import annotations

import gzip
import tracemalloc
import zlib

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_github.client.wire.decoding import decode

LIMIT = 1 << 20


def raw(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@given(st.binary(max_size=3000))
def test_what_was_packed_comes_out(data: bytes) -> None:
    assert decode(data, "identity", LIMIT) == data
    assert decode(gzip.compress(data), "gzip", LIMIT) == data
    assert decode(gzip.compress(data), " X-GZIP ", LIMIT) == data
    assert decode(zlib.compress(data), "deflate", LIMIT) == data
    assert decode(raw(data), "deflate", LIMIT) == data
    assert decode(gzip.compress(zlib.compress(data)), "deflate, identity, gzip", LIMIT) == data
    assert decode(gzip.compress(data) * 2, "gzip", LIMIT) == data * 2


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, br"])
def test_an_empty_body_is_empty_however_it_is_packed(encoding: str) -> None:
    assert decode(b"", encoding, LIMIT) == b""


@pytest.mark.parametrize(
    ("body", "encoding", "said"),
    [
        (b"plain", "gzip", "not compressed as it says"),
        (b"\xffplain", "deflate", "not compressed as it says"),
        (gzip.compress(b"abc" * 99, mtime=0)[:-9], "gzip", "ends in the middle"),
        (zlib.compress(b"abc" * 99)[:-5], "deflate", "ends in the middle"),
        (b"x", "br", "not asked for"),
        (gzip.compress(b"x", mtime=0) + b"junk", "gzip", "not compressed"),
    ],
)
def test_what_cannot_be_unpacked(body: bytes, encoding: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        decode(body, encoding, LIMIT)


@given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate"]))
def test_any_bytes_are_a_body_or_none(body: bytes, encoding: str) -> None:
    try:
        decode(body, encoding, LIMIT)
    except ValueError as error:
        assert str(error)  # noqa: PT017 - most bytes are none, some are


@given(st.binary(max_size=300), st.sampled_from([gzip.compress, zlib.compress, raw]))
def test_httpx_unpacks_the_same(data: bytes, pack: object) -> None:
    assert callable(pack)
    encoding = "gzip" if pack is gzip.compress else "deflate"
    answer = httpx.Response(200, headers={"Content-Encoding": encoding}, content=pack(data))
    assert decode(pack(data), encoding, LIMIT) == answer.content


@pytest.mark.parametrize("layers", [1, 2])
def test_a_bomb_takes_no_more_than_the_limit(layers: int) -> None:
    bomb = zlib.compress(bytes(40 << 20), 9)
    for _ in range(layers - 1):
        bomb = zlib.compress(bomb, 9)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="larger than 1 MiB"):
            decode(bomb, ", ".join(["deflate"] * layers), LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 5 * LIMIT
    finally:
        tracemalloc.stop()
    assert decode(zlib.compress(bytes(LIMIT)), "deflate", LIMIT) == bytes(LIMIT)


@pytest.mark.parametrize(
    ("body", "encoding", "why"),
    [
        (gzip.compress(b"", mtime=0) * 80_000, "gzip", "more than 16 parts"),
        (gzip.compress(b"x"), ", ".join(["gzip"] * 31), "more than 2 times"),
    ],
    ids=["parts", "layers"],
)
def test_what_would_take_minutes_is_refused(body: bytes, encoding: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        decode(body, encoding, 32 << 20)
