"""Whether KVM works on a host: shown by a guest that runs, since the device alone says nothing.

(KVMs are known that run a guest's firmware, and in which no system ever comes up, because they
emulate what runs in a kernel's mode instruction by instruction.)

The guest is one sector of a disk. It goes to the processor's 64-bit mode, counts to 67 million,
which takes a processor no time and an emulation of single instructions for ever, and turns the
machine off. Only that end is one: a guest that was killed, or crashed, has shown nothing.
"""

from __future__ import annotations

import threading
import time
import xml.etree.ElementTree as ET
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import libvirt

from scaler_libvirt.hosts import driver, volumes
from scaler_libvirt.hosts.reasons import plain, why_stopped
from scaler_libvirt.machine.identity import Identity, identity_element, new_uuid
from scaler_libvirt.machine.names import tag_of, volume_names
from scaler_libvirt.machine.shape import X86

if TYPE_CHECKING:
    from scaler_libvirt.machine.shape import DomainType

_LOOKS = 0.1  # seconds between two looks
_LATE = 1.0  # seconds that an event may come after its domain is gone
_MEMORY = 32 << 20
_DISK = 1 << 20  # a firmware does not boot from a smaller one

# ljmp 0:start
# start: cli; cld; ds = es = 0; cr3 = edi = 1000h; zero three pages
#        [1000h] = 2003h; [2000h] = 3003h; [3000h] = 83h (the first 2 MiB, as they are)
#        cr4 |= PAE; EFER |= long mode; lgdt; cr0 |= paging, protection; ljmp 8:long
# long:  ecx = 4000000h; 1: dec ecx; jnz 1b
#        port 604h = 2000h (ACPI: off); 2: hlt; jmp 2b
_SECTOR = bytes.fromhex(
    "ea057c0000fafc31c08ed88ec066bf001000000f22df6631c066b9000c000066f3ab66c70600100320000066c706"
    "00200330000066c7060030830000000f20e00c200f22e066b9800000c00f3280cc010f300f0116907c0f20c0660d"
    "010000800f22c0ea687c0800b900000004ffc975fc66ba040666b8002066eff4ebfd669000000000000000000000"
    "0000009a20000f00807c"
)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a host's KVM runs guests, and what was seen."""

    works: bool
    text: str


def machine_key(connection: driver.Connection) -> str:
    """Names a hypervisor as it is now: another machine or another version is another one."""
    capabilities = ET.fromstring(connection.getCapabilities())
    uuid = capabilities.findtext("host/uuid", "")
    return f"{uuid} {connection.getLibVersion()} {connection.getVersion()}"


def disk() -> bytes:
    """What the guest boots from."""
    return (_SECTOR.ljust(510, b"\0") + b"\x55\xaa").ljust(_DISK, b"\0")


def probe(
    connection: driver.Connection,
    scaler: str,
    pool: str,
    within: float,
    kind: DomainType = "kvm",
) -> Verdict:
    """Boot, and see whether it comes to its end. Blocks for some seconds.

    Its machine has a UUID and a name of its own, so that two that try at once are not in each
    other's way. It ends with the connection, and its disk is of those that every look sweeps.

    Args:
        connection: To the hypervisor. libvirt's events must be delivered.
        scaler: Whose machine it is.
        pool: Where its disk is made.
        within: Seconds that the guest may take.
        kind: How it is run.

    Raises:
        PoolTroubleError: The pool is not there, or is not active.
        NoSpaceError: The pool is full.
    """
    arch = str(connection.getInfo()[0])
    if arch not in X86:
        return Verdict(
            works=False, text=f"there is nothing to show it with on {arch}: name it in acceleration"
        )
    if not _offered(connection, kind):
        return Verdict(works=False, text="libvirt has no KVM there")
    tag, uuid = tag_of(scaler), new_uuid()
    there = volumes.open_pool(connection, pool)
    # (that kind is nobody's work: what is left of it is swept, and no machine is seen in it)
    name = volume_names(tag, None, "probe", uuid)["nvram"]
    path = volumes.create_filled(there, name, disk())
    try:
        return _run(connection, scaler, uuid, _xml(scaler, uuid, path, kind), within)
    finally:
        with suppress(driver.Error):
            volumes.delete(there, [name])


def _run(connection: driver.Connection, scaler: str, uuid: str, xml: str, within: float) -> Verdict:
    ends = _Ends(uuid)
    number = connection.domainEventRegisterAny(
        None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, ends.note, None
    )
    try:
        domain = connection.createXML(xml, libvirt.VIR_DOMAIN_START_AUTODESTROY)
        return _watch(domain, ends, within)
    except driver.Error as error:
        if not connection.isAlive():
            raise
        return Verdict(works=False, text=f"a guest could not be started: {plain(error)}")
    finally:
        with suppress(driver.Error):
            driver.destroy_one(connection, scaler, uuid)
        with suppress(driver.Error):
            connection.domainEventDeregisterAny(number)


class _Ends:
    """The event that says how a domain ended. Comes in libvirt's thread."""

    def __init__(self, uuid: str) -> None:
        self._uuid = uuid
        self.came = threading.Event()
        self.detail = -1

    def note(self, _: object, domain: Any, event: int, detail: int, __: object) -> None:
        if event == libvirt.VIR_DOMAIN_EVENT_STOPPED and domain.UUIDString() == self._uuid:
            self.detail = detail
            self.came.set()


def _watch(domain: Any, ends: _Ends, within: float) -> Verdict:
    until = time.monotonic() + within
    while not ends.came.wait(_LOOKS):
        if not _is_active(domain) and not ends.came.wait(_LATE):
            return Verdict(works=False, text="a guest was gone, and nobody saw it end")
        if time.monotonic() > until:
            return Verdict(works=False, text=f"a guest did not come to its end in {within:g} s")
    if ends.detail == libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN:
        return Verdict(works=True, text="a guest ran to its end")
    return Verdict(works=False, text=f"a guest did not run to its end: {why_stopped(ends.detail)}")


def _is_active(domain: Any) -> bool:
    try:
        return bool(domain.isActive())
    except driver.Error as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise
        return False


def _offered(connection: driver.Connection, kind: DomainType) -> bool:
    capabilities = ET.fromstring(connection.getCapabilities())
    return any(
        element.get("type") == kind
        for guest in capabilities.findall("guest")
        if guest.findtext("os_type") == "hvm"
        for element in guest.iter("domain")
    )


def _xml(scaler: str, uuid: str, path: str, kind: DomainType) -> str:
    root = ET.Element("domain", type=kind)
    _add(root, "name", f"scaler-{tag_of(scaler)}-probe-{uuid}")
    _add(root, "uuid", uuid)
    _add(root, "metadata").append(
        identity_element(Identity(scaler=scaler, runner=None, profile="probe", role="probe"))
    )
    _add(root, "memory", str(_MEMORY), unit="b")
    _add(root, "vcpu", "1")
    _add(_add(root, "os"), "type", "hvm", machine="q35")
    _add(_add(root, "features"), "acpi")
    if kind == "kvm":
        _add(root, "cpu", mode="host-passthrough")
    _add(root, "on_reboot", "destroy")
    _add(root, "on_crash", "destroy")
    devices = _add(root, "devices")
    boots = _add(devices, "disk", type="file", device="disk")
    _add(boots, "driver", name="qemu", type="raw")
    _add(boots, "source", file=path)
    _add(boots, "target", dev="vda", bus="virtio")
    _add(devices, "memballoon", model="none")
    _add(_add(devices, "video"), "model", type="none")
    return ET.tostring(root, encoding="unicode")


def _add(parent: ET.Element, tag: str, text: str | None = None, **attributes: str) -> ET.Element:
    child = ET.SubElement(parent, tag, attributes)
    child.text = text
    return child
