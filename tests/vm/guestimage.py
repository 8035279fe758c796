"""A guest small enough to be emulated: Debian's cloud kernel, busybox, and a disk it boots from."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

META = "linux-image-cloud-amd64"  # the package that depends on the newest one
BUSYBOX = Path("/bin/busybox")
GUEST = Path(__file__).parent / "guest"
# each is loaded after what it needs: disks, network, a seed on either kind of file system and on
# a CD of an old PC or of virtio; the guest's own file system
MODULES = (
    "virtio_pci", "virtio_net", "virtio_blk", "isofs", "vfat", "nls_cp437", "nls_ascii",
    "nls_iso8859-1", "virtio_scsi", "ata_piix", "sr_mod", "sd_mod", "pvpanic-pci", "pvpanic-mmio",
)  # fmt: skip
CMDLINE = "console=ttyS0 quiet panic=0"
SYSLINUX = f"""DEFAULT guest
LABEL guest
  KERNEL vmlinuz
  INITRD initrd
  APPEND {CMDLINE}
"""
DISK = 40 << 20  # bytes: the kernel has fourteen million
PATIENCE = 300.0  # seconds for what has to be fetched


@dataclass(frozen=True, kw_only=True)
class GuestImage:
    """A guest, as files.

    Attributes:
        kernel: To be started without a disk's help, with `initrd` and `cmdline`.
        disk: A raw disk that boots both by itself, by BIOS.
    """

    kernel: Path
    initrd: Path
    disk: Path
    cmdline: str = CMDLINE


def build(folder: Path) -> GuestImage:
    """Make the guest in this folder, or take what is there.

    Raises:
        RuntimeError: A program failed, and this is what it said.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kernel, modules = fetched(folder)
    initrd = folder / "initrd"
    initrd.write_bytes(archive(modules))
    disk = folder / "guest.raw"
    make_disk(disk, kernel=kernel, initrd=initrd)
    return GuestImage(kernel=kernel, initrd=initrd, disk=disk)


def fetched(folder: Path) -> tuple[Path, Path]:
    """The kernel and the folder of its modules, from Debian's package; nothing is installed."""
    unpacked = folder / "package"
    if not unpacked.exists():
        shown = run("apt-cache", "show", META)
        found = re.search(r"^Depends:.*?(linux-image-[\w.+-]+-cloud-amd64)", shown, re.MULTILINE)
        if found is None:
            raise RuntimeError(f"the package {META} names no kernel: {shown[:500]}")
        half = folder / "package.half"
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir()
        run("apt-get", "download", found[1], folder=half)
        (package,) = half.glob("*.deb")
        run("dpkg-deb", "-x", package, half)
        package.unlink()
        half.rename(unpacked)
    (kernel,) = unpacked.glob("boot/vmlinuz-*")
    (modules,) = unpacked.glob("lib/modules/*")
    return kernel, modules


def archive(modules: Path) -> bytes:
    """The initial file system: busybox, modules in their order, and what runs first."""
    paths = {
        path.name.removesuffix(".ko").replace("-", "_"): path for path in modules.rglob("*.ko")
    }
    order: list[Path] = []
    for name in MODULES:
        add_module(name.replace("-", "_"), paths, order)
    names = [path.name for path in order]
    files: dict[str, tuple[int, bytes]] = {
        "bin/busybox": (0o755, BUSYBOX.read_bytes()),
        "modules/order": (0o644, "".join(f"{name}\n" for name in names).encode()),
    }
    for name in ("init", "udhcpc", "runner", "bin/setuidgid"):
        files[name] = (0o755, (GUEST / Path(name).name).read_bytes())
    for path in order:
        files[f"modules/{path.name}"] = (0o644, path.read_bytes())
    entries = [entry("bin", 0o40755), entry("modules", 0o40755), entry("dev", 0o40755)]
    entries.append(entry("bin/sh", 0o120777, b"busybox"))
    # before anything else is there: the kernel opens it for the first process
    entries.append(entry("dev/console", 0o20600, device=(5, 1)))
    entries += [entry(name, 0o100000 | mode, data) for name, (mode, data) in files.items()]
    entries.append(entry("TRAILER!!!", 0))
    return gzip.compress(b"".join(entries), compresslevel=6, mtime=0)


def add_module(name: str, paths: Mapping[str, Path], order: list[Path]) -> None:
    """Put a module into the order, behind those that it says it needs."""
    path = paths[name]
    if path in order:
        return
    found = re.search(rb"\0depends=([^\0]*)\0", path.read_bytes())
    for need in found[1].decode().split(",") if found and found[1] else ():
        add_module(need.replace("-", "_"), paths, order)
    order.append(path)


def entry(name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> bytes:
    """One entry of a cpio archive of the kind `newc`, which the kernel reads."""
    raw = name.encode() + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(raw), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + raw
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def make_disk(path: Path, *, kernel: Path, initrd: Path) -> None:
    """A FAT disk with kernel, initial file system and boot loader; without mounting anything."""
    path.unlink(missing_ok=True)
    run("mkfs.fat", "-C", "-n", "GUEST", path, str(DISK >> 10))
    settings = path.with_suffix(".cfg")
    settings.write_text(SYSLINUX)
    run("mmd", "-i", path, "::init.d")
    for source, name in ((kernel, "vmlinuz"), (initrd, "initrd"), (settings, "syslinux.cfg")):
        run("mcopy", "-i", path, source, f"::{name}")
    run("syslinux", "--install", path)


def run(*command: str | Path, folder: Path | None = None) -> str:
    """Run a program to its end; its output."""
    tools = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": tools, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    if done.returncode:
        shown = " ".join(map(str, command))
        raise RuntimeError(f"{shown}: exit code {done.returncode}: {done.stderr or done.stdout}")
    return done.stdout
