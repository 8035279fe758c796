"""Pictures of machines that end while they are taken."""

from __future__ import annotations

from typing import Any

import libvirt
import pytest

from scaler_libvirt.hosts import driver
from scaler_libvirt.machine.identity import Identity
from scaler_libvirt.testing import libvirt_error


class Going:
    """A hypervisor with a domain that is there until its screen is asked for."""

    def __init__(self, code: int) -> None:
        self.code = code
        self.aborted = False

    def lookupByUUIDString(self, uuid: str) -> Going:  # noqa: N802 - libvirt's
        del uuid
        return self

    def newStream(self) -> Going:  # noqa: N802 - libvirt's
        return self

    def screenshot(self, stream: object, screen: int) -> str:
        del stream, screen
        error = libvirt_error("it is so")
        error.err = (self.code, libvirt.VIR_FROM_QEMU, "it is so", 2, "", None, None, 0, 0)
        raise error

    def abort(self) -> None:
        self.aborted = True


@pytest.fixture(autouse=True)
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    identity = Identity(
        scaler="host-1", runner=1, runner_name="linux.1@host-1", profile="linux", generation=1
    )
    monkeypatch.setattr(driver, "_identity", lambda *_: identity)


def take(hypervisor: Any) -> bytes | None:
    return driver.screenshot(hypervisor, "uuid", "host-1")


@pytest.mark.parametrize(
    "code", [libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_OPERATION_INVALID], ids=["gone", "off"]
)
def test_a_machine_that_ends_meanwhile_has_no_picture(code: int) -> None:
    going = Going(code)
    assert take(going) is None
    assert going.aborted


def test_what_else_fails_is_told() -> None:
    going = Going(libvirt.VIR_ERR_INTERNAL_ERROR)
    with pytest.raises(libvirt.libvirtError):
        take(going)
    assert going.aborted
