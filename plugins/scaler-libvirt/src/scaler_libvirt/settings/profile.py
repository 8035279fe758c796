"""`[profiles.X.libvirt]`: what a profile's machines are made of."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

from scaler import Duration, Size
from scaler_libvirt.machine.shape import DiskBus, MachineType, NetworkModel, Video
from scaler_libvirt.settings import words
from scaler_libvirt.settings.hosts import NO_NETWORK

_CPU = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,62}", re.ASCII)
_BUILT_IN = ("machine", "cpu", "video", "disk_bus", "network_model")
_DIRECT_BOOT = ("kernel", "initrd", "kernel_args")
_BUILDING = ("base_image_max_age", "build_timeout", "smoke_timeout", "keep_images")


@dataclass(frozen=True, kw_only=True)
class ProfileConfig:
    """`[profiles.X.libvirt]`.

    Attributes:
        base_image: The disk that every machine starts from and none writes to: a path on the
            hypervisor, or the name of a volume in the host's pool. qcow2 where its name ends so,
            raw otherwise.
        source_image: In place of `base_image`: the disk that the profile's image is built from.
            A machine boots it, makes itself ready and powers off; runners start from what it
            left.
        base_image_max_age: How old an image may be before another is built beside it; 0 leaves
            that to `scaler images rebuild`.
        build_timeout: How long a build may take.
        smoke_timeout: How long a machine may take to show that a new image works; 0 tries none.
        keep_images: How many older images are kept for the way back.
        disk_size: How large a machine's disk is; as the image is where left out.
        disk_bus: What the disk is attached to.
        guest_xml: The site's own domain, which is completed, in place of the built-in one.
        machine: The board, where the host is of the x86 family.
        cpu: A mode of libvirt's, `"max"`, or a model's name. Where left out, the host's own with
            KVM, and all that can be emulated without.
        video: What a screenshot is taken of.
        network_model: The network card that the guest sees.
        kernel: A kernel on the hypervisor that is booted without a boot loader.
        initrd: What goes with `kernel`.
        kernel_args: What `kernel` is told.
        network: libvirt's network, in place of the host's; `"none"` for no network.
        network_filter: libvirt's filter that keeps guests from using another's address; none
            where `""`.
        isolated: Whether the profile's machines cannot reach other isolated ones on their host.
        jit_delivery: `http`: the guest fetches its runner's config. `seed`: it lies in the guest's
            seed, and so does the boot script; the guest needs no way to the scaler.
        identify: What a guest is known by when it asks: a secret in its seed, or its address.
        address: How its address is known: given to it, or learnt from the network's leases, from
            the host's ARP table, or from the agent in the guest, who may lie.
        user_data: cloud-init's user-data for the seed, in place of the built-in one.
    """

    base_image: str = ""
    source_image: str = ""
    base_image_max_age: Duration = field(default=Duration(0))
    build_timeout: Duration = field(default=Duration(7200))
    smoke_timeout: Duration = field(default=Duration(600))
    keep_images: int = 1
    disk_size: Size | None = None
    disk_bus: DiskBus = "virtio"
    guest_xml: Path | None = None
    machine: MachineType = "q35"
    cpu: str = ""
    video: Video = "vga"
    network_model: NetworkModel = "virtio"
    kernel: str = ""
    initrd: str = ""
    kernel_args: str = ""
    network: str = ""
    network_filter: str = "clean-traffic"
    isolated: bool = True
    jit_delivery: Literal["http", "seed"] = "http"
    identify: Literal["secret", "address"] = "secret"
    address: Literal["fixed", "lease", "arp", "agent"] = "fixed"
    user_data: Path | None = None

    def __post_init__(self) -> None:
        for name in ("base_image", "source_image"):
            words.path(name, getattr(self, name), volume=True)
        for name in ("kernel", "initrd"):
            words.path(name, getattr(self, name))
        for name in ("kernel_args", "network", "network_filter"):
            words.line(name, getattr(self, name))
        self._check_images()
        self._check_domain()
        self._check_delivery()

    def _check_images(self) -> None:
        if self.base_image and self.source_image:
            raise ValueError(
                "source_image: found base_image beside it, wanted one of the two: take base_image "
                "out to have the image built from source_image"
            )
        if self.build_timeout <= 0:
            raise ValueError("build_timeout: found 0, wanted how long a build may take")
        if self.keep_images < 0:
            raise ValueError(f"keep_images: found {self.keep_images}, wanted 0 or more")
        if not self.source_image and (useless := self._changed(_BUILDING)):
            raise ValueError(
                f"{useless[0]}: nothing is built without source_image; take it out, or name the "
                "disk to build from as source_image in place of base_image"
            )
        if self.disk_size is not None and self.disk_size < 1:
            raise ValueError('disk_size: found 0, wanted a size such as "20G"')

    def _check_domain(self) -> None:
        if self.cpu and not _CPU.fullmatch(self.cpu):
            raise ValueError(
                f'cpu: found {self.cpu!r}, wanted "host-passthrough", "host-model", "max", or the '
                "name of a model that `virsh cpu-models x86_64` lists"
            )
        if self.guest_xml and (twice := self._changed((*_BUILT_IN, *_DIRECT_BOOT))):
            raise ValueError(
                f"{twice[0]}: found guest_xml beside it, which says that itself: take out "
                f"{', '.join(twice)}, or guest_xml"
            )
        if not self.kernel:
            for name in self._changed(("initrd", "kernel_args")):
                raise ValueError(f"{name}: there is no kernel for it: give kernel too")

    def _check_delivery(self) -> None:
        if self.network != NO_NETWORK:
            return
        if self.jit_delivery == "http":
            raise ValueError(
                'network: found "none", which leaves a guest no way to its config: wanted a '
                'network, or jit_delivery = "seed"'
            )
        if self.guest_xml:
            raise ValueError(
                'network: found "none" beside guest_xml, whose interfaces are kept: take the '
                "<interface> out of it, and network out of here"
            )

    def _changed(self, names: tuple[str, ...]) -> list[str]:
        defaults = {each.name: each.default for each in fields(self)}
        return [name for name in names if getattr(self, name) != defaults[name]]
