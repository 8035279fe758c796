"""What people want of the images: files in the plugin's folder, so that they also wait for a start.

All of it blocks, and belongs into a thread. A wish is a file that appears whole; it stays until it
was carried out and that is written down. Whatever else lies there is none.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from pathlib import Path

Action = Literal["rebuild", "back"]

LARGEST = 4096  # bytes of a wish
MOST = 100  # wishes that are looked at in one go
OLD = 600.0  # seconds after which nobody waits for an answer any more

_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_NAME = re.compile(r"[0-9a-f]{32}\.json", re.ASCII)
_KEYS = frozenset({"id", "action", "profile", "host"})


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What somebody wants.

    Attributes:
        id: Names it: carried out once, however often it is read.
        host: On which host; empty: on every one.
    """

    id: str
    action: Action
    profile: str
    host: str = ""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of it, in words, and whether that is what was wanted."""

    ok: bool
    lines: tuple[str, ...]


class NoWishError(ValueError):
    """A file is no wish; the text says why."""


class Held:
    """An open file. It closes with the last who knows it: a thread may not be waited for."""

    def __init__(self, file: int) -> None:
        self._file: int | None = file

    def close(self) -> None:
        """Close it; a second time is well."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def __del__(self) -> None:
        self.close()


class Box:
    """The folder that the command and the service share.

    Args:
        folder: It may not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._wishes = folder / "requests"
        self._answers = folder / "answers"
        self._status = folder / "status.json"
        self._lock = folder / "lock"
        self._told: set[tuple[str, int, int]] = set()  # what is no wish, and was told

    def make(self) -> None:
        """Make the folders, each for its owner alone.

        Raises:
            OSError: They cannot be made.
        """
        for folder in (self._folder, self._wishes, self._answers):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    # -- the service's side

    def serve(self) -> Held:
        """Be known as the one who reads it, until what this answers is closed, or forgotten.

        Raises:
            OSError: Another does already, or the folder cannot be used.
        """
        lock = os.open(self._lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            os.close(lock)
            raise
        return Held(lock)

    def wishes(self) -> tuple[list[Wish], list[str]]:
        """What is wanted, the oldest first; and what to say of files that are no wishes, once.

        Raises:
            OSError: The folder cannot be read.
        """
        found: list[tuple[int, Wish]] = []
        troubles: list[str] = []
        for entry in self._entries():
            key = (entry.name, entry.inode(), 0)
            try:
                about = entry.stat(follow_symlinks=False)
                key = (entry.name, about.st_ino, about.st_mtime_ns)
                if key in self._told:
                    continue
                found.append((about.st_mtime_ns, _read(entry)))
            except FileNotFoundError:
                continue
            except (OSError, NoWishError) as error:
                why = error.strerror if isinstance(error, OSError) else error
                troubles.append(f"{entry.path} is no request, and is left alone: {why}")
                if len(self._told) >= MOST:
                    self._told.clear()
                self._told.add(key)
        found.sort(key=lambda each: (each[0], each[1].id))
        return [wish for _, wish in found], troubles

    def _entries(self) -> list[os.DirEntry[str]]:
        """What lies there, but not without end, and what is named like a wish first."""
        with os.scandir(self._wishes) as entries:
            found = [each for each in islice(entries, MOST**2) if not each.name.startswith(".")]
        found.sort(key=lambda entry: not _NAME.fullmatch(entry.name))
        return found[:MOST]

    def done(self, wish: Wish, answer: Answer) -> None:
        """It was carried out, or never can be: answer it, and take it away.

        Raises:
            OSError: That cannot be done; it is read again then.
        """
        with suppress(OSError):  # the answer is for who still waits
            _write(self._answers / f"{wish.id}.json", asdict(answer))
        (self._wishes / f"{wish.id}.json").unlink(missing_ok=True)

    def clear(self) -> None:
        """Take away what nobody waits for any more."""
        now = time.time()
        for folder in (self._answers, self._wishes):
            with suppress(OSError), os.scandir(folder) as entries:
                for entry in list(entries):
                    waits = folder == self._wishes and not entry.name.startswith(".")
                    with suppress(OSError):
                        if not waits and now - entry.stat(follow_symlinks=False).st_mtime > OLD:
                            os.unlink(entry.path)

    def show(self, status: Any) -> None:
        """Say how everything is.

        Raises:
            OSError: It cannot be written.
        """
        _write(self._status, status)

    # -- the command's side

    def served(self) -> bool:
        """Whether a scaler runs that reads it."""
        try:
            lock = os.open(self._lock, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            return False
        finally:
            os.close(lock)

    def put(self, wish: Wish) -> None:
        """Want something.

        Raises:
            OSError: It cannot be written.
        """
        _write(self._wishes / f"{wish.id}.json", asdict(wish), durable=True)

    def answer(self, wish: Wish) -> Answer | None:
        """The answer, once it is there; it is taken away."""
        path = self._answers / f"{wish.id}.json"
        try:
            raw = json.loads(_content(path, LARGEST * 16))
            answer = Answer(ok=bool(raw["ok"]), lines=tuple(map(str, raw["lines"])))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        with suppress(OSError):
            path.unlink()
        return answer

    def status(self) -> Any:
        """How everything was when that changed last; None where it was never written.

        Raises:
            OSError: It cannot be read.
            ValueError: It is damaged.
        """
        try:
            return json.loads(_content(self._status, 16 << 20))
        except FileNotFoundError:
            return None
        except RecursionError:
            raise ValueError("it is nested too deeply") from None


def parse(content: bytes) -> Wish:
    """Read a wish, strictly.

    Raises:
        NoWishError: It is none.
    """
    try:
        raw = json.loads(content)
    except (ValueError, RecursionError):
        raise NoWishError("it is not JSON") from None
    if not isinstance(raw, dict) or raw.keys() != _KEYS:
        raise NoWishError(f"wanted an object with {', '.join(sorted(_KEYS))}")
    for name, value in raw.items():
        if not isinstance(value, str) or len(value) > 255:
            raise NoWishError(f"{name}: wanted a short text")
    if not _ID.fullmatch(raw["id"]):
        raise NoWishError("id: wanted 32 hex digits")
    if raw["action"] not in get_args(Action):
        raise NoWishError(f"action: wanted {' or '.join(get_args(Action))}")
    return Wish(**raw)


def _read(entry: os.DirEntry[str]) -> Wish:
    wish = parse(_content(entry.path, LARGEST))
    if entry.name != f"{wish.id}.json":
        raise NoWishError("its name is not its id")
    return wish


def _content(path: str | Path, most: int) -> bytes:
    """What is in a file; a pipe, a device or a link would be somebody's trap."""
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        about = os.fstat(file)
        if not stat.S_ISREG(about.st_mode):
            raise NoWishError("it is not a file")
        if about.st_size > most:
            raise NoWishError(f"it has more than {most} bytes")
        return os.read(file, most + 1)
    finally:
        os.close(file)


def _write(path: Path, value: Any, *, durable: bool = False) -> None:
    """Write it whole or not at all, for whom the folder belongs to."""
    owner = path.parent.stat()
    passing = path.with_name(f".{path.name}.{os.getpid()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(passing, flags, 0o600), "w", encoding="utf-8") as file:
            json.dump(value, file)
            if os.geteuid() == 0:  # root asks a scaler that is not
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(passing, path)
    except BaseException:
        with suppress(OSError):
            passing.unlink()
        raise
