"""What the lab needs of the machine, and what of it is not there."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

# program: the Debian package that brings it
PROGRAMS = {
    "libvirtd": "libvirt-daemon",
    "virtlogd": "libvirt-daemon",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "dnsmasq": "dnsmasq-base",
    "ip": "iproute2",
    "ebtables": "iptables",
    "unshare": "util-linux",
    "syslinux": "syslinux",
    "mcopy": "mtools",
    "mkfs.fat": "dosfstools",
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
}
FILES = {
    Path("/bin/busybox"): "busybox-static",
    Path("/usr/share/libvirt/nwfilter/clean-traffic.xml"): "libvirt-daemon-config-nwfilter",
    Path("/etc/libvirt"): "libvirt-daemon-system",
    Path("/dev/net/tun"): "",
}
PATIENCE = 20.0  # seconds


def missing() -> str:
    """Why there can be no lab here, for people; nothing if there can."""
    if os.geteuid() != 0:
        return "it must be root, to make networks and processes of its own"
    if os.uname().machine != "x86_64":
        return f"its guests are of x86_64, and this machine is {os.uname().machine}"
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    lacks = {
        name: package for name, package in PROGRAMS.items() if not shutil.which(name, path=path)
    }
    lacks |= {str(name): package for name, package in FILES.items() if not name.exists()}
    if lacks:
        packages = " ".join(sorted({package for package in lacks.values() if package}))
        return f"not found: {', '.join(lacks)} (Debian: apt install {packages})"
    command = [
        "unshare",
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "mount",
        "-t",
        "sysfs",
        "s",
        "/sys",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    return f"no namespaces may be made here: {done.stderr.strip()}" if done.returncode else ""


if __name__ == "__main__":
    print(missing())
