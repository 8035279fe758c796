"""Bodies that come compressed."""

from __future__ import annotations

import zlib

_PARTS = 16  # of one gzip body
_LAYERS = 2
ACCEPTED = "gzip"  # what is asked for; "deflate" is understood too


def decode(body: bytes, encoding: str, limit: int) -> bytes:
    """Undo a body's Content-Encoding.

    Args:
        limit: The most bytes that may come out. No more than these are ever made: a few bytes can
            stand for gigabytes.

    Raises:
        ValueError: It is not what the encoding says, or larger, or the encoding is not known.
    """
    names = [each.strip().lower() for each in encoding.split(",")]
    names = [name for name in names if name not in ("", "identity")]
    if len(names) > _LAYERS:  # each is as much work as the limit allows
        raise ValueError(f"the answer is compressed more than {_LAYERS} times over")
    for name in reversed(names):
        if not body:
            continue
        if name in ("gzip", "x-gzip"):
            body = _inflate(body, zlib.MAX_WBITS | 16, limit)
        elif name == "deflate":
            # By the standard with zlib's head, which many leave out
            wrapped = body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
            body = _inflate(body, zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS, limit)
        else:
            raise ValueError("the answer is compressed in a way that was not asked for")
    return body


def _inflate(body: bytes, window: int, limit: int) -> bytes:
    out = bytearray()
    for _ in range(_PARTS):
        if not body:
            return bytes(out)
        stream = zlib.decompressobj(window)
        try:
            out += stream.decompress(body, limit + 1 - len(out))
        except zlib.error:
            raise ValueError("the answer is not compressed as it says") from None
        if len(out) > limit:
            raise ValueError(f"the answer is larger than {limit >> 20} MiB")
        if not stream.eof:
            raise ValueError("the compressed answer ends in the middle")
        body = stream.unused_data if window > zlib.MAX_WBITS else b""  # gzip may have more parts
    if body:  # each part is a copy of the rest
        raise ValueError(f"the compressed answer is in more than {_PARTS} parts")
    return bytes(out)
