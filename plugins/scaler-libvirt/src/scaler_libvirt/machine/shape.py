"""What a machine is made of, as far as it is not who it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DomainType = Literal["test", "qemu", "kvm"]
DiskFormat = Literal["qcow2", "raw"]
MachineType = Literal["q35", "pc"]
Video = Literal["virtio", "vga", "none"]
NetworkModel = Literal["virtio", "e1000e", "e1000"]
DiskBus = Literal["virtio", "scsi", "sata"]

X86 = ("x86_64", "i686")


@dataclass(frozen=True, kw_only=True)
class Disk:
    """The disk that a machine boots from and writes to.

    Attributes:
        path: On the hypervisor.
        format: What it holds. Named, never guessed from the content: a guest could write a header
            that lies.
        base, base_format: The image that `path` stands on, which stands on nothing itself and may
            be read by all: its owner stays. Where empty, libvirt looks for it, and hands it to
            the user that QEMU runs as.
    """

    path: str
    format: DiskFormat = "qcow2"
    base: str = ""
    base_format: DiskFormat = "qcow2"


@dataclass(frozen=True, kw_only=True)
class Network:
    """A machine's interface.

    Attributes:
        name: Of libvirt's network; empty keeps the one that the site's guest.xml names.
        mac: From `mac_of`, or the one that goes with the address.
        model: What the guest sees; the site's guest.xml keeps its own.
        filter: A filter of libvirt's that keeps the guest from spoofing; none where empty.
        address: The one that is fixed for it, which the filter is told; empty where none is.
        learn_by_dhcp: Whether the filter takes the address that the network's DHCP server gives,
            and not the first one that the guest uses.
        isolated: Whether other guests' isolated ports do not hear from it.
    """

    name: str
    mac: str
    model: NetworkModel = "virtio"
    filter: str = ""
    address: str = ""
    learn_by_dhcp: bool = False
    isolated: bool = False


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a machine is made of. Paths are the hypervisor's.

    Attributes:
        memory: In bytes; 0 takes what the site's guest.xml has, or 1 GiB.
        vcpus: How many processors; 0 takes what the site's guest.xml has, or one.
        hugepages_1g: Where not 0, the guest's memory is that many pages of 1 GiB of the host's
            reserved ones, and `memory` is not used.
        kind: libvirt's test driver, QEMU emulating a processor, or QEMU with KVM.
        arch: The host's, as libvirt tells it.
        disk: What it boots from; none with the test driver.
        seed: The path of its seed; empty where it has none.
        nvram: Where UEFI of the site's guest.xml keeps its variables, a file that libvirt makes;
            where empty, libvirt chooses one, and leaves it behind.
        log: The file that its first serial line is written to; empty where nobody writes it.
        network: Its interface; none where it has none of ours.
        machine: The board, where the host is of the x86 family.
        cpu: Empty: the host's with KVM, and all that can be emulated without; else a mode of
            libvirt's, `max`, or a model's name.
        kernel, initrd, kernel_args: Booted directly, without a boot loader, where given.
        guest: The site's own guest.xml, which the machine is made from in place of what is
            built in; none where there is none.
    """

    memory: int = 0
    vcpus: int = 0
    hugepages_1g: int = 0
    kind: DomainType = "qemu"
    arch: str = "x86_64"
    disk: Disk | None = None
    seed: str = ""
    log: str = ""
    nvram: str = ""
    network: Network | None = None
    machine: MachineType = "q35"
    cpu: str = ""
    video: Video = "vga"
    disk_bus: DiskBus = "virtio"
    kernel: str = ""
    initrd: str = ""
    kernel_args: str = ""
    guest: bytes | None = None

    @property
    def x86(self) -> bool:
        """Whether the host is of that family, where ACPI works without more ado."""
        return self.arch in X86


def format_of(path: str) -> DiskFormat:
    """What a disk holds that somebody else made: qcow2 where its name ends so, raw otherwise."""
    return "qcow2" if path.endswith(".qcow2") else "raw"
