"""The plugin keeps what its hooks promise, on libvirt's test driver: without disks, and with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import libvirt
import pytest

from scaler.testing import check_provisioner
from scaler_libvirt.hosts import volumes
from scaler_libvirt.plugin import Libvirt
from scaler_libvirt.testing_disks import POOL, left_in

if TYPE_CHECKING:
    from scaler_libvirt.testing import PrivateLibvirtd

SETTINGS = """
[plugins.libvirt]
hosts = [{{ name = "local", uri = "{uri}", memory = "64G", vcpus = 64, network = "default" }}]

[profiles.linux]
labels = ["linux"]
max_count = 4
resources = {{ memory = "64M", vcpus = 1 }}
[profiles.linux.libvirt]
{own}
"""
DISK = 'base_image = "/images/base.qcow2"'


@pytest.mark.parametrize("own", ["", DISK], ids=["without disks", "with disks"])
async def test_it_keeps_its_promises(someone: Any, own: str) -> None:
    await check_provisioner(
        Libvirt, settings=SETTINGS.format(uri="test:///default", own=own), points=12
    )
    assert {domain.name() for domain in someone.listAllDomains()} == {"test"}
    pool = volumes.open_pool(someone, POOL)
    assert [left_in(pool, scaler) for scaler in ("here", "here-2")] == [[], []]


async def test_it_keeps_them_over_a_daemon(libvirtd: PrivateLibvirtd) -> None:
    watcher = libvirt.open(libvirtd.uri)  # what the driver has goes with its last connection
    try:
        await check_provisioner(
            Libvirt, settings=SETTINGS.format(uri=libvirtd.uri, own=DISK), points=6
        )
        assert {domain.name() for domain in watcher.listAllDomains()} == {"test"}
    finally:
        watcher.close()
