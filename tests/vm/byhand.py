"""Guests whose domains are written by hand, and a door for them: nothing of scaler is in it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import libvirt
from tests.vm.lab import POOL, Hypervisor

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from tests.vm.guestimage import GuestImage

BOOT = 120.0  # seconds for a guest on a busy machine; alone it takes ten
MAC = "52:54:00:aa:00:01"

DOMAIN = """
<domain type="qemu">
  <name>guest</name><memory unit="MiB">128</memory><vcpu>1</vcpu>
  <os><type arch="x86_64" machine="q35">hvm</type>{direct}</os>
  <features><acpi/></features>
  <devices>
    {disk}
    <interface type="network">
      <mac address="{mac}"/><source network="default"/><model type="virtio"/>
      {filter}
    </interface>
    <serial type="pty"><log file="{pool}/guest.log" append="on"/></serial>
    <memballoon model="none"/>
  </devices>
</domain>
"""
DIRECT = "<kernel>{pool}/vmlinuz</kernel><initrd>{pool}/initrd</initrd><cmdline>{cmdline}</cmdline>"
DISK = """
<disk type="file" device="disk">
  <driver name="qemu" type="{format}"/><source file="{path}"/><target dev="vda" bus="virtio"/>
</disk>
"""


class Door:
    """Serves one script to whoever asks, and notes who did."""

    def __init__(self, listening: socket.socket, script: str) -> None:
        self.asked: list[tuple[str, str]] = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append((self.client_address[0], self.path))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(script.encode())

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("", 0), Handler, bind_and_activate=False)
        self.server.socket.close()
        self.server.socket = listening

    @contextmanager
    def open(self) -> Iterator[None]:
        """Serve."""
        thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield
        finally:
            self.server.shutdown()
            thread.join()
            self.server.server_close()


def until(what: Callable[[], object], seconds: float) -> None:
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.05)


def domain(*, direct: str = "", disk: str = "", filtered: str = "", address: str = "") -> str:
    """The XML of a guest; what it says to its console is in the pool's `guest.log`.

    Args:
        filtered: The name of libvirt's filter for it, which holds it to `address`.
    """
    parameter = f'<parameter name="IP" value="{address}"/>'
    kept = f'<filterref filter="{filtered}">{parameter}</filterref>' if filtered else ""
    return DOMAIN.format(direct=direct, disk=disk, filter=kept, mac=MAC, pool=POOL)


def settled(hypervisor: Hypervisor, last: int) -> str:
    """Have the DHCP server give one address to the guest, and to nobody else; which one."""
    address = f"{hypervisor.net}.{last}"
    add = libvirt.VIR_NETWORK_UPDATE_COMMAND_ADD_LAST
    hosts = libvirt.VIR_NETWORK_SECTION_IP_DHCP_HOST
    with closing(hypervisor.open()) as connection:
        network = connection.networkLookupByName("default")
        network.update(add, hosts, -1, f'<host mac="{MAC}" ip="{address}"/>')
    return address


def directly(image: GuestImage, url: str) -> str:
    """Have the guest's kernel started by QEMU, and the guest know its scaler's URL."""
    return DIRECT.format(pool=POOL, cmdline=escape(f"{image.cmdline} scaler.url={url}"))


def run(hypervisor: Hypervisor, xml: str) -> str:
    """Run a guest to its end; what it said."""
    log = hypervisor.pool / "guest.log"
    with closing(hypervisor.open()) as connection:
        connection.createXML(xml)
        until(lambda: not connection.listAllDomains(), BOOT)
        return log.read_text(errors="replace")
