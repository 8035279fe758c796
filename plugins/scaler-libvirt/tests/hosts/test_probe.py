"""Whether KVM works is shown by booting, and remembered where it does."""

from __future__ import annotations

import logging
from typing import Any

import libvirt
import pytest

from scaler_libvirt.hosts import probe
from scaler_libvirt.hosts.acceleration import Acceleration
from scaler_libvirt.hosts.driver import Facts
from scaler_libvirt.settings import HostSettings

FACTS = Facts(driver="QEMU", version="9.0.0", hostname="h", arch="x86_64", memory=1, cpus=1)
WITH_KVM = """<capabilities><host><uuid>u</uuid></host>
<guest><os_type>hvm</os_type><arch name='x86_64'><domain type='qemu'/><domain type='kvm'/></arch>
</guest></capabilities>"""


class Hypervisor:
    """One that starts a domain, which ends after some looks at it; never where that is None."""

    def __init__(self, looks: int | None, *, kvm: bool = True, arch: str = "x86_64") -> None:
        self._looks = looks
        self._kvm = kvm
        self._arch = arch
        self.started: list[str] = []
        self.ended: list[str] = []

    def getInfo(self) -> list[Any]:  # noqa: N802
        return [self._arch]

    def getLibVersion(self) -> int:  # noqa: N802
        return 9000000

    def getVersion(self) -> int:  # noqa: N802
        return 7002000

    def getCapabilities(self) -> str:  # noqa: N802
        return WITH_KVM if self._kvm else WITH_KVM.replace("<domain type='kvm'/>", "")

    def createXML(self, xml: str, flags: int) -> Any:  # noqa: N802
        assert flags == libvirt.VIR_DOMAIN_START_AUTODESTROY  # a killed scaler leaves none behind
        assert 'type="kvm"' in xml
        self.started.append(xml)
        return self

    def isActive(self) -> bool:  # noqa: N802
        if self._looks is None:
            return True
        self._looks -= 1
        return self._looks > 0

    def lookupByName(self, name: str) -> Any:  # noqa: N802
        return self if self.started else _raise(libvirt.libvirtError("none"))

    def destroy(self) -> None:
        self.ended.append("it")


def _raise(error: Exception) -> None:
    raise error


def test_a_firmware_that_comes_to_its_end_has_run() -> None:
    hypervisor = Hypervisor(2)
    assert probe.probe(hypervisor, "p", 5).works
    assert len(hypervisor.started) == 1


def test_one_that_does_not_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_LOOKS", 0.01)
    hypervisor = Hypervisor(None)
    verdict = probe.probe(hypervisor, "p", 0.1)
    assert not verdict.works
    assert "did not come to its end in 0.1 s" in verdict.text
    assert hypervisor.ended


@pytest.mark.parametrize(
    ("hypervisor", "text"),
    [
        (Hypervisor(1, kvm=False), "libvirt has no KVM there"),
        (Hypervisor(1, arch="aarch64"), "nothing to show it with on aarch64"),
    ],
)
def test_where_there_is_nothing_to_try_nothing_is_started(
    hypervisor: Hypervisor, text: str
) -> None:
    verdict = probe.probe(hypervisor, "p", 5)
    assert not verdict.works
    assert text in verdict.text
    assert not hypervisor.started


class Asked:
    """A connection that runs what it is given, and a memory."""

    name = "vm1"

    def __init__(self, hypervisor: Hypervisor) -> None:
        self.hypervisor = hypervisor
        self.saved: dict[str, object] = {}

    async def call(self, work: Any, **_: Any) -> Any:
        return work(self.hypervisor)

    async def load(self, key: str) -> object:
        return self.saved.get(key)

    async def save(self, key: str, value: object) -> None:
        self.saved[key] = value


def acceleration(asked: Asked, word: Any = "auto") -> Acceleration:
    host = HostSettings(name="vm1", uri="qemu:///system", acceleration=word)
    return Acceleration(host, "here", asked, logging.LoggerAdapter(logging.getLogger("t"), {}))


async def test_what_works_is_remembered_for_this_hypervisor_in_this_version() -> None:
    asked: Any = Asked(Hypervisor(1))
    first = acceleration(asked)
    assert not first.given(FACTS)
    await first.find_out(asked)
    assert (first.kind, first.text) == ("kvm", "")
    second = acceleration(asked)
    await second.find_out(asked)
    assert second.kind == "kvm"
    assert len(asked.hypervisor.started) == 1
    asked.saved["kvm/vm1"] = "u 9000000 1"
    asked.hypervisor = Hypervisor(1)
    await acceleration(asked).find_out(asked)
    assert len(asked.hypervisor.started) == 1


async def test_what_does_not_work_is_tried_anew_at_the_next_start() -> None:
    asked: Any = Asked(Hypervisor(1, kvm=False))
    first = acceleration(asked)
    await first.find_out(asked)
    assert first.kind == "qemu"
    assert first.text == "no KVM, so guests are emulated: libvirt has no KVM there"
    assert asked.saved == {}


@pytest.mark.parametrize(("word", "kind"), [("kvm", "kvm"), ("none", "qemu")])
def test_what_the_settings_say_is_not_found_out(word: str, kind: str) -> None:
    asked: Any = Asked(Hypervisor(1))
    found = acceleration(asked, word)
    assert found.given(FACTS)
    assert found.kind == kind
