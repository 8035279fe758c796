"""What a disk that machines are to stand on really is. Blocks."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import libvirt

from scaler_libvirt.hosts import driver, volumes
from scaler_libvirt.hosts.base import BaseMissingError

if TYPE_CHECKING:
    from scaler_libvirt.hosts.base import Base

_FOLDERS = (libvirt.VIR_STORAGE_VOL_DIR, libvirt.VIR_STORAGE_VOL_NETDIR)
_QCOW2 = b"QFI\xfb"


@dataclass(frozen=True, kw_only=True)
class Disk:
    """What was seen of a disk.

    Attributes:
        path: Where it lies.
        size: What a guest sees, in bytes.
        holds: What its first bytes say; empty where they cannot be read.
    """

    path: str
    size: int
    holds: Literal["", "qcow2", "raw"]


def look(connection: driver.Connection, pool_name: str, base: Base) -> Disk | None:
    """Look at a disk through libvirt's storage; None where it lies in no pool, so nobody can.

    Raises:
        CannotBeMadeError: It is not there, or is nothing that machines can stand on.
    """
    path = base.path
    if "/" not in path:
        path = volumes.path_of(volumes.open_pool(connection, pool_name), base)
    try:
        volume = connection.storageVolLookupByPath(path)
    except driver.Error as error:
        if not volumes.is_gone(error):
            raise
        return None
    kind, size, _ = volume.info()
    if kind in _FOLDERS or not size:
        what = "a folder" if kind in _FOLDERS else "an empty file"
        raise BaseMissingError(
            f"{path} is no disk: found {what}: put a disk there, or name another in "
            "[profiles.X.libvirt]"
        )
    return Disk(path=path, size=int(size), holds=_holds(connection, volume))


def _holds(connection: driver.Connection, volume: volumes.Volume) -> Literal["", "qcow2", "raw"]:
    head = b""
    stream = connection.newStream()

    def take(_stream: object, data: bytes, _: object) -> int:
        nonlocal head
        head += data
        return 0

    try:
        volume.download(stream, 0, len(_QCOW2), 0)
        stream.recvAll(take, None)
        stream.finish()
    except libvirt.libvirtError:
        with suppress(driver.Error):
            stream.abort()
        return ""
    return "qcow2" if head == _QCOW2 else "raw"


def wrong(disk: Disk, base: Base) -> str:
    """What is wrong with the disk's name for what it holds; empty where nothing is."""
    if not disk.holds or disk.holds == base.format:
        return ""
    if disk.holds == "qcow2":
        return (
            f"{disk.path} is a qcow2 image, and is taken for a raw one by its name: "
            "name it so that it ends in .qcow2"
        )
    return (
        f"{disk.path} is no qcow2 image, as its name says: put the right one there, or name it so "
        "that it does not end in .qcow2"
    )
