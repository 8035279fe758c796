"""Whether KVM works is shown by booting, and remembered where it does."""

from __future__ import annotations

import logging
import xml.etree.ElementTree as ET
from typing import Any

import libvirt
import pytest

from scaler_libvirt.hosts import probe, volumes
from scaler_libvirt.hosts.acceleration import Acceleration
from scaler_libvirt.hosts.base import PoolTroubleError
from scaler_libvirt.hosts.driver import Facts
from scaler_libvirt.hosts.remnants import remnants
from scaler_libvirt.machine.identity import identity_of
from scaler_libvirt.machine.names import tag_of
from scaler_libvirt.settings import HostSettings
from scaler_libvirt.testing import libvirt_error

FACTS = Facts(driver="QEMU", version="9.0.0", hostname="h", arch="x86_64", memory=1, cpus=1)
WITH_KVM = """<capabilities><host><uuid>u</uuid></host>
<guest><os_type>hvm</os_type><arch name='x86_64'><domain type='qemu'/><domain type='kvm'/></arch>
</guest></capabilities>"""


SHUTDOWN = libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN
CRASHED = libvirt.VIR_DOMAIN_EVENT_STOPPED_CRASHED
FAILED = libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED
DESTROYED = libvirt.VIR_DOMAIN_EVENT_STOPPED_DESTROYED


class Hypervisor:
    """One that starts a domain, which ends after some looks at it; never where that is None."""

    def __init__(
        self,
        looks: int | None,
        *,
        kvm: bool = True,
        arch: str = "x86_64",
        detail: int | None = SHUTDOWN,
    ) -> None:
        self._looks = looks
        self._kvm = kvm
        self._arch = arch
        self._detail = detail
        self._note: Any = None
        self.started: list[str] = []
        self.there: dict[str, str] = {}
        self.ended: list[str] = []

    def getInfo(self) -> list[Any]:  # noqa: N802
        return [self._arch]

    def getLibVersion(self) -> int:  # noqa: N802
        return 9000000

    def getVersion(self) -> int:  # noqa: N802
        return 7002000

    def getCapabilities(self) -> str:  # noqa: N802
        return WITH_KVM if self._kvm else WITH_KVM.replace("<domain type='kvm'/>", "")

    def isAlive(self) -> bool:  # noqa: N802
        return True

    def domainEventRegisterAny(self, _: None, event: int, note: Any, __: None) -> int:  # noqa: N802
        assert event == libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE
        assert not self.started, "an end that comes at once is not seen"
        self._note = note
        return 7

    def domainEventDeregisterAny(self, number: int) -> None:  # noqa: N802
        assert number == 7
        self._note = None

    def createXML(self, xml: str, flags: int) -> Any:  # noqa: N802
        assert flags == libvirt.VIR_DOMAIN_START_AUTODESTROY  # a killed scaler leaves none behind
        assert 'type="kvm"' in xml
        self.started.append(xml)
        domain = Domain(self, xml)
        self.there[domain.uuid] = xml
        self._note(self, Other(), libvirt.VIR_DOMAIN_EVENT_STOPPED, SHUTDOWN, None)
        return domain

    def look(self, domain: Domain) -> bool:
        if self._looks is None:
            return True
        self._looks -= 1
        if self._looks > 0:
            return True
        del self.there[domain.uuid]
        if self._detail is not None:
            self._note(self, domain, libvirt.VIR_DOMAIN_EVENT_STOPPED, self._detail, None)
        return False

    def lookupByUUIDString(self, uuid: str) -> Any:  # noqa: N802
        if uuid not in self.there:
            raise error_with(libvirt.VIR_ERR_NO_DOMAIN)
        return Domain(self, self.there[uuid])

    @property
    def running(self) -> bool:
        return self._note is not None


class Domain:
    """One that was started; it is asked for whose it is before it is destroyed."""

    def __init__(self, hypervisor: Hypervisor, xml: str) -> None:
        self._hypervisor = hypervisor
        self._root = ET.fromstring(xml)
        self.uuid = self._root.findtext("uuid", "")

    def UUIDString(self) -> str:  # noqa: N802
        return self.uuid

    def isActive(self) -> bool:  # noqa: N802
        if self._hypervisor.running and self.uuid in self._hypervisor.there:
            return self._hypervisor.look(self)
        return False

    def isPersistent(self) -> bool:  # noqa: N802
        return False

    def metadata(self, *_: Any) -> str:
        return ET.tostring(self._root.find("metadata")[0], encoding="unicode")  # type: ignore[index]

    def connect(self) -> Any:
        return self

    def getType(self) -> str:  # noqa: N802
        return "QEMU"

    def destroyFlags(self, _: int) -> None:  # noqa: N802
        self.destroy()

    def destroy(self) -> None:
        self._hypervisor.ended.append(self.uuid)
        del self._hypervisor.there[self.uuid]


class Other:
    """Somebody's domain, that ends while ours runs."""

    def UUIDString(self) -> str:  # noqa: N802
        return "somebody's"


def error_with(code: int) -> libvirt.libvirtError:
    error = libvirt_error("it says no")
    error.err = (code, 0, "it says no", 2, "", "", "", 0, 0)
    return error


@pytest.fixture(autouse=True)
def disks(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """The pool's volumes."""
    there: dict[str, bytes] = {}

    def create(_: Any, name: str, content: bytes) -> str:
        there[name] = content
        return f"/pool/{name}"

    def delete(_: Any, doomed: list[str]) -> int:
        return len([there.pop(name) for name in doomed])

    monkeypatch.setattr(volumes, "open_pool", lambda connection, name: name)
    monkeypatch.setattr(volumes, "create_filled", create)
    monkeypatch.setattr(volumes, "delete", delete)
    monkeypatch.setattr(probe, "_LOOKS", 0.01)
    monkeypatch.setattr(probe, "_LATE", 0.05)
    return there


def test_a_guest_that_turns_itself_off_has_run(disks: dict[str, bytes]) -> None:
    hypervisor = Hypervisor(2)
    assert probe.probe(hypervisor, "here", "p", 5).works
    assert len(hypervisor.started) == 1
    assert not hypervisor.running
    assert disks == {}


@pytest.mark.parametrize(
    ("detail", "why"),
    [
        (CRASHED, "crashed"),
        (FAILED, "the hypervisor failed"),
        (DESTROYED, "destroyed"),
        (None, "nobody saw it end"),
    ],
)
def test_any_other_end_has_shown_nothing(
    detail: int | None, why: str, disks: dict[str, bytes]
) -> None:
    verdict = probe.probe(Hypervisor(2, detail=detail), "here", "p", 5)
    assert not verdict.works
    assert why in verdict.text
    assert disks == {}


def test_one_that_does_not_is_ended_and_leaves_nothing(disks: dict[str, bytes]) -> None:
    hypervisor = Hypervisor(None)
    verdict = probe.probe(hypervisor, "here", "p", 0.1)
    assert not verdict.works
    assert "did not come to its end in 0.1 s" in verdict.text
    assert len(hypervisor.ended) == 1
    assert disks == {}


def test_two_at_once_are_each_others_nobody() -> None:
    hypervisor = Hypervisor(None)
    probe.probe(hypervisor, "here", "p", 0.05)
    first = Domain(hypervisor, hypervisor.started[0])
    hypervisor.there[first.uuid] = hypervisor.started[0]
    hypervisor.started.clear()
    probe.probe(hypervisor, "here", "p", 0.05)
    assert list(hypervisor.there) == [first.uuid]
    assert hypervisor.ended.count(first.uuid) == 1


def test_it_says_whose_it_is_and_its_disk_is_swept_when_it_is_left(
    disks: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(volumes, "delete", lambda _, doomed: 0)
    hypervisor = Hypervisor(1)
    probe.probe(hypervisor, "here", "p", 5)
    found = identity_of(hypervisor.started[0])
    assert found is not None
    assert (found.scaler, found.runner, found.role) == ("here", None, "probe")
    (left,) = remnants(disks, tag_of("here"), ()).values()
    assert not left.worth


def test_what_is_booted_is_a_sector_that_says_that_it_is_one(disks: dict[str, bytes]) -> None:
    content = probe.disk()
    assert len(content) == 1 << 20
    assert content[510:512] == b"\x55\xaa"
    assert content[0] == 0xEA


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
    verdict = probe.probe(hypervisor, "here", "p", 5)
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


async def test_a_crash_is_never_remembered_as_kvm_that_works() -> None:
    asked: Any = Asked(Hypervisor(1, detail=CRASHED))
    first = acceleration(asked)
    await first.find_out(asked)
    assert first.kind == "qemu"
    assert asked.saved == {}


async def test_without_its_pool_nothing_is_known_and_it_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stopped(*_: Any) -> Any:
        raise PoolTroubleError("storage pool 'default' is not active")

    asked: Any = Asked(Hypervisor(1))
    found = acceleration(asked)
    with monkeypatch.context() as patch:
        patch.setattr(volumes, "open_pool", stopped)
        await found.find_out(asked)
    assert (found.kind, asked.saved) == (None, {})
    await found.find_out(asked)
    assert found.kind == "kvm"


async def test_a_machine_that_failed_for_kvm_has_what_is_remembered_looked_at_again() -> None:
    asked: Any = Asked(Hypervisor(1))
    found = acceleration(asked)
    await found.find_out(asked)
    assert not found.doubt("Cannot allocate memory")
    assert (found.kind, found.doubt("Could not access KVM kernel module")) == ("kvm", True)
    assert (found.kind,) == (None,)
    asked.hypervisor = Hypervisor(1, detail=CRASHED)
    await found.find_out(asked)
    assert found.kind == "qemu"
    asked.hypervisor = Hypervisor(1, detail=CRASHED)
    again = acceleration(asked)  # after a restart
    await again.find_out(asked)
    assert again.kind == "qemu"


async def test_what_the_settings_say_is_not_doubted() -> None:
    found = acceleration(Asked(Hypervisor(1)), "kvm")
    found.given(FACTS)
    assert not found.doubt("Could not access KVM kernel module: Permission denied")
    assert found.kind == "kvm"
