"""What `scaler check` says of a host: whether it answers, and what to do where it does not."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import libvirt
import trio

from scaler import Finding, Size, Unavailable
from scaler_libvirt.hosts import disks, driver, probe
from scaler_libvirt.hosts.base import CannotBeMadeError
from scaler_libvirt.hosts.conditions import inspect
from scaler_libvirt.hosts.files import read_file
from scaler_libvirt.machine.guest import warnings_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from scaler_libvirt.hosts.conditions import Wants
    from scaler_libvirt.hosts.connection import Connection
    from scaler_libvirt.settings import HostSettings, ProfileConfig

_TEST = "TEST"  # remembers machines, and runs none: its numbers are made up
_DRIVERS = ("QEMU", _TEST)
_PATIENCE = 25.0  # seconds; all of a check has 30
_FIRMWARE = 15.0
_HOW = ("make ", "put ", "give ", "set ", "name ", "virsh ")  # how the words of a remedy begin


async def check_host(
    host: HostSettings,
    connection: Connection,
    *,
    scaler: str,
    wants: Mapping[str, Wants],
) -> list[Finding]:
    """Ask one host who it is and what it has, by connections of its own; leave nothing there.

    Args:
        host: Its settings.
        connection: To it, open or not.
        scaler: Whose name a guest that is booted there carries.
        wants: What each profile's machines need of it.
    """
    try:
        facts = await connection.ask(driver.facts)
    except (driver.Error, Unavailable) as error:
        text = str(error).removeprefix(f"host {host.name}: ")
        return [
            Finding(
                ok=False,
                text=f"host {host.name} ({host.uri}): {text}",
                fix=how_to_fix(host.uri, error),
            )
        ]
    found = findings(host, facts)
    parts: dict[str, list[Finding]] = {"kvm": [], "profiles": []}

    async def part(name: str, ask: partial[list[Finding]]) -> None:
        try:
            parts[name] = await connection.ask(ask, deadline=_PATIENCE)
        except (driver.Error, Unavailable) as error:
            parts[name] = [
                Finding(
                    ok=False,
                    text=f"host {host.name}: {error}",
                    fix="see libvirt's log on that host",
                    need="unseen",
                )
            ]

    async with trio.open_nursery() as nursery:
        if facts.driver.upper() == "QEMU" and host.acceleration != "none":
            nursery.start_soon(part, "kvm", partial(check_kvm, host=host, scaler=scaler))
        if wants and facts.driver.upper() in _DRIVERS:
            nursery.start_soon(part, "profiles", partial(check_profiles, host=host, wants=wants))
    return [*found, *parts["kvm"], *parts["profiles"]]


def check_kvm(connection: driver.Connection, host: HostSettings, scaler: str) -> list[Finding]:
    """See whether KVM works, by booting. Blocks."""
    try:
        verdict = probe.probe(connection, scaler, host.pool_name, _FIRMWARE)
    except (CannotBeMadeError, driver.NoSpaceError) as error:
        verdict = probe.Verdict(works=False, text=f"it could not be tried: {error}")
    if verdict.works:
        return [Finding(ok=True, text=f"host {host.name}: KVM works: {verdict.text}")]
    usable = (
        "make /dev/kvm usable there (virtualization in the firmware, the module kvm_intel or "
        "kvm_amd); or set acceleration = "
    )
    if host.acceleration == "kvm":
        return [
            Finding(
                ok=False,
                text=f'host {host.name}: acceleration = "kvm", but no guest runs so: '
                f"{verdict.text}",
                fix=f'{usable}"auto"',
            )
        ]
    return [
        Finding(
            ok=False,
            text=f"host {host.name}: guests are emulated, many times slower: {verdict.text}",
            fix=f'{usable}"none" where it is meant so',
            need="useful",
        )
    ]


def check_profiles(
    connection: driver.Connection, host: HostSettings, wants: Mapping[str, Wants]
) -> list[Finding]:
    """See whether each profile's machines can be made there, and from what. Blocks."""
    # (files beside the settings are the same for all hosts: see `check_guests`)
    wants = {name: replace(each, guest=None) for name, each in wants.items()}
    refusals = inspect(connection, host.pool_name, wants).refusals
    found = [
        _refused(host, [each for each in refusals if refusals[each] == why], why)
        for why in dict.fromkeys(refusals.values())
    ]
    for profile, each in wants.items():
        if profile not in refusals and each.base is not None:
            found += _check_base(connection, host, profile, each)
    if not refusals and wants:
        names = ", ".join(wants)
        found.insert(0, Finding(ok=True, text=f"host {host.name} has what it takes for {names}"))
    return found


def _refused(host: HostSettings, profiles: list[str], why: str) -> Finding:
    text, _, how = why.rpartition(": ")
    if not text or not how.startswith(_HOW):
        text, how = why, f"correct [profiles.{profiles[0]}.libvirt], or what it names"
    how = how.replace("[profiles.X.", f"[profiles.{profiles[0]}.")
    return Finding(
        ok=False, text=f"host {host.name} takes nothing of {', '.join(profiles)}: {text}", fix=how
    )


def _check_base(
    connection: driver.Connection, host: HostSettings, profile: str, wants: Wants
) -> list[Finding]:
    base = wants.base
    if base is None or host.test_driver:
        return []
    try:
        disk = disks.look(connection, host.pool_name, base)
    except CannotBeMadeError as error:
        return [_refused(host, [profile], str(error))]
    if disk is None:
        return [
            Finding(
                ok=False,
                text=f"host {host.name}: {base.path} of {profile} lies in no storage pool, so "
                "nobody can look at it from here",
                fix="put it into a pool (virsh pool-define-as), or see for yourself that it is "
                "there, and readable by libvirt",
                need="unseen",
            )
        ]
    text = f"host {host.name}: {disk.path} of {profile}, {Size(disk.size)}"
    return [Finding(ok=True, text=text)]


async def check_files(own: Mapping[str, ProfileConfig]) -> list[Finding]:
    """`check_guests`, or that the files cannot be read: who hangs with them hangs alone."""
    with trio.move_on_after(_PATIENCE):
        return await trio.to_thread.run_sync(check_guests, own, abandon_on_cancel=True)
    paths = dict.fromkeys(str(each.guest_xml) for each in own.values() if each.guest_xml)
    return [
        Finding(
            ok=False,
            text=f"{', '.join(paths)}: not read within {_PATIENCE:g} s",
            fix="see that what these files lie on answers (a network file system?)",
        )
    ]


def check_guests(own: Mapping[str, ProfileConfig]) -> list[Finding]:
    """What the profiles' settings and files say, wherever machines are made. Blocks."""
    found: list[Finding] = []
    for path in dict.fromkeys(each.guest_xml for each in own.values() if each.guest_xml):
        found += _check_guest(path)
    for profile, each in own.items():
        if each.address in ("arp", "agent") and each.identify == "address":
            found.append(
                Finding(
                    ok=False,
                    text=f"profile {profile}: guests are known by an address that they tell "
                    f'themselves (address = "{each.address}")',
                    fix='set identify = "secret", or address = "fixed"',
                    need="useful",
                )
            )
    return found


def _check_guest(path: Path) -> list[Finding]:
    try:
        warnings = warnings_of(read_file(path))
    except ValueError as error:
        text = str(error) if str(path) in str(error) else f"{path}: {error}"
        return [Finding(ok=False, text=text, fix=f"correct {path}")]
    return [
        Finding(
            ok=False,
            text=f"{path}: {warning}",
            fix="add an <interface type='network'>, or set jit_delivery = \"seed\""
            if "has no <interface>" in warning
            else "take it out, unless every job may have it",
            need="useful",
        )
        for warning in warnings
    ] or [Finding(ok=True, text=f"{path} can be completed")]


def findings(host: HostSettings, facts: driver.Facts) -> list[Finding]:
    """What is well and wrong with a host that answered."""
    found = [
        Finding(
            ok=True,
            text=f"host {host.name} ({host.uri}): {facts.driver} {facts.version} "
            f"on {facts.hostname}, {facts.cpus} processors, {Size(facts.memory)} of memory",
        )
    ]
    if facts.driver.upper() not in _DRIVERS:
        found.append(
            Finding(
                ok=False,
                text=f"host {host.name}: no machines are made on {facts.driver} hypervisors",
                fix='use a uri of the QEMU driver, such as "qemu:///system"',
            )
        )
    runs = facts.driver.upper() != _TEST
    if runs and host.memory is not None and host.memory > facts.memory:
        found.append(
            Finding(
                ok=False,
                text=f"host {host.name}: memory = {str(host.memory)!r}, but it has "
                f"{Size(facts.memory)} in all",
                fix="lower memory in [plugins.libvirt] hosts, and leave some to the host itself",
            )
        )
    return found


def how_to_fix(uri: str, error: Exception) -> str:
    """What a person can do about a host that cannot be connected to."""
    text = str(error).lower()
    code = error.get_error_code() if isinstance(error, driver.Error) else None
    parts = urlsplit(uri)
    where = f" on {parts.hostname}" if parts.hostname else ""
    if isinstance(error, Unavailable):
        return f"libvirt's daemon{where} hangs, or the way there: restart it, look at its log"
    if "permission denied" in text and "publickey" not in text:
        return (
            "add the user that scaler runs as to the group libvirt (usermod -aG libvirt USER), "
            "and start scaler anew"
        )
    if code in (
        libvirt.VIR_ERR_AUTH_FAILED,
        libvirt.VIR_ERR_AUTH_CANCELLED,
        libvirt.VIR_ERR_AUTH_UNAVAILABLE,
    ):
        return f"libvirt{where} wants a login: add the user to the group libvirt, or set up polkit"
    if "+ssh" in parts.scheme or "+libssh" in parts.scheme:
        return f"as the user that scaler runs as, try: virsh -c '{uri}' version"
    if "no such file or directory" in text or "connection refused" in text:
        return (
            f"start libvirt's daemon{where} (systemctl enable --now libvirtd), or correct the uri "
            f"in [plugins.libvirt] hosts"
        )
    return (
        "correct the uri in [plugins.libvirt] hosts (https://libvirt.org/uri.html), and see that "
        f"libvirt's daemon runs{where}"
    )
