"""What TLS shows, read again when its files change."""

from __future__ import annotations

import os
import re
import ssl
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from scaler_monitor.settings import Tls

_REASON = re.compile(r"^\[[^]]*\] | \(_ssl\.c:[0-9]+\)$")  # what is around it
_OTHERS = stat.S_IRWXO | stat.S_IWGRP


class Certificate:
    """A certificate and its key.

    Attributes:
        context: For whoever connects now.

    Args:
        tls: Their files.

    Raises:
        OSError: They cannot be used; the text says why.
    """

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        self._seen = self._stamps()
        self.context = load(tls)

    @classmethod
    def of(cls, tls: Tls | None) -> Certificate | None:
        """The same, or nothing where nothing is set."""
        return None if tls is None else cls(tls)

    def renew(self) -> str:
        """Look at the files, and use them if they have changed; the old ones stay if that fails.

        Returns:
            What is wrong with the new ones, or nothing.
        """
        stamps = self._stamps()
        if stamps == self._seen:
            return ""
        try:
            self.context = load(self._tls)
        except OSError as error:
            return f"{error}; the old one is still shown"
        self._seen = stamps  # of before it was read: what changes meanwhile is seen next time
        return ""

    def _stamps(self) -> list[tuple[int, ...]]:
        found: list[tuple[int, ...]] = []
        for path in (self._tls.cert, self._tls.key):
            try:
                now = os.stat(path)
            except OSError:
                found.append(())
            else:
                found.append((now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns))
        return found


def load(tls: Tls) -> ssl.SSLContext:
    """What a server shows with these files: TLS 1.2 and newer, HTTP/1.1 and nothing else.

    Raises:
        OSError: They cannot be used; the text says why.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    for path in (tls.cert, tls.key):
        _check_readable(path)
    mode = os.stat(tls.key).st_mode
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


def _check_readable(path: Path) -> None:
    try:
        with open(path, "rb"):
            return
    except OSError as error:
        raise OSError(f"tls: {path} cannot be read: {error.strerror}") from None
