"""What a person is told about a host."""

from __future__ import annotations

from typing import Any

import libvirt
import pytest

from scaler import Size, Unavailable
from scaler_libvirt.findings import findings, how_to_fix
from scaler_libvirt.hosts.driver import Facts
from scaler_libvirt.settings import HostSettings
from scaler_libvirt.testing import libvirt_error

FACTS = Facts(driver="QEMU", version="9.0.0", hostname="h", arch="x86_64", memory=16 << 30, cpus=8)


def failure(code: int, text: str) -> Exception:
    error: Any = libvirt_error(text)
    error.err = (code, libvirt.VIR_FROM_RPC, text, 2, "", "", "", -1, -1)
    assert isinstance(error, Exception)
    return error


@pytest.mark.parametrize(
    ("uri", "error", "fix"),
    [
        (
            "qemu:///system",
            failure(
                38,
                "Failed to connect socket to '/run/libvirt/libvirt-sock': No such file"
                " or directory",
            ),
            "systemctl enable --now libvirtd",
        ),
        (
            "qemu:///system",
            failure(38, "Failed to connect socket to '/x': Permission denied"),
            "group libvirt",
        ),
        ("qemu:///system", failure(libvirt.VIR_ERR_AUTH_UNAVAILABLE, "no polkit"), "polkit"),
        (
            "qemu+ssh://root@vm2/system",
            failure(38, "Cannot recv data: Permission denied (publickey)"),
            "virsh -c 'qemu+ssh://root@vm2/system'",
        ),
        ("qemu+tcp://vm2/system", failure(38, "Connection refused"), "on vm2"),
        ("qumu:///system", failure(5, "no connection driver available"), "correct the uri"),
        ("qemu:///system", Unavailable("it does not answer"), "hangs"),
    ],
)
def test_how_to_fix(uri: str, error: Exception, fix: str) -> None:
    assert fix in how_to_fix(uri, error)


def test_a_host_cannot_give_more_than_it_has() -> None:
    host = HostSettings(name="vm1", uri="qemu:///system", memory=Size.parse("64G"))
    good, bad = findings(host, FACTS)
    assert (good.ok, bad.ok) == (True, False)
    assert "'64G', but it has 16G" in bad.text


def test_the_test_driver_has_as_much_as_is_wanted() -> None:
    host = HostSettings(name="vm1", uri="test:///default", memory=Size.parse("64G"))
    test = Facts(driver="Test", version="9", hostname="h", arch="i686", memory=3 << 30, cpus=16)
    assert [finding.ok for finding in findings(host, test)] == [True]


def test_a_driver_that_we_do_not_know() -> None:
    host = HostSettings(name="vm1", uri="lxc:///")
    xen = Facts(driver="LXC", version="1", hostname="h", arch="x86_64", memory=1, cpus=1)
    assert [finding.ok for finding in findings(host, xen)] == [True, False]
