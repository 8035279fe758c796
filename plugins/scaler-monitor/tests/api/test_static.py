"""Static folders (D21, C50)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
import trio

from scaler_monitor.api import static
from scaler_monitor.settings import Config, StaticFolder
from scaler_monitor.site import Door

from .fakes import Asker, FakeCore, asking

BIG = bytes(range(256)) * 8192


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    served = tmp_path / "served"
    (served / "deep" / "er").mkdir(parents=True)
    (served / ".git").mkdir()
    (served / "a.txt").write_text("a file\n")
    (served / "disk.img").write_bytes(BIG)
    (served / "empty").touch()
    (served / "archive.tar.gz").write_bytes(b"\x1f\x8b")
    (served / "with space & ü.txt").write_text("odd")
    (served / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (served / "deep" / "er" / "b.json").write_text("{}")
    (served / "inner").symlink_to("deep/er/b.json")
    (served / "outer").symlink_to(tmp_path / "outside")
    (served / "outdir").symlink_to(tmp_path)
    (served / "loop").symlink_to("loop")
    os.mkfifo(served / "pipe")
    (tmp_path / "outside").write_text("the secret of the house")
    (tmp_path / "served-too").mkdir()
    (tmp_path / "served-too" / "x").write_text("the secret of the house")
    return served


def config(folder: Path) -> Config:
    return Config(
        static={
            "/image-deps": StaticFolder(path=folder),
            "/repos/x": StaticFolder(path=folder, dotfiles=True),
            "/gone": StaticFolder(path=folder / "gone"),
        }
    )


@pytest.fixture(params=[Door.PEOPLE, Door.GUESTS], ids=lambda door: door.value)
def ask(core: FakeCore, folder: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Asker:
    return asking(core, tmp_path, config(folder), request.param)


@pytest.mark.parametrize(
    ("path", "content", "kind"),
    [
        ("a.txt", b"a file\n", "text/plain; charset=utf-8"),
        ("disk.img", BIG, "application/octet-stream"),
        ("empty", b"", "application/octet-stream"),
        ("archive.tar.gz", b"\x1f\x8b", "application/octet-stream"),
        ("deep/er/b.json", b"{}", "application/json"),
        ("inner", b"{}", "application/octet-stream"),
        ("with%20space%20%26%20%C3%BC.txt", b"odd", "text/plain; charset=utf-8"),
        ("a.txt?service=git-upload-pack", b"a file\n", "text/plain; charset=utf-8"),
    ],
)
async def test_files(ask: Asker, path: str, content: bytes, kind: str) -> None:
    answer = await ask("GET", f"/image-deps/{path}")
    assert (answer.status, answer.body) == (200, content)
    assert answer.headers["Content-Type"] == kind
    assert answer.headers["Content-Length"] == str(len(content))
    assert answer.headers["Cache-Control"] == "no-cache"
    assert "Content-Encoding" not in answer.headers
    head = await ask("HEAD", f"/image-deps/{path}")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["ETag"] == answer.headers["ETag"]


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        ".",
        "..",
        "../outside",
        "..%2Foutside",
        "%2e%2e/outside",
        "%2e%2e%2foutside",
        "deep/../../outside",
        "deep/../a.txt",
        "deep//er/b.json",
        "/etc/passwd",
        "%2Fetc%2Fpasswd",
        "//etc/passwd",
        "..%5Coutside",
        "a.txt%00",
        "%00",
        "a.txt/",
        "a.txt/x",
        "deep",
        "deep/",
        "outer",
        "outdir/outside",
        "../served-too/x",
        "loop",
        "pipe",
        ".git/HEAD",
        "deep/.x",
        "x" * 300,
        "x/" * 2000,
        "%ff%fe",
        "nope",
    ],
    ids=range(32),
)
async def test_d21_nothing_else(ask: Asker, path: str) -> None:
    answer = await ask("GET", f"/image-deps/{path}")
    assert answer.status == 404
    assert b"secret" not in answer.body
    assert str(Path(__file__).root) + "tmp" not in answer.body.decode()


async def test_dotfiles_where_they_are_asked_for(ask: Asker) -> None:
    assert (await ask("GET", "/repos/x/.git/HEAD")).body == b"ref: refs/heads/main\n"
    for path in ("/repos/x/../outside", "/repos/x/.git/../a.txt", "/repos/x/."):
        assert (await ask("GET", path)).status == 404


async def test_a_folder_that_is_not_there(ask: Asker, folder: Path) -> None:
    assert (await ask("GET", "/gone/x")).status == 404
    (folder / "gone").mkdir()
    (folder / "gone" / "x").write_text("now")
    assert (await ask("GET", "/gone/x")).body == b"now"


async def test_d21_a_link_that_moves_away_between_looking_and_opening(
    ask: Asker, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open
    moved: list[Path] = []

    def swap(path: Path, flags: int) -> int:
        if not moved:
            moved.append(path)
            (folder / "deep" / "er" / "b.json").rename(tmp_path / "b.json")
            (folder / "deep" / "er").rmdir()
            (folder / "deep" / "er").symlink_to(tmp_path)
        return real(path, flags)

    monkeypatch.setattr(os, "open", swap)
    assert (await ask("GET", "/image-deps/deep/er/b.json")).status == 404
    assert moved


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_only_reading(ask: Asker, method: str) -> None:
    assert (await ask(method, "/image-deps/a.txt")).status == 405


@pytest.mark.parametrize(
    ("wanted", "status", "content"),
    [
        ("bytes=0-99", 206, BIG[:100]),
        ("bytes=100-", 206, BIG[100:]),
        ("bytes=-7", 206, BIG[-7:]),
        (f"bytes={len(BIG) - 1}-", 206, BIG[-1:]),
        (f"bytes=0-{10 * len(BIG)}", 206, BIG),
        (f"bytes=-{10 * len(BIG)}", 206, BIG),
        (f"bytes={len(BIG)}-", 416, None),
        ("bytes=5-2", 416, None),
        ("lines=1-2", 416, None),
        ("bytes=0-1,3-4", 416, None),
        ("bytes=\u0663-", 416, None),
        ("nonsense", 416, None),
    ],
    ids=range(12),
)
async def test_ranges(ask: Asker, wanted: str, status: int, content: bytes | None) -> None:
    before = len(os.listdir("/proc/self/fd"))
    raw = wanted.encode().decode("latin-1")
    answer = await ask("GET", "/image-deps/disk.img", headers={"Range": raw})
    assert answer.status == status
    assert len(os.listdir("/proc/self/fd")) == before
    if content is not None:
        assert answer.body == content
        start = BIG.index(content) if content != BIG[-1:] else len(BIG) - 1
        start = len(BIG) - len(content) if wanted.startswith("bytes=-") else start
        told = f"bytes {start}-{start + len(content) - 1}/{len(BIG)}"
        assert answer.headers["Content-Range"] == told


async def test_conditional(ask: Asker) -> None:
    seen: Mapping[str, str] = (await ask("GET", "/image-deps/a.txt")).headers
    for headers in (
        {"If-None-Match": seen["ETag"]},
        {"If-Modified-Since": seen["Last-Modified"]},
    ):
        answer = await ask("GET", "/image-deps/a.txt", headers=headers)
        assert (answer.status, answer.body) == (304, b"")
    other = {"Range": "bytes=0-0", "If-Range": '"other"'}
    assert (await ask("GET", "/image-deps/a.txt", headers=other)).body == b"a file\n"
    same = {"Range": "bytes=0-0", "If-Range": seen["ETag"]}
    assert (await ask("GET", "/image-deps/a.txt", headers=same)).body == b"a"


async def test_nothing_stays_open(ask: Asker) -> None:
    async def all_of_it() -> None:
        for headers in ({}, {"Range": "bytes=0-0"}, {"Range": "x"}, {"If-None-Match": "*"}):
            for path in ("a.txt", "disk.img", "deep", "outer", "pipe", "empty"):
                for method in ("GET", "HEAD"):
                    await ask(method, f"/image-deps/{path}", headers=headers)

    await all_of_it()
    before = len(os.listdir("/proc/self/fd"))
    await all_of_it()
    assert len(os.listdir("/proc/self/fd")) == before


async def test_c50_a_file_is_never_whole_in_memory(tmp_path: Path) -> None:
    """A chunk at a time, also of a file that has a gigabyte."""
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    opened = static._open(tmp_path, ("huge",))
    assert opened is not None
    body = static._Body(opened, trio.CapacityLimiter(1))
    async with body:
        sizes = [len(await anext(body)) for _ in range(5)]
    assert sizes == [static.CHUNK] * 5


async def test_a_file_that_becomes_shorter(ask: Asker, folder: Path) -> None:
    opened = static._open(folder, ("disk.img",))
    assert opened is not None
    async with static._Body(opened, trio.CapacityLimiter(1)) as body:
        await anext(body)
        (folder / "disk.img").write_bytes(b"")
        with pytest.raises(OSError, match="shorter"):
            await anext(body)
    del ask
