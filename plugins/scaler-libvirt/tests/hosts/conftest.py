"""What the tests of hosts share."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import libvirt
import pytest

from scaler_libvirt.hosts import networks
from scaler_libvirt.hosts.orders import Orders
from scaler_libvirt.testing_disks import POOL

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def pool(someone: Any) -> Iterator[Any]:
    """The test driver's pool; active again afterwards, for who comes next in this process."""
    found = someone.storagePoolLookupByName(POOL)
    yield found
    if not found.isActive():
        found.create()


@pytest.fixture
def network(someone: Any) -> Any:
    """The test driver's network, without entries of an earlier test."""
    found = networks.open_network(someone, "default")
    for entry in networks.facts(found).entries:
        found.update(
            libvirt.VIR_NETWORK_UPDATE_COMMAND_DELETE,
            libvirt.VIR_NETWORK_SECTION_IP_DHCP_HOST,
            -1,
            f"<host mac='{entry.mac}' ip='{entry.ip}' name='{entry.name}'/>",
            libvirt.VIR_NETWORK_UPDATE_AFFECT_LIVE,
        )
    return found


@pytest.fixture
def fully(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have machines made of everything, on the test driver, too: also a seed and a log."""
    machine = Orders.machine

    def whole(self: Orders, *args: Any, **more: Any) -> Any:
        order = machine(self, *args, **more)
        return replace(order, seed=lambda: b"what it is told", log=True)

    monkeypatch.setattr(Orders, "machine", whole)
