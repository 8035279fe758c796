"""The asking side of the control socket: plain blocking calls, for programs that start quickly."""

from __future__ import annotations

import json
import socket
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from scaler import __version__
from scaler.control.place import address
from scaler.control.probe import Found, look, owner

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from pathlib import Path

MOST = 256 << 20  # bytes of one answer
RETRY = 0.02  # seconds until the next try to connect, where too many wait to be let in
SILENT = 60.0  # seconds after which a scaler that was watched has hung: it speaks more often


class ControlError(Exception):
    """Scaler, or the way to it, refused what was asked.

    Attributes:
        code: A word for programs: one of the protocol's, or `timeout` (it did not answer in time),
            `closed` (it ended before it did) or `malformed` (what answers is no scaler).
        text: What was found, for people.
        fix: How to mend it; may be empty.
        problems: Each thing that is wrong, where there are several.
        version: The running scaler's version; empty where it did not tell.
    """

    def __init__(
        self,
        code: str,
        text: str,
        fix: str = "",
        problems: Sequence[str] = (),
        version: str = "",
    ) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.fix = fix
        self.problems = tuple(problems)
        self.version = version


class NotRunning(Exception):
    """Nobody answers at this state folder.

    Attributes:
        folder: The state folder.
        state: `absent` (there is no such folder, or nothing of scaler's in it), `stopped`, `died`
            (the last one left its socket behind), `starting` (one has the folder, and has no
            socket yet) or `deaf` (one has it for long, and has no socket).
        pid: The process that has the folder, or had it last; None where that is not known.
        text: All of that, for people.
    """

    def __init__(self, folder: Path, found: Found) -> None:
        super().__init__(found.text)
        self.folder = folder
        self.state = found.state
        self.pid = found.pid
        self.text = found.text


class NotAllowed(Exception):
    """This user may not use the socket.

    Attributes:
        folder: The state folder.
        owner: The name of the user that may; empty where that cannot be seen.
        text: All of that, for people.
    """

    def __init__(self, folder: Path, owner: str) -> None:
        self.folder = folder
        self.owner = owner
        self.text = f"this user has no right to state_dir {folder}"
        if owner:
            self.text += f": it is user {owner}'s"
        super().__init__(self.text)


def ask(folder: Path, request: Mapping[str, Any], *, timeout: float) -> dict[str, Any]:
    """Ask the scaler of this state folder one thing; its `result`.

    Args:
        folder: `state_dir`.
        request: `{"command": …}` and what belongs to it.
        timeout: Seconds for all of it.

    Raises:
        ControlError: It refused, or did not answer.
        NotRunning: Nobody answers there.
        NotAllowed: This user may not ask.
    """
    deadline = time.monotonic() + timeout
    with _connected(folder, request, deadline, timeout) as lines:
        return _result(lines.next(deadline, timeout))


def watch(
    folder: Path, request: Mapping[str, Any], *, timeout: float
) -> Generator[dict[str, Any], None, None]:
    """Ask for something that is answered again and again, such as a status that is watched.

    Ends only by an error, or by being closed.

    Args:
        folder: `state_dir`.
        request: `{"command": "status", "watch": true}`.
        timeout: Seconds for the first answer.

    Raises:
        ControlError: It refused, stopped or hangs.
        NotRunning: Nobody answers there.
        NotAllowed: This user may not ask.
    """
    deadline = time.monotonic() + timeout
    with _connected(folder, request, deadline, timeout) as lines:
        yield _result(lines.next(deadline, timeout))
        while True:
            wait = max(timeout, SILENT)
            yield _result(lines.next(time.monotonic() + wait, wait))


class _Lines:
    """What comes from a socket, line by line."""

    def __init__(self, stream: socket.socket) -> None:
        self._stream = stream
        self._buffer = bytearray()

    def next(self, deadline: float, timeout: float) -> bytes:
        """The next line."""
        seen = 0
        while (end := self._buffer.find(b"\n", seen)) < 0:
            seen = len(self._buffer)
            if seen > MOST:
                raise ControlError("malformed", f"the answer is longer than {MOST} bytes")
            self._stream.settimeout(_left(deadline, timeout))
            try:
                data = self._stream.recv(1 << 18)
            except TimeoutError:
                raise _late(timeout) from None
            except OSError as error:
                raise _closed() from error
            if not data:
                raise _closed()
            self._buffer += data
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line


@contextmanager
def _connected(
    folder: Path, request: Mapping[str, Any], deadline: float, timeout: float
) -> Iterator[_Lines]:
    """Connect and send the request."""
    line = json.dumps({"version": __version__, **request}).encode() + b"\n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as stream:
        try:
            with address(folder) as path:
                _connect(stream, path, deadline, timeout)
        except PermissionError as error:
            raise NotAllowed(folder, owner(folder)) from error
        except OSError as error:
            raise NotRunning(folder, look(folder)) from error
        try:
            stream.sendall(line)
        except TimeoutError:
            raise _late(timeout) from None
        except OSError:
            pass  # it may have answered before it closed, such as that too many ask
        yield _Lines(stream)


def _connect(stream: socket.socket, path: str, deadline: float, timeout: float) -> None:
    """Connect; where too many wait to be let in, wait until there is a place."""
    while True:
        stream.settimeout(_left(deadline, timeout))
        try:
            stream.connect(path)
        except BlockingIOError:
            time.sleep(RETRY)
        except TimeoutError:
            raise _late(timeout) from None
        else:
            return


def _left(deadline: float, timeout: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise _late(timeout)
    return left


def _late(timeout: float) -> ControlError:
    return ControlError(
        "timeout",
        f"scaler did not answer within {timeout:g} s",
        "look at its log: it hangs, or the machine is overloaded",
    )


def _closed() -> ControlError:
    return ControlError(
        "closed", "scaler ended before it answered", "ask again: it may be starting anew"
    )


def _result(line: bytes) -> dict[str, Any]:
    """The result in an answer."""
    try:
        answer = json.loads(line)
        if answer["ok"]:
            result = answer["result"]
            if not isinstance(result, dict):
                raise TypeError
            return result
        error = answer["error"]
        raise ControlError(
            str(error["code"]),
            str(error["text"]),
            str(error.get("fix", "")),
            [str(each) for each in error.get("problems", ())],
            str(answer.get("version", "")),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ControlError("malformed", "what answered at the socket is no scaler") from None
