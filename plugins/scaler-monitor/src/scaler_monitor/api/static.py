"""Folders whose files anybody may fetch: what guests need before they have anything else.

A path from outside never reaches the file system as it is: it is split, every part is looked at,
and what was opened must really lie in the folder.
"""

from __future__ import annotations

import hashlib
import mimetypes
import os
import stat
import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio
from quart import Blueprint, Response, request
from quart.wrappers.response import ResponseBody

from scaler_monitor.errors import Failure

if TYPE_CHECKING:
    from typing import Self

    from scaler_monitor.site import Site

THREADS = 8  # that read files at once
CHUNK = 256 << 10  # bytes that are read, and kept for each request, at once
PATIENCE = 10.0  # seconds that opening, or a chunk, may take: a file server may never answer
AGAIN = 5.0  # seconds after which to ask again, where it took longer


def routes(site: Site) -> Blueprint:
    """A route for each folder of the settings."""
    blueprint = Blueprint("static", __name__)
    limiter = trio.CapacityLimiter(THREADS)

    for number, (prefix, folder) in enumerate(site.config.static.items()):

        async def serve(path: str, folder: Any = folder) -> Response:
            name = inside(path, dotfiles=folder.dotfiles)
            opening = partial(_open, folder.path, name)
            try:
                with trio.fail_after(PATIENCE):
                    opened = await trio.to_thread.run_sync(
                        opening, abandon_on_cancel=True, limiter=limiter
                    )
            except trio.TooSlowError:
                text = "the file cannot be read now"
                raise Failure(503, "not-ready", text, retry_after=AGAIN) from None
            if opened is None:
                raise _missing()
            return await _response(opened, limiter)

        blueprint.add_url_rule(
            f"{prefix}/<path:path>", endpoint=f"folder{number}", view_func=serve, methods=["GET"]
        )
    return blueprint


def inside(path: str, *, dotfiles: bool) -> tuple[str, ...]:
    """The parts of a path, each of them the plain name of something in its folder.

    Raises:
        Failure: 404: one is not, or is hidden.
    """
    parts = tuple(path.split("/"))
    for part in parts:
        if part in ("", ".", "..") or "\0" in part or "\\" in part:
            raise _missing()
        if part.startswith(".") and not dotfiles:
            raise _missing()
    return parts


class _File:
    """An open file. A thread that is given up may be reading it: then that one closes it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._used = threading.Lock()
        self._over = False

    def read(self, size: int, at: int) -> bytes:
        """So many bytes from there on. Blocks."""
        try:
            with self._used:
                if self._descriptor < 0:
                    raise OSError("the file is closed already")
                return os.pread(self._descriptor, size, at)
        finally:
            if self._over:
                self.close()

    def close(self) -> None:
        """Let go of it, now or once it is read no longer; waits for nobody."""
        self._over = True
        if self._used.acquire(blocking=False):
            try:
                descriptor, self._descriptor = self._descriptor, -1
                if descriptor >= 0:
                    os.close(descriptor)
            finally:
                self._used.release()

    def __del__(self) -> None:
        self.close()  # an answer that was never sent, or whom nobody waits for any more


@dataclass
class _Opened:
    """A file that is open, and what is told of it."""

    file: _File
    name: str
    size: int
    changed: float
    etag: str


class _Body(ResponseBody):
    """A file's bytes, read by threads, a chunk at a time: no more of it is ever in memory."""

    def __init__(self, opened: _Opened, limiter: trio.CapacityLimiter) -> None:
        self._file = opened.file
        self._size = opened.size
        self._limiter = limiter
        self.begin = 0
        self.end = opened.size

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def __aiter__(self) -> _Body:
        return self

    async def __anext__(self) -> bytes:
        wanted = min(CHUNK, self.end - self.begin)
        if wanted <= 0:
            raise StopAsyncIteration
        reading = partial(self._file.read, wanted, self.begin)
        try:
            with trio.fail_after(PATIENCE):
                chunk = await trio.to_thread.run_sync(
                    reading, abandon_on_cancel=True, limiter=self._limiter
                )
        except trio.TooSlowError:
            raise OSError(f"a file could not be read within {PATIENCE:g} s") from None
        if not chunk:  # it became shorter: what was promised cannot be sent
            raise OSError("a file became shorter while it was sent")
        self.begin += len(chunk)
        return chunk

    async def make_conditional(self, begin: int, end: int | None) -> int:
        """Send a part of it alone; answer the size of the whole."""
        first = max(0, self._size + begin) if begin < 0 else begin
        last = self._size if end is None else min(end, self._size)
        if first >= last:
            raise Failure(416, "range-not-satisfiable", f"the file has {self._size} bytes")
        self.begin, self.end = first, last
        return self._size

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def _open(folder: Path, name: tuple[str, ...]) -> _Opened | None:
    """Open a file of the folder; None where there is none. Blocks."""
    with suppress(OSError, ValueError, RuntimeError):  # the last: links that go round
        root = folder.resolve(strict=True)
        path = root.joinpath(*name).resolve(strict=True)
        if not path.is_relative_to(root):
            return None
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            found = os.fstat(descriptor)
            real = Path(os.readlink(f"/proc/self/fd/{descriptor}"))  # whatever moved meanwhile
            if stat.S_ISREG(found.st_mode) and real.is_relative_to(root):
                kept, descriptor = descriptor, -1
                seen = f"{found.st_ino}-{found.st_size}-{found.st_mtime_ns}"
                etag = hashlib.sha256(seen.encode()).hexdigest()[:32]
                return _Opened(_File(kept), name[-1], found.st_size, found.st_mtime, etag)
        finally:
            if descriptor >= 0:
                os.close(descriptor)
    return None


async def _response(opened: _Opened, limiter: trio.CapacityLimiter) -> Response:
    body = _Body(opened, limiter)
    kind, encoding = mimetypes.guess_type(opened.name)
    response = Response(body, mimetype="application/octet-stream" if encoding or not kind else kind)
    response.timeout = None  # a large file takes as long as it takes
    response.content_length = opened.size
    response.set_etag(opened.etag)
    response.last_modified = datetime.fromtimestamp(int(opened.changed), UTC)
    response.headers["Accept-Ranges"] = "bytes"
    response.headers["Cache-Control"] = "no-cache"
    try:
        await response.make_conditional(request, accept_ranges=True, complete_length=opened.size)
    except BaseException:
        body.close()
        raise
    if request.method == "HEAD" or response.status_code == 304:
        length = response.content_length
        body.close()
        response.set_data(b"")
        response.content_length = length
    return response


def _missing() -> Failure:
    return Failure(404, "not-found", "there is no such file")
