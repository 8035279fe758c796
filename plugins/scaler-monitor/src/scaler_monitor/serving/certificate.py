"""What TLS shows, read again when its files change."""

from __future__ import annotations

import os
import re
import ssl
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path

    from scaler_monitor.settings import Tls

_REASON = re.compile(r"^\[[^]]*\] | \(_ssl\.c:[0-9]+\)$")  # what is around it
_OTHERS = stat.S_IRWXO | stat.S_IWGRP


Stamps: TypeAlias = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Loaded:
    """A certificate and its key as they were once.

    Attributes:
        tls: Their files.
        stamps: What these were like just before: what changes meanwhile is seen next time.
        context: What shows them.
    """

    tls: Tls
    stamps: Stamps
    context: ssl.SSLContext


class Certificate:
    """A certificate and its key.

    Args:
        tls: Their files.

    Raises:
        OSError: They cannot be used; the text says why.
    """

    def __init__(self, tls: Tls) -> None:
        self._shown = _loaded(tls)

    @property
    def context(self) -> ssl.SSLContext:
        """For whoever connects now."""
        return self._shown.context

    @classmethod
    def of(cls, tls: Tls | None) -> Certificate | None:
        """The same, or nothing where nothing is set."""
        return None if tls is None else cls(tls)

    def look(self, tls: Tls | None = None) -> Loaded | str:
        """Look at the files, and read them where they have changed, or are others. Blocks.

        Args:
            tls: The files; those that are shown where left out.

        Returns:
            What to `take`, or what is wrong with it.
        """
        shown = self._shown
        tls = tls or shown.tls
        if (tls.cert, tls.key) == (shown.tls.cert, shown.tls.key) and stamps(tls) == shown.stamps:
            return shown
        try:
            return _loaded(tls)
        except OSError as error:
            return f"{error}; the old one is still shown"

    def take(self, loaded: Loaded) -> None:
        """Show this to whoever connects from now on."""
        self._shown = loaded


def stamps(tls: Tls) -> Stamps:
    """What the files are like: others where they were written to, or have other rights.

    Blocks; never raises.
    """
    return tuple(map(_stamp, (tls.cert, tls.key)))


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        now = os.stat(path)
    except OSError:
        return ()
    rights = now.st_mode, now.st_uid, now.st_gid
    return now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, *rights


def _loaded(tls: Tls) -> Loaded:
    before = stamps(tls)
    return Loaded(tls, before, load(tls))


def load(tls: Tls) -> ssl.SSLContext:
    """What a server shows with these files: TLS 1.2 and newer, HTTP/1.1 and nothing else.

    Raises:
        OSError: They cannot be used; the text says why.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    _mode(tls.cert)
    mode = _mode(tls.key)
    if mode & _OTHERS:
        raise OSError(
            f"tls: {tls.key} can be read by all or changed by others than its owner "
            f"(mode {stat.S_IMODE(mode):04o}), wanted 0640 or 0600: chmod o=,g-w {tls.key}"
        )
    try:
        context.load_cert_chain(tls.cert, tls.key, password=lambda: b"")
    except ssl.SSLError as error:
        what = f"tls: {tls.cert} and {tls.key} are no certificate and its key"
        if "mismatch" in str(error).lower():
            raise OSError(f"{what}: they do not belong together") from None
        reason = _REASON.sub("", str(error))
        raise OSError(f"{what}: wanted PEM, the key not encrypted ({reason})") from None
    return context


def _mode(path: Path) -> int:
    """The mode of a file that can be read."""
    try:
        with open(path, "rb", opener=_at_once) as file:
            mode = os.fstat(file.fileno()).st_mode
    except OSError as error:
        raise OSError(f"tls: {path} cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(mode):
        raise OSError(f"tls: {path} is not a file")
    return mode


def _at_once(path: str, flags: int) -> int:
    """Open it without waiting for whoever writes into a pipe: a thread could wait for ever."""
    return os.open(path, flags | os.O_NONBLOCK)
