"""A pool's volumes: plain functions that block, for worker threads.

Everything goes through libvirt's storage API, so that a host far away needs no disk in common with
this one. Formats are always named and never probed: a guest could write a header that lies.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

import libvirt

from scaler_libvirt.hosts import driver
from scaler_libvirt.hosts.base import BaseMissingError, PoolTroubleError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scaler_libvirt.hosts.base import Base

Pool: TypeAlias = Any  # libvirt-python ships no types
Volume: TypeAlias = Any

ASSUMED = 1 << 20  # bytes of a disk that libvirt's test driver, which looks at no base, is told of

_PIECE = 256 << 10
_EXISTS = ("already exists", "exists already", "already in use")
_BASE_MISSING = (
    "inaccessible backing store",
    "could not open",
    "failed to get shared",
    "no such file or directory",
)
# virtlogd begins a new file when one is full, and keeps the old ones beside it under such names
_ROTATED = re.compile(r"(.+\.log)\.[0-9]{1,3}", re.ASCII)
_BUSY = "asynchronous jobs"


class NoPoolError(PoolTroubleError):
    """There is no pool of that name."""


def open_pool(connection: driver.Connection, name: str) -> Pool:
    """A pool by its name.

    Raises:
        NoPoolError: There is none.
        PoolTroubleError: It is not active.
    """
    try:
        pool = connection.storagePoolLookupByName(name)
    except driver.Error as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_STORAGE_POOL:
            raise
        raise NoPoolError(
            f"there is no storage pool {name!r}: make one (virsh pool-define-as), or name another "
            "as pool in [plugins.libvirt] hosts"
        ) from error
    if not pool.isActive():
        raise PoolTroubleError(f"storage pool {name!r} is not active: virsh pool-start {name}")
    return pool


def space(pool: Pool) -> tuple[int, int]:
    """How many bytes it has in all, and how many are left, as libvirt last looked."""
    _, size, _, left = pool.info()
    return int(size), int(left)


def capacity_of(connection: driver.Connection, path: str) -> int | None:
    """How large a guest sees the disk at a path; None where it lies in no pool."""
    try:
        return int(connection.storageVolLookupByPath(path).info()[1])
    except driver.Error as error:
        if is_gone(error):
            return None
        raise


def is_there(connection: driver.Connection, base: Base) -> None:
    """See whether a base can be one, as far as libvirt's storage tells.

    Raises:
        BaseMissingError: It lies in a pool of the hypervisor, and is not there.
    """
    if is_test_driver(connection) or capacity_of(connection, base.path) is not None:
        return
    folder = base.path.rpartition("/")[0]
    try:
        pool = connection.storagePoolLookupByTargetPath(folder or "/")
        if not pool.isActive():
            return
        refresh(pool)
    except driver.Error as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_STORAGE_POOL:
            raise
        return  # where no pool is, nobody can look: the first machine shows it
    if capacity_of(connection, base.path) is None:
        raise BaseMissingError(
            f"the base {base.path} is not there: put it on the hypervisor, or name another in "
            "[profiles.X.libvirt]"
        )


def names(pool: Pool) -> list[str]:
    """What its volumes are called, as libvirt knows them."""
    return [str(volume.name()) for volume in pool.listAllVolumes()]


def find(pool: Pool, name: str) -> Volume | None:
    """A volume; where libvirt knows none, the pool is read anew and asked once more."""
    found = _look_up(pool, name)
    if found is None:
        refresh(pool)
        found = _look_up(pool, name)
    return found


def refresh(pool: Pool) -> None:
    """Have libvirt read the pool anew; where a volume is being copied it cannot, and does not."""
    try:
        pool.refresh()
    except driver.Error as error:
        if _BUSY not in str(error):
            raise


def path_of(pool: Pool, base: Base) -> str:
    """Where a base lies on the hypervisor.

    Raises:
        BaseMissingError: It names a volume that the pool does not have.
    """
    if "/" in base.path:
        return base.path
    volume = find(pool, base.path)
    if volume is None:
        raise BaseMissingError(
            f"{base.path!r} is no volume of pool {pool.name()!r}: "
            "put it there (virsh vol-upload), or give the path of a disk on the hypervisor"
        )
    return str(volume.path())


def create_overlay(pool: Pool, name: str, base: Base, size: int = 0) -> str:
    """A disk whose content is the base's until something is written; its path.

    Args:
        pool: Where it is made.
        name: What it is called.
        base: With its path on the hypervisor.
        size: In bytes; as large as the base where 0.

    Raises:
        BaseMissingError: The base is not there, or libvirt cannot read it.
        NoSpaceError: The pool is full.
    """
    if not size and is_test_driver(pool.connect()):
        size = ASSUMED
    element = _element(name, "qcow2", size)
    backing = ET.SubElement(element, "backingStore")
    ET.SubElement(backing, "path").text = base.path
    ET.SubElement(backing, "format", type=base.format)
    try:
        return str(_create(pool, element).path())
    except driver.Error as error:
        if any(phrase in str(error).lower() for phrase in _BASE_MISSING):
            raise BaseMissingError(f"the base {base.path} cannot be used: {error}") from error
        raise


def create_log(pool: Pool, name: str) -> str:
    """An empty file for a machine's serial line; its path."""
    return str(_create(pool, _element(name, "raw", 0)).path())


def create_filled(pool: Pool, name: str, content: bytes) -> str:
    """A small raw volume with this content; its path. Part of one is never left behind.

    Raises:
        NoSpaceError: The pool is full.
    """
    volume = _create(pool, _element(name, "raw", len(content)))
    try:
        _upload(pool.connect(), volume, content)
    except Exception as error:
        with suppress(driver.Error):
            volume.delete(0)
        if isinstance(error, driver.Error) and driver.is_no_space(error):
            raise driver.NoSpaceError(str(error)) from error
        raise
    return str(volume.path())


def flatten(pool: Pool, source: str, name: str) -> str:
    """A disk of its own with what another shows, its base's content included; its path.

    One of that name that is there already was left by a try that nobody saw the end of.

    Raises:
        BaseMissingError: There is no such source.
        NoSpaceError: The pool is full; what was made is deleted.
    """
    disk = find(pool, source)
    if disk is None:
        raise BaseMissingError(f"{source!r} is no volume of pool {pool.name()!r}")
    delete(pool, [name])
    capacity = int(disk.info()[1])
    try:
        made = _mapped(
            lambda: pool.createXMLFrom(_text(_element(name, "qcow2", capacity, "0444")), disk, 0)
        )
    except (driver.Error, driver.NoSpaceError):
        with suppress(driver.Error):
            delete(pool, [name])
        raise
    return str(made.path())


def delete(pool: Pool, doomed: Iterable[str]) -> int:
    """Delete volumes by their names, those that are there; how many there were."""
    count = 0
    for name in doomed:
        volume = _look_up(pool, name)
        if volume is None:
            continue
        try:
            volume.delete(0)
        except driver.Error as error:
            if not is_gone(error) and not _is_no_file(error):
                raise
            # someone removed the file: libvirt forgets it by looking
            refresh(pool)
        count += 1
    return count


def log_of(name: str) -> str:
    """The log that a volume is an old part of; the name itself where it is none."""
    found = _ROTATED.fullmatch(name)
    return name if found is None else found[1]


def tail(pool: Pool, name: str, limit: int) -> bytes:
    """The end of a volume, `limit` bytes at most; empty where it is not there."""
    volume = _look_up(pool, name)
    if volume is None:
        return b""
    # what libvirt remembers is the size that the file had; this looks
    size = int(volume.infoFlags(libvirt.VIR_STORAGE_VOL_GET_PHYSICAL)[2])
    if not size:
        return b""
    connection, parts = pool.connect(), []
    stream = connection.newStream()
    start = max(0, size - limit)

    def take(_stream: object, data: bytes, _: object) -> int:
        parts.append(data)
        return 0

    try:
        volume.download(stream, start, min(size, limit), 0)
        stream.recvAll(take, None)
        stream.finish()
    except BaseException as error:
        with suppress(driver.Error):
            stream.abort()
        if isinstance(error, driver.Error) and is_test_driver(pool.connect()):
            return b""  # it keeps no content
        raise
    return b"".join(parts)


def backings(pool: Pool) -> dict[str, str]:
    """By the name of each volume that stands on another file: that file's path."""
    found = {}
    for volume in pool.listAllVolumes():
        try:
            backing = ET.fromstring(volume.XMLDesc()).findtext("backingStore/path")
        except driver.Error as error:
            if not is_gone(error):
                raise
            continue  # deleted since it was listed
        if backing:
            found[str(volume.name())] = backing
    return found


def is_gone(error: driver.Error) -> bool:
    """Whether libvirt says that there is no such volume."""
    return bool(error.get_error_code() == libvirt.VIR_ERR_NO_STORAGE_VOL)


def is_test_driver(connection: driver.Connection) -> bool:
    """Whether it is libvirt's test driver, which remembers volumes and keeps no content."""
    return str(connection.getType()).upper() == "TEST"


def _element(name: str, kind: str, size: int, mode: str = "0600") -> ET.Element:
    element = ET.Element("volume")
    ET.SubElement(element, "name").text = name
    if size or kind != "qcow2":
        ET.SubElement(element, "capacity", unit="bytes").text = str(size)
    ET.SubElement(element, "allocation", unit="bytes").text = "0"
    target = ET.SubElement(element, "target")
    ET.SubElement(target, "format", type=kind)
    # seeds hold secrets, and disks what jobs left
    ET.SubElement(ET.SubElement(target, "permissions"), "mode").text = mode
    if kind == "qcow2":
        ET.SubElement(target, "compat").text = "1.1"  # libvirt would take 0.10, of 2006
    return element


def _text(element: ET.Element) -> str:
    return ET.tostring(element, encoding="unicode")


def _create(pool: Pool, element: ET.Element) -> Volume:
    try:
        return _mapped(lambda: pool.createXML(_text(element), 0))
    except driver.Error as error:
        if not any(phrase in str(error) for phrase in _EXISTS):
            raise
    # names are of one machine and never used twice: this one was left by a call that was cut off
    delete(pool, [element.findtext("name", "")])
    return _mapped(lambda: pool.createXML(_text(element), 0))


def _mapped(work: Callable[[], Volume]) -> Volume:
    try:
        return work()
    except driver.Error as error:
        if driver.is_no_space(error):
            raise driver.NoSpaceError(str(error)) from error
        raise


def _upload(connection: driver.Connection, volume: Volume, content: bytes) -> None:
    stream = connection.newStream()
    sent = 0

    def give(_stream: object, size: int, _: object) -> bytes:
        nonlocal sent
        piece = content[sent : sent + min(size, _PIECE)]
        sent += len(piece)
        return piece

    try:
        volume.upload(stream, 0, len(content), 0)
        stream.sendAll(give, None)
        stream.finish()
    except BaseException as error:
        with suppress(driver.Error):
            stream.abort()
        if _keeps_no_content(connection, error):
            return
        raise


def _keeps_no_content(connection: driver.Connection, error: BaseException) -> bool:
    return (
        isinstance(error, driver.Error)
        and error.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT
        and is_test_driver(connection)
    )


def _look_up(pool: Pool, name: str) -> Volume | None:
    try:
        return pool.storageVolLookupByName(name)
    except driver.Error as error:
        if is_gone(error):
            return None
        raise


def _is_no_file(error: driver.Error) -> bool:
    return "no such file or directory" in str(error).lower()
