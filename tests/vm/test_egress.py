"""What guests can reach: with libvirt's filter all, as themselves; with the one in docs little."""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.vm.byhand import Door, directly, domain, run, settled
from tests.vm.lab import Hypervisor, stock
from tests.vm.namespaces import Namespace

if TYPE_CHECKING:
    from tests.vm.guestimage import GuestImage

OURS = Path(__file__).parent.parent.parent / "docs/examples/nwfilter/scaler-guest.xml"
OTHER = 8001  # a port that is nobody's business
METADATA = "169.254.169.254"
INTERNET = "203.0.113.5"  # of the addresses for documentation
LAN = "10.77.0.2"
SCRIPT = """
try() {
    timeout 5 wget -q -O /dev/null "http://$2/" && echo "probe $1: reached" || echo "probe $1: no"
}
try host {host}:{other}
try door-elsewhere {lan}:8000
try lan {lan}:{other}
try metadata {metadata}:{other}
try internet {internet}:{other}
ip addr flush dev eth0
ip addr add {stolen}/24 dev eth0
try as-another {host}:8000
"""


@pytest.mark.parametrize(
    ("name", "reached"),
    [
        ("clean-traffic", {"host", "door-elsewhere", "lan", "metadata", "internet"}),
        ("scaler-guest", {"internet"}),
    ],
)
def test_d31_d17_what_a_guest_reaches(image: GuestImage, name: str, reached: set[str]) -> None:
    with Hypervisor(nat=True) as hypervisor, Namespace() as outside, ExitStack() as stack:
        stock(hypervisor, image)
        hypervisor.join(outside, "10.77.0.1", LAN)
        outside.run("ip", "addr", "add", f"{INTERNET}/32", "dev", "lo")
        hypervisor.run("ip", "route", "add", INTERNET, "via", LAN)
        hypervisor.run("ip", "addr", "add", f"{METADATA}/32", "dev", "lo")
        script = SCRIPT
        for word, value in {
            "host": hypervisor.address,
            "lan": LAN,
            "metadata": METADATA,
            "internet": INTERNET,
            "other": str(OTHER),
            "stolen": f"{hypervisor.net}.250",
        }.items():
            script = script.replace(f"{{{word}}}", value)
        door = Door(hypervisor.listen(hypervisor.address, 8000), script)
        others = [
            Door(hypervisor.listen("0.0.0.0", OTHER), ""),
            Door(outside.listen("0.0.0.0", 8000), ""),
            Door(outside.listen("0.0.0.0", OTHER), ""),
        ]
        for each in (door, *others):
            stack.enter_context(each.open())
        with closing(hypervisor.open()) as connection:
            ours = OURS.read_text().replace("192.168.122.1", hypervisor.address)
            connection.nwfilterDefineXML(ours)
        direct = directly(image, f"http://{hypervisor.address}:8000")
        address = settled(hypervisor, 20)
        said = run(hypervisor, domain(direct=direct, filtered=name, address=address))
    probes = dict(
        line.removeprefix("probe ").strip().split(": ")
        for line in said.splitlines()
        if line.startswith("probe ")
    )
    everywhere = {"host", "door-elsewhere", "lan", "metadata", "internet", "as-another"}
    assert probes.keys() == everywhere, said
    assert {each for each, what in probes.items() if what == "reached"} == reached
    assert len(door.asked) == 1
