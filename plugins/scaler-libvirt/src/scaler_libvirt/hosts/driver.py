"""libvirt itself: plain functions that block, for worker threads.

Each is one operation, with all the calls that belong to it: a hop to a thread costs as much as
several calls. None keeps a `virDomain`, which would keep its connection open; UUIDs are enough.
"""

from __future__ import annotations

import errno
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import libvirt

from scaler_libvirt.hosts.reasons import why_paused, why_shut_off
from scaler_libvirt.machine.identity import NAMESPACE, Identity, read_identity

Connection: TypeAlias = Any  # libvirt-python ships no types
_Domain: TypeAlias = Any

if TYPE_CHECKING:
    from collections.abc import Container

    from scaler_libvirt.hosts.life import Pause

    class Error(Exception):
        """libvirt's error, as far as it is used here."""

        def get_error_code(self) -> int: ...  # noqa: D102
        def get_error_domain(self) -> int: ...  # noqa: D102
        def get_int1(self) -> int | None: ...  # noqa: D102

else:
    Error = libvirt.libvirtError

_OFF = (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_OPERATION_INVALID)
_GONE = (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_NO_DOMAIN_METADATA)
# "Cannot recv data", "client socket is closed"; what a hypervisor says never comes from RPC
_BROKEN_WIRE = (libvirt.VIR_ERR_SYSTEM_ERROR, libvirt.VIR_ERR_INTERNAL_ERROR)
_NO_SPACE = (errno.ENOMEM, errno.ENOSPC)
_NO_SPACE_TEXTS = (
    "cannot allocate memory",
    "cannot set up guest memory",
    "no space left on device",
    "insufficient free host memory",
    "unable to map backing store",
    "preallocating memory failed",
    "out of memory",
    "not enough free space in pool",
    "disk quota exceeded",
)
_SCREENSHOT_LIMIT = 64 << 20
# QEMU's log of a domain has the runner's name, which never comes again
_REMOVE_LOGS = getattr(libvirt, "VIR_DOMAIN_DESTROY_REMOVE_LOGS", 0)


class NameTakenError(Exception):
    """A domain of the name that a runner's machine must have is there, and is not its machine."""


class NoSpaceError(Exception):
    """The host has no memory or disk space for this machine."""


class NotPngError(Exception):
    """The hypervisor answered a picture in another format."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One of our domains, as it was at one look.

    Attributes:
        why: Why it does not run.
        pause: Why it stands still though it runs; empty where it does not.
    """

    uuid: str
    domain: str
    identity: Identity
    running: bool
    why: str = ""
    pause: Pause = ""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a hypervisor says of itself. `memory` in bytes."""

    driver: str
    version: str
    hostname: str
    arch: str
    memory: int
    cpus: int


def facts(connection: Connection) -> Facts:
    """Ask a hypervisor who it is."""
    arch, mebibytes, cpus, *_ = connection.getInfo()
    number = int(connection.getVersion())
    return Facts(
        driver=str(connection.getType()),
        version=f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}",
        hostname=str(connection.getHostname()),
        arch=str(arch),
        memory=int(mebibytes) << 20,
        cpus=int(cpus),
    )


def list_ours(connection: Connection, scaler: str) -> list[Seen]:
    """Every domain that carries this scaler's name."""
    seen = (_look(domain, scaler) for domain in connection.listAllDomains())
    return [one for one in seen if one is not None]


def look_up(connection: Connection, uuid: str, scaler: str) -> Seen | None:
    """One domain by its UUID; None where it is gone or somebody else's."""
    domain = _by_uuid(connection, uuid)
    return None if domain is None else _look(domain, scaler)


def create(connection: Connection, xml: str, name: str, uuid: str, identity: Identity) -> Seen:
    """Make and start a transient domain, or find the one that was made by an earlier try.

    Args:
        connection: Where.
        xml: The whole domain.
        name: Its name in there.
        uuid: Its UUID in there.
        identity: Whose it is, as it stands in there.

    Raises:
        NameTakenError: A domain of that name is there and is not this runner's machine.
        NoSpaceError: The host cannot hold it.
    """
    try:
        connection.createXML(xml, 0)
    except Error as error:
        seen = find(connection, name, identity) if connection.isAlive() else None
        if seen is None:
            if is_no_space(error):
                raise NoSpaceError(str(error)) from error
            raise
        return seen
    return Seen(uuid=uuid, domain=name, identity=identity, running=True)


def find(connection: Connection, name: str, identity: Identity) -> Seen | None:
    """The machine that an earlier try made; None where there is none.

    Raises:
        NameTakenError: A domain of that name is there and is not this runner's machine.
    """
    there = _by_name(connection, name)
    if there is None:
        return None
    seen = _look(there, identity.scaler)
    if seen is None or not seen.running or not seen.identity.same_runner(identity):
        raise NameTakenError(_whose(name, str(there.UUIDString()), seen))
    return seen


def destroy_one(connection: Connection, scaler: str, uuid: str) -> None:
    """Destroy one of our domains by its UUID; fine where it is gone, or somebody else's."""
    domain = _by_uuid(connection, uuid)
    if domain is not None and _identity(domain, scaler) is not None:
        _destroy(domain)


def resume(connection: Connection, scaler: str, uuid: str) -> None:
    """Let one of our domains go on; fine where it is gone, or does so already."""
    domain = _by_uuid(connection, uuid)
    if domain is None or _identity(domain, scaler) is None:
        return
    try:
        domain.resume()
    except Error as error:
        if error.get_error_code() not in (
            libvirt.VIR_ERR_NO_DOMAIN,
            libvirt.VIR_ERR_OPERATION_INVALID,
        ):
            raise


def destroy(
    connection: Connection,
    scaler: str,
    runner: int,
    *,
    name: str,
    uuid: str | None = None,
    others: Container[str] = (),
) -> int:
    """Destroy this runner's domain; answer how many there were.

    Args:
        connection: Where to look.
        scaler: Whose domains may be touched.
        runner: The runner's id.
        name: What its domain is called. (A host has one domain of a name.)
        uuid: Its domain, where that is known.
        others: UUIDs of domains that are known to be other runners'. Asking each of a thousand
            domains whose it is takes a second.
    """
    domain = None if uuid is None else _by_uuid(connection, uuid)
    for found in (domain, _by_name(connection, name)):
        if found is not None and _is_machine_of(found, scaler, runner):
            _destroy(found)
            return 1
    count = 0
    for domain in connection.listAllDomains():
        if str(domain.UUIDString()) not in others and _is_machine_of(domain, scaler, runner):
            _destroy(domain)
            count += 1
    return count


def screenshot(connection: Connection, uuid: str, scaler: str) -> bytes | None:
    """A PNG of the screen of one of our domains; None where it is gone.

    Raises:
        NotPngError: The hypervisor has another format.
    """
    domain = _by_uuid(connection, uuid)
    if domain is None or _identity(domain, scaler) is None:
        return None
    stream = connection.newStream()
    parts: list[bytes] = []
    size = 0

    def take(_stream: object, data: bytes, _: object) -> int:
        nonlocal size
        size += len(data)
        parts.append(data)
        return 0 if size <= _SCREENSHOT_LIMIT else -1

    try:
        kind = str(domain.screenshot(stream, 0))
        stream.recvAll(take, None)
        stream.finish()
    except BaseException as error:
        with suppress(Error):
            stream.abort()
        if isinstance(error, Error) and error.get_error_code() in _OFF:
            return None  # a moment ago it was there
        raise
    picture = b"".join(parts)
    if not picture.startswith(b"\x89PNG\r\n\x1a\n"):
        raise NotPngError(f"the hypervisor answers screenshots as {kind}, not as image/png")
    return picture


def is_broken_wire(error: Error) -> bool:
    """Whether the error comes from this side's socket, not from the hypervisor."""
    return (
        error.get_error_domain() == libvirt.VIR_FROM_RPC and error.get_error_code() in _BROKEN_WIRE
    )


def is_no_space(error: Error) -> bool:
    """Whether libvirt says that the host has no memory or disk space for a domain."""
    code, domain = error.get_error_code(), error.get_error_domain()
    if code == libvirt.VIR_ERR_NO_MEMORY and domain != libvirt.VIR_FROM_RPC:
        return True
    if code == libvirt.VIR_ERR_SYSTEM_ERROR and error.get_int1() in _NO_SPACE:
        return True
    text = str(error).lower()
    return any(phrase in text for phrase in _NO_SPACE_TEXTS)


def _look(domain: _Domain, scaler: str) -> Seen | None:
    identity = _identity(domain, scaler)
    if identity is None or identity.role == "probe":  # (who started it ends it)
        return None
    try:
        state, reason = domain.state()
        uuid, name = str(domain.UUIDString()), str(domain.name())
    except Error as error:
        if error.get_error_code() in _GONE:
            return None
        raise
    stopped = state in (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_CRASHED)
    crashed = state == libvirt.VIR_DOMAIN_CRASHED
    why = ("crashed" if crashed else why_shut_off(reason)) if stopped else ""
    paused = state == libvirt.VIR_DOMAIN_PAUSED
    return Seen(
        uuid=uuid,
        domain=name,
        identity=identity,
        running=not stopped,
        why=why,
        pause=why_paused(reason) if paused else "",
    )


def _identity(domain: _Domain, scaler: str) -> Identity | None:
    try:
        text = domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, NAMESPACE)
    except Error as error:
        if error.get_error_code() in _GONE:
            return None
        raise
    identity = read_identity(text)
    return identity if identity is not None and identity.scaler == scaler else None


def _is_machine_of(domain: _Domain, scaler: str, runner: int) -> bool:
    identity = _identity(domain, scaler)
    return identity is not None and identity.runner == runner


def _by_uuid(connection: Connection, uuid: str) -> _Domain | None:
    return _or_none(connection.lookupByUUIDString, uuid)


def _by_name(connection: Connection, name: str) -> _Domain | None:
    return _or_none(connection.lookupByName, name)


def _or_none(look_up: Any, key: str) -> _Domain | None:
    try:
        return look_up(key)
    except Error as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise


def _destroy(domain: _Domain) -> None:
    """Ours are transient, so to destroy is all; but someone may have defined one since."""
    try:
        persistent = bool(domain.isPersistent())
        if domain.isActive():
            _end(domain)
        if persistent:
            domain.undefineFlags(
                libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
                | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
            )
    except Error as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise


def _end(domain: _Domain) -> None:
    flags = _REMOVE_LOGS
    if not flags or str(domain.connect().getType()).upper() == "TEST":
        domain.destroy()
        return
    try:
        domain.destroyFlags(flags)
    except Error as error:
        if error.get_error_code() != libvirt.VIR_ERR_INVALID_ARG:
            raise
        domain.destroy()  # a hypervisor that is older than this side's libvirt


def _whose(name: str, uuid: str, seen: Seen | None) -> str:
    if seen is None:
        owner = "it does not carry this scaler's name"
    elif not seen.running:
        owner = f"it is off ({seen.why}), and ours never are"
    else:
        owner = f"it is the machine of {seen.identity.runner_name!r}, made with another config"
    return f"domain {name!r} ({uuid}) is there already: {owner}"
