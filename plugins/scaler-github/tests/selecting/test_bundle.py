"""D9: zips that are none, or more than they seem. Whatever they are, the answer is a no."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import subprocess
import sys
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler import Refused
from scaler_github.selecting.bundle import check_digest, content

TEXT = b"unique_id=1\n"


def zipped(*entries: tuple[str | zipfile.ZipInfo, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as bundle:
        for name, data in entries:
            bundle.writestr(_info(name, how), data)
    return out.getvalue()


def _info(name: str | zipfile.ZipInfo, how: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name) if isinstance(name, str) else name
    info.compress_type = how
    return info


def linked() -> bytes:
    info = zipfile.ZipInfo("proof.txt")
    info.create_system = 3
    info.external_attr = 0o120777 << 16
    return zipped((info, b"/etc/passwd"))


def patched(archive: bytes, *, local: int, central: int, value: bytes) -> bytes:
    """Bytes changed in the entry's own head and in the list."""
    data = bytearray(archive)
    start = archive.index(b"PK\x01\x02")
    data[local : local + len(value)] = value
    data[start + central : start + central + len(value)] = value
    return bytes(data)


def encrypted() -> bytes:
    return patched(zipped(("a", TEXT)), local=6, central=8, value=b"\x01\x00")


def method(number: int) -> bytes:
    return patched(zipped(("a", TEXT)), local=8, central=10, value=struct.pack("<H", number))


def lying(size: int) -> bytes:
    """One that says it is of another size than it is, in the list and in its own head."""
    archive = zipped(("a", b"x" * 1000))
    return patched(archive, local=22, central=24, value=struct.pack("<I", size))


HUGE = 0xFFFFFFFF
PLAIN = (len(TEXT), len(TEXT))
SIZES64 = struct.pack("<HHQQ", 1, 16, *PLAIN)


def packed(
    *,
    sizes: tuple[int, int] = PLAIN,
    listed: tuple[int, int] = PLAIN,
    version: int = 20,
    flags: int = 0,
    method: int = 0,
    name: bytes = b"a",
    extra: bytes = b"",
    list_extra: bytes = b"",
    list_version: int = 20,
    list_flags: int = 0,
    data: bytes = TEXT,
    descriptor: bytes = b"",
    list_name: bytes = b"a",
) -> bytes:
    """A zip byte by byte: what a head and a list say, whatever this Python would have written."""
    how, sum_ = (method, 0, 0), zlib.crc32(TEXT)
    told = 0 if flags & 8 else sum_
    lengths = len(name), len(extra)
    head = struct.pack("<4s5H3L2H", b"PK\3\4", version, flags, *how, told, *sizes, *lengths)
    file = head + name + extra + data + descriptor
    entry = struct.pack("<4s6H", b"PK\1\2", 0x032D, list_version, list_flags, *how)
    lengths = len(list_name), len(list_extra)
    entry += struct.pack("<3L5H2L", sum_, *listed, *lengths, 0, 0, 0, 0o100644 << 16, 0)
    entry += list_name + list_extra
    return file + entry + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(entry), len(file), 0)


def streamed(method: int, name: str) -> bytes:
    """As actions/upload-artifact writes it: sums and sizes stand behind the data, not before."""
    deflate = zlib.compressobj(6, wbits=-15)
    data = deflate.compress(TEXT) + deflate.flush() if method else TEXT
    sizes = len(data), len(TEXT)
    return packed(
        sizes=(0, 0),
        listed=sizes,
        flags=0x0808,
        list_flags=0x0808,
        method=method,
        name=name.encode(),
        list_name=name.encode(),
        data=data,
        descriptor=struct.pack("<4s3L", b"PK\7\x08", zlib.crc32(TEXT), *sizes),
    )


def with_locator() -> bytes:
    archive = zipped(("a", TEXT))
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, 0, 1)
    return archive[:-22] + locator + archive[-22:]


def commented() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as bundle:
        bundle.writestr("a", TEXT)
        bundle.comment = b"hello"
    return out.getvalue()


BOMB = 50 * 1024 * 1024
HOSTILE: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "text": lambda: TEXT,
    "gzip": lambda: zlib.compress(TEXT, wbits=31),
    "zip without entries": lambda: b"PK\x05\x06" + bytes(18),
    "bomb": lambda: zipped(("a", bytes(BOMB))),
    "two entries": lambda: zipped(("a", TEXT), ("b", TEXT)),
    "many entries": lambda: zipped(*((f"{n}", b"") for n in range(300))),
    "encrypted": encrypted,
    "zip64": lambda: packed(
        sizes=(HUGE, HUGE),
        listed=(HUGE, HUGE),
        version=45,
        list_version=45,
        extra=SIZES64,
        list_extra=SIZES64,
    ),
    "zip64 in its head alone": lambda: packed(version=45, extra=SIZES64),
    "zip64's sizes in its head": lambda: packed(extra=SIZES64),
    "zip64's sizes behind others": lambda: packed(extra=b"UT\x01\x00\x00" + SIZES64),
    "zip64's sizes in its list": lambda: packed(list_extra=SIZES64),
    "a later version in its head": lambda: packed(version=45),
    "a later version in its list": lambda: packed(list_version=45),
    "zip64's locator": with_locator,
    "encrypted in its head alone": lambda: packed(flags=1),
    "encrypted in its list alone": lambda: packed(list_flags=1),
    "another method in its head": lambda: packed()[:8] + b"\x08" + packed()[9:],
    "another name in its head": lambda: packed(name=b"b"),
    "a longer name in its head": lambda: packed(name=b"aa"),
    "link": linked,
    "folder": lambda: zipped(("a/", b"")),
    "bzip2": lambda: zipped(("a", TEXT), how=zipfile.ZIP_BZIP2),
    "lzma": lambda: zipped(("a", TEXT), how=zipfile.ZIP_LZMA),
    "unknown method": lambda: method(99),
    "says it is smaller": lambda: lying(10),
    "says it is larger": lambda: lying(2000),
    "says it is huge": lambda: lying(0xFFFFFFFF),
    "something before": lambda: b"#!/bin/sh\n" + zipped(("a", TEXT)),
    "something after": lambda: zipped(("a", TEXT)) + b"\n",
    "comment": commented,
    "twice": lambda: zipped(("a", TEXT)) * 2,
    "truncated": lambda: zipped(("a", os.urandom(500)))[:-30],
    "only its end": lambda: zipped(("a", TEXT))[-22:],
    "other sums": lambda: patched(
        zipped(("a", TEXT)), local=14, central=16, value=b"\x01\x02\x03\x04"
    ),
    "too large": lambda: zipped(("a", os.urandom(4097))),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_d9_hostile_zips(name: str) -> None:
    with pytest.raises(Refused) as caught:
        content(HOSTILE[name]())
    assert caught.value.code in {"artifact-unreadable", "artifact-too-large"}


@pytest.mark.parametrize(
    "name", ["proof.txt", "../../etc/passwd", "/etc/passwd", "C:\\x", "a\x00b", "ä", "x" * 5000]
)
@pytest.mark.parametrize("how", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_d9_names_do_not_matter(name: str, how: int) -> None:
    assert content(zipped((name, TEXT), how=how)) == TEXT


def test_d9_the_largest_that_is_read() -> None:
    data = os.urandom(4096)
    assert content(zipped(("a", data))) == data


def test_d9_one_that_is_plain_from_end_to_end() -> None:
    """The others packed by hand are refused for what they say, not for how they are made."""
    assert content(packed()) == TEXT
    assert content(packed(extra=b"UT\x05\x00\x01abcd")) == TEXT


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("name", ["proof.txt", "ä/proof.txt"])
def test_d9_one_that_was_streamed_as_the_upload_action_does(method: int, name: str) -> None:
    archive = streamed(method, name)
    assert zipfile.ZipFile(io.BytesIO(archive)).namelist() == [name]
    assert content(archive) == TEXT


def test_d9_a_bomb_is_not_inflated() -> None:
    """Also one that says it is small."""
    bombs = [zipped(("a", bytes(BOMB)))]
    bombs.append(patched(bombs[0], local=22, central=24, value=struct.pack("<I", 4096)))
    assert all(len(bomb) < 64 << 10 for bomb in bombs)
    for bomb in bombs:
        tracemalloc.start()
        with pytest.raises(Refused):
            content(bomb)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1 << 20


def test_d9_a_bomb_leaves_no_trace_in_the_process() -> None:
    """What zlib itself takes is not seen from inside."""
    script = f"""
import io, resource, struct, zipfile
from scaler import Refused
from scaler_github.selecting.bundle import content
def bomb(out):
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as bundle:
        with bundle.open("a", "w") as file:
            for _ in range({BOMB >> 20}):
                file.write(bytes(1 << 20))
    return out.getvalue()
whole = bomb(io.BytesIO())
small = bytearray(whole)
at = whole.index(b"PK\\x01\\x02")
small[22:26] = small[at + 24:at + 28] = struct.pack("<I", 4096)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for each in (whole, bytes(small)) * 20:
    try:
        content(each)
    except Refused:
        continue
    raise SystemExit("not refused")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    ran = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60
    )
    assert int(ran.stdout) < 4 << 10  # KiB


@given(st.binary(max_size=300))
def test_d9_any_bytes(data: bytes) -> None:
    with pytest.raises(Refused):
        content(data)


@given(st.data())
def test_d9_a_good_one_with_bytes_changed(data: st.DataObject) -> None:
    """It is the file, or a no, and never anything else."""
    archive = bytearray(zipped(("a", TEXT)))
    for _ in range(data.draw(st.integers(1, 4))):
        archive[data.draw(st.integers(0, len(archive) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = content(bytes(archive))
    except Refused as error:
        found = error.code.encode()
    assert found in {TEXT, b"artifact-unreadable", b"artifact-too-large"}


@pytest.mark.parametrize(
    ("digest", "good"),
    [
        (None, True),
        (f"sha256:{hashlib.sha256(TEXT).hexdigest()}", True),
        (f"sha256:{hashlib.sha256(TEXT).hexdigest().upper()}", True),
        (f"sha256:{hashlib.sha256(b'').hexdigest()}", False),
        (f"sha512:{hashlib.sha512(TEXT).hexdigest()}", False),
        (hashlib.sha256(TEXT).hexdigest(), False),
        ("", False),
        ("sha256:", False),
        ("sha256:\u0663", False),
    ],
    ids=range(9),
)
def test_d9_digests(digest: str | None, good: bool) -> None:
    if good:
        check_digest(TEXT, digest)
        return
    with pytest.raises(Refused) as caught:
        check_digest(TEXT, digest)
    assert caught.value.code == "artifact-digest"
