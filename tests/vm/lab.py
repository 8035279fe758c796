"""Hypervisors of one's own: each a libvirtd with QEMU, in a network that leads nowhere else."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import libvirt
from tests.vm.namespaces import Namespace
from tests.vm.relay import Relay

if TYPE_CHECKING:
    from types import TracebackType

    from tests.vm.guestimage import GuestImage

# what libvirt reads and writes, and here instead is in a folder of the lab; /run as a whole,
# so that nothing in there finds the machine's D-Bus and what manages machines behind it
FOLDERS = ("etc/libvirt", "var/lib/libvirt", "var/cache/libvirt", "var/log/libvirt", "run")
POOL = Path("/var/lib/libvirt/images")  # as it is called in there
KVM = Path("/dev/kvm")
PATIENCE = 60.0  # seconds for a daemon on a busy machine

LIBVIRTD_CONF = """
auth_unix_rw = "none"
log_filters = "1:nwfilter 3:object 3:event 3:rpc"
log_level = 3
log_outputs = "3:stderr"
"""
# the machine's AppArmor knows no namespaces, and needs profiles that would be made outside
QEMU_CONF = """
security_driver = "none"
namespaces = []
"""
NETWORK = """
<network>
  <name>default</name>
  <bridge name="guests" stp="off" delay="0"/>
  {forward}
  <ip address="{net}.1" netmask="255.255.255.0">
    <dhcp><range start="{net}.100" end="{net}.199"/></dhcp>
  </ip>
</network>
"""
POOL_XML = "<pool type='dir'><name>default</name><target><path>{path}</path></target></pool>"


class Hypervisor(Namespace):
    """A machine of its own with libvirt, as far as libvirt and its guests can see.

    It has the storage pool `default` and the network `default`, whose DHCP serves guests. A
    context manager: at its end every guest and every trace of it is gone.

    Args:
        net: The first three numbers of the guests' addresses; others may have the same.
        nat: Whether guests reach what this one reaches, by its address.
        kvm: Whether guests may use KVM, if the machine has it. Left out, `/dev/kvm` is hidden: it
            may be there and run no guest.
    """

    def __init__(self, net: str = "192.168.77", *, nat: bool = False, kvm: bool = False) -> None:
        # the paths of sockets are short
        self.folder = Path(tempfile.mkdtemp(prefix="vml", dir="/tmp"))
        self.net = net
        self._nat = nat
        mounts = [f"mount --bind {self.folder}/{each} /{each}" for each in FOLDERS]
        self._kvm = kvm and KVM.exists()
        if self._kvm:
            mounts.append(f"mount --bind {self.folder}/kvm {KVM}")
        elif KVM.exists():
            # a file that nobody may open: where it can be opened, as /dev/null can, libvirt
            # takes KVM for new and looks at all of QEMU again at every start of a guest
            mounts.append(f"mount --bind {self.folder}/nothing {KVM}")
        super().__init__(mounts=mounts)
        self._daemons: dict[str, subprocess.Popen[Any]] = {}

    @property
    def address(self) -> str:
        """Of this hypervisor in its guests' network."""
        return f"{self.net}.1"

    @property
    def socket(self) -> Path:
        """Where libvirtd listens, for whoever is outside too."""
        return self.folder / "run/libvirt/libvirt-sock"

    @property
    def uri(self) -> str:
        """For whoever is outside too."""
        return f"qemu+unix:///system?socket={self.socket}"

    @property
    def pool(self) -> Path:
        """The folder of the pool `default`, as it is called outside."""
        return self.folder / POOL.relative_to("/")

    def __enter__(self) -> Self:
        try:
            self._prepare()
            super().__enter__()
            self._start("virtlogd", "run/libvirt/virtlogd-sock")
            self.start()
            self._furnish()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            super().__exit__(kind, error, traceback)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    # --- libvirtd's life

    def start(self) -> None:
        """Start libvirtd, and wait until it answers."""
        self._start("libvirtd", "run/libvirt/libvirt-sock")

    def stop(self) -> None:
        """End it in order; guests go on."""
        self._end("libvirtd", signal.SIGTERM)

    def kill(self) -> None:
        """End it at once; guests go on."""
        self._end("libvirtd", signal.SIGKILL)

    def hang(self) -> None:
        """Let it stop answering, with its connections open; guests go on."""
        self._daemons["libvirtd"].send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again."""
        self._daemons["libvirtd"].send_signal(signal.SIGCONT)

    def open(self) -> libvirt.virConnect:
        """A connection; the caller closes it."""
        return libvirt.open(self.uri)

    def said(self, daemon: str = "libvirtd") -> str:
        """What a daemon has said so far."""
        return (self.folder / f"{daemon}.log").read_text(errors="replace")

    def forward(self, port: int) -> Relay:
        """Let a port of this machine's 127.0.0.1 be in there too, at every address; to be entered.

        So one who listens outside has the same URL for those inside, and guests reach it by the
        address of their hypervisor.
        """
        return Relay(self.listen("0.0.0.0", port), lambda: dial(port))

    # --- how it is made

    def _prepare(self) -> None:
        for each in (*FOLDERS, "var/lib/libvirt/images", "run/libvirt"):
            (self.folder / each).mkdir(parents=True, exist_ok=True)
            (self.folder / each).chmod(0o755)
        (self.folder / "nothing").touch(mode=0)
        if self._kvm:  # the machine's own may be root's alone, and QEMU has a user of its own
            node = self.folder / "kvm"
            os.mknod(node, stat.S_IFCHR, KVM.stat().st_rdev)
            node.chmod(0o666)
        self.folder.chmod(0o711)
        etc = self.folder / "etc/libvirt"
        (etc / "libvirtd.conf").write_text(LIBVIRTD_CONF)
        (etc / "qemu.conf").write_text(QEMU_CONF)
        (etc / "virtlogd.conf").write_text("")
        filters = Path("/usr/share/libvirt/nwfilter")
        if filters.is_dir():
            shutil.copytree(filters, etc / "nwfilter")

    def _furnish(self) -> None:
        forward = "<forward mode='nat'/>" if self._nat else ""
        connection = self.open()
        try:
            network = connection.networkDefineXML(NETWORK.format(net=self.net, forward=forward))
            network.create()
            connection.storagePoolDefineXML(POOL_XML.format(path=POOL)).create()
        finally:
            connection.close()

    def _start(self, name: str, where: str) -> None:
        path = self.folder / where
        path.unlink(missing_ok=True)
        with (self.folder / f"{name}.log").open("ab") as log:
            output = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
            self._daemons[name] = self.popen([name], **output)
        until = time.monotonic() + PATIENCE
        while not listens(path):
            if self._daemons[name].poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{name} did not start: {self.said(name)[-2000:]}")
            time.sleep(0.02)

    def _end(self, name: str, number: int) -> None:
        process = self._daemons.pop(name)
        process.send_signal(number)
        process.wait(PATIENCE)


def dial(port: int) -> socket.socket:
    """A connection to a port of this machine, as the caller sees it."""
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def listens(path: Path) -> bool:
    """Whether someone listens at this socket."""
    # The path is there from bind() on; until listen(), which may be long after on a busy
    # machine, whoever connects is refused.
    with socket.socket(socket.AF_UNIX) as caller:
        return caller.connect_ex(str(path)) == 0


def stock(hypervisor: Hypervisor, image: GuestImage) -> None:
    """Put the guest where guests of a hypervisor can have it: `vmlinuz`, `initrd`, `guest.raw`."""
    files = {"vmlinuz": image.kernel, "initrd": image.initrd, "guest.raw": image.disk}
    for name, source in files.items():
        target = hypervisor.pool / name
        shutil.copyfile(source, target)
        target.chmod(0o444)
