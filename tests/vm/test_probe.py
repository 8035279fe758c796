"""The guest that shows whether KVM works, run for real, where it is known to run: emulated."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import TYPE_CHECKING

import libvirt

from scaler_libvirt.hosts import driver, probe
from scaler_libvirt.hosts.events import turn_event_loop

if TYPE_CHECKING:
    from tests.vm.lab import Hypervisor


def test_the_guest_counts_and_turns_itself_off_and_nothing_is_left(hypervisor: Hypervisor) -> None:
    turn_event_loop()
    with closing(libvirt.open(hypervisor.uri)) as connection:
        verdict = probe.probe(connection, "here", "default", 60, kind="qemu")
        assert verdict.works, verdict.text
        assert connection.listAllDomains() == []
        pool = connection.storagePoolLookupByName("default")
        assert not [each.name() for each in pool.listAllVolumes() if "probe" in each.name()]


def test_one_that_somebody_ends_has_shown_nothing(hypervisor: Hypervisor) -> None:
    turn_event_loop()
    with (
        closing(libvirt.open(hypervisor.uri)) as connection,
        closing(libvirt.open(hypervisor.uri)) as another,
    ):
        assert driver.list_ours(another, "here") == []

        def end(_: object, domain: libvirt.virDomain, event: int, *__: object) -> None:
            if event == libvirt.VIR_DOMAIN_EVENT_STARTED:
                seen.append(domain.name())
                threading.Thread(target=kill, args=(domain.UUIDString(),)).start()

        def kill(uuid: str) -> None:
            shown.append(driver.list_ours(another, "here"))
            another.lookupByUUIDString(uuid).destroy()

        seen: list[str] = []
        shown: list[list[driver.Seen]] = []
        another.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, end, None)
        verdict = probe.probe(connection, "here", "default", 60, kind="qemu")
        assert len(seen) == 1
        assert shown == [[]], "it is nobody's machine"
        assert not verdict.works
        assert "did not run to its end: destroyed" in verdict.text
