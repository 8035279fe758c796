"""Why a domain is off, or stands still: libvirt's numbers in words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import libvirt

if TYPE_CHECKING:
    from scaler_libvirt.hosts.life import Pause

# a program that libvirt runs: its command line, then what it says, then where in a file it works
_PROGRAM = re.compile(r"internal error: Child process \(.*?\) unexpected [a-z ]+ \d+: (?:\S+: )*")

SHUT_DOWN = "shut down from within"
UNSEEN = "it is gone from its host; nobody saw it end"
CRASHED = "its system crashed"


def why_shut_off(reason: int) -> str:
    """In words, why a domain is off, from libvirt's `VIR_DOMAIN_SHUTOFF_*`."""
    return {
        libvirt.VIR_DOMAIN_SHUTOFF_SHUTDOWN: SHUT_DOWN,
        libvirt.VIR_DOMAIN_SHUTOFF_DESTROYED: "destroyed",
        libvirt.VIR_DOMAIN_SHUTOFF_CRASHED: "crashed",
        libvirt.VIR_DOMAIN_SHUTOFF_FAILED: "failed to start",
    }.get(reason, "off")


def why_stopped(detail: int) -> str | None:
    """In words, why a domain stopped, from libvirt's `VIR_DOMAIN_EVENT_STOPPED_*`.

    None: it did not stop, it went to another host.
    """
    if detail == libvirt.VIR_DOMAIN_EVENT_STOPPED_MIGRATED:
        return None
    return {
        libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN: SHUT_DOWN,
        libvirt.VIR_DOMAIN_EVENT_STOPPED_DESTROYED: "destroyed",
        libvirt.VIR_DOMAIN_EVENT_STOPPED_CRASHED: "crashed",
        libvirt.VIR_DOMAIN_EVENT_STOPPED_SAVED: "saved to a file by someone",
        libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED: "the hypervisor failed",
        libvirt.VIR_DOMAIN_EVENT_STOPPED_FROM_SNAPSHOT: "reverted to a snapshot by someone",
    }.get(detail, "stopped")


def why_paused(reason: int) -> Pause:
    """Why a domain stands still, from libvirt's `VIR_DOMAIN_PAUSED_*`.

    QEMU pauses a guest for an I/O error only where the host has no space; other errors are told to
    the guest. What libvirt itself pauses for a moment, to make a copy, is nobody's concern.
    """
    if reason == libvirt.VIR_DOMAIN_PAUSED_IOERROR:
        return "space"
    return "person" if reason == libvirt.VIR_DOMAIN_PAUSED_USER else ""


def plain(error: Exception) -> str:
    """What an error of libvirt's says, in one line: no command line, and no piece of XML."""
    lines = _PROGRAM.sub("", str(error)).strip().splitlines()
    return lines[0].strip() if lines else "it does not say why"
