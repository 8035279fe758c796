"""Hosts and profiles that cannot be: each is told once, and costs no other profile its runners."""

from __future__ import annotations

import json
import re
import subprocess
import xml.etree.ElementTree as ET
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import trio
from tests.vm.lab import POOL, Hypervisor, stock
from tests.vm.outside import change, command, dashboard, rooms
from tests.vm.site import DIRECT, DOOR, Profile, Site, site

if TYPE_CHECKING:
    from pathlib import Path

    from tests.vm.guestimage import GuestImage

LOOKED = 60.0  # seconds until what a person mends is noticed: a look every thirty
LONGEST = 300  # characters of a reason: it stands in a table
NASTY = "a<b>&amp;\"c'"  # as much of XML as a name can have
QUOTED = json.dumps(NASTY)  # as TOML has it, too
ARGUMENT = "a='<b>&amp;]]>'"

BASE = 'base_image = "guest.raw"'
# By profile: what its libvirt table has, and what is said of it. What stands first is said by
# `scaler check` and for as long as the scaler runs; what stands behind it only the first machine
# can show.
WRONG: dict[str, tuple[str, str]] = {
    "no-base": (
        f'base_image = "{POOL}/nowhere.raw"',
        f"the base {POOL}/nowhere.raw is not there",
    ),
    "no-volume": (
        f"base_image = {QUOTED}",
        f"{NASTY!r} is no volume of pool 'default'",
    ),
    "a-folder": (f'base_image = "{POOL}/folder"', f"{POOL}/folder is no disk"),
    "empty": (f'base_image = "{POOL}/empty.raw"', f"{POOL}/empty.raw is no disk"),
    "noise": ('base_image = "noise.qcow2"', "noise.qcow2 is no qcow2 image"),
    "misnamed": ('base_image = "named.img"', "named.img is a qcow2 image"),
    "broken-xml": (f'{BASE}\nguest_xml = "broken.xml"', "broken.xml: guest.xml is not XML"),
    "no-disk": (f'{BASE}\nguest_xml = "diskless.xml"', "diskless.xml: guest.xml has no disk"),
    "no-xml": (f'{BASE}\nguest_xml = "nothere.xml"', "nothere.xml cannot be read"),
    "no-filter": (f"{BASE}\nnetwork_filter = {QUOTED}", f"there is no network filter {NASTY!r}"),
    "no-network": (f"{BASE}\nnetwork = {QUOTED}", f"there is no network {NASTY!r}"),
}
SHOWN_LATER: dict[str, tuple[str, str]] = {
    "elsewhere": ('base_image = "/nowhere/at/all.raw"', "/nowhere/at/all.raw: No such file"),
    "no-kernel": ('kernel = "/nowhere/vmlinuz"', "/nowhere/vmlinuz: No such file"),
    "no-cpu": (f'{BASE}\ncpu = "Nonsense"', "Unknown CPU model Nonsense"),
}
# what is strange and right
RIGHT = {
    "good": f"{BASE}\n{DIRECT}",
    "strange": f"{BASE}\n{DIRECT}".replace("panic=0", ARGUMENT),
}


def spoil(hypervisor: Hypervisor, folder: Path) -> None:
    """Put what is no disk, and what is no guest, where profiles look for them."""
    (hypervisor.pool / "folder").mkdir()
    (hypervisor.pool / "empty.raw").touch()
    (hypervisor.pool / "noise.qcow2").write_bytes(b"noise" * 1000)
    image = hypervisor.pool / "named.img"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, "100M"], check=True)
    (folder / "broken.xml").write_text("<domain><name>x")
    (folder / "diskless.xml").write_text(
        "<domain><name>x</name><memory>131072</memory><os><type>hvm</type></os><devices/></domain>"
    )


def furnish(here: Site, tables: dict[str, str]) -> None:
    """Give profiles these libvirt tables, and have one runner of each."""
    for name, lines in tables.items():
        table = f"[profiles.{name}.libvirt]\n"
        board = "" if "guest_xml" in lines else 'machine = "pc"\n'
        own = f'{table}base_image = "guest.raw"\nmachine = "pc"\n'
        change(here.settings, own, f"{table}{lines}\n{board}")
        change(here.settings, f"[profiles.{name}]\n", f"[profiles.{name}]\ntarget_count = 1\n")


def findings(output: str, word: str) -> list[str]:
    """The findings of `scaler check` that begin with this word, of libvirt."""
    return re.findall(rf"^{word} +libvirt +(.*)$", output, re.MULTILINE)


async def machines(here: Site) -> dict[str, str]:
    """The machines that runners have, by their profiles: on which host."""
    shown = await dashboard(here)
    runners = [each["runner"] for each in shown["runners"]]
    return {each["profile"]: each["host"] for each in runners if each["guest_name"]}


async def refused(here: Site, host: str, profiles: set[str]) -> dict[str, str]:
    """Wait until a host refuses these profiles; why."""
    found: dict[str, str] = {}
    with trio.fail_after(LOOKED):
        while not profiles <= found.keys():
            found = rooms(await dashboard(here)).get(host, {}).get("refuses", {})
            await trio.sleep(0.3)
    return found


def are_plain(reasons: dict[str, str]) -> None:
    """See that each is one line that people can read."""
    for reason in reasons.values():
        assert "\n" not in reason.strip()
        assert len(reason) <= LONGEST
        assert "Child process" not in reason
        assert "Error:" not in reason


async def test_what_is_wrong_with_a_profile_is_told_once_and_costs_no_other(
    hypervisor: Hypervisor, tmp_path: Path
) -> None:
    wrong = {name: lines for name, (lines, _) in (WRONG | SHOWN_LATER).items()}
    profiles = [Profile(name=name, most=1, libvirt="") for name in (*wrong, *RIGHT)]
    spoil(hypervisor, tmp_path)
    url = f', guest_url = "http://{hypervisor.address}:{DOOR}/"'
    async with site(hypervisor, tmp_path, *profiles, host=url) as here:
        furnish(here, wrong | RIGHT)

        done = await command(here, "check")
        assert done.returncode == 1, done.stdout
        told = findings(done.stdout, "WRONG")
        for name, (_, text) in WRONG.items():
            about = [each for each in told if text in each]
            assert len(about) == 1, (name, done.stdout)
        assert len(told) == len(WRONG), done.stdout

        await here.start()
        reasons = await refused(here, "here", set(wrong))
        are_plain(reasons)
        assert reasons.keys() == wrong.keys()
        for name, (_, text) in (WRONG | SHOWN_LATER).items():
            assert text in reasons[name], (name, reasons[name])
        await here.until(lambda: len(here.running()) == len(RIGHT))
        assert (await machines(here)).keys() == RIGHT.keys()
        shown = await dashboard(here)
        for name in WRONG:
            assert shown["profiles"][name]["why"] == f"here: {reasons[name]}"
            assert shown["profiles"][name]["ceiling"] == 0
        for name in SHOWN_LATER:  # or that it waits a moment before the next try
            assert reasons[name] in shown["profiles"][name]["why"]
        assert not [each for each in here.scalers[-1].entries() if each["level"] == "error"]
        with closing(hypervisor.open()) as connection:
            domains = [ET.fromstring(each.XMLDesc()) for each in connection.listAllDomains()]
        lines = [str(domain.findtext("os/cmdline")) for domain in domains]
        assert sum(line.endswith(f" {ARGUMENT}") for line in lines) == 1

        # what a person mends is noticed
        (hypervisor.pool / "nowhere.raw").write_bytes((hypervisor.pool / "guest.raw").read_bytes())
        with trio.fail_after(LOOKED):
            while "no-base" not in await machines(here):  # noqa: ASYNC110 - nobody tells
                await trio.sleep(0.5)


async def test_hosts_that_cannot_be_used_are_told_and_the_others_work(
    hypervisor: Hypervisor, image: GuestImage, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        full, idle, other = (stack.enter_context(Hypervisor()) for _ in range(3))
        full.run("mount", "-t", "tmpfs", "-o", "size=2m", "tiny", POOL)
        stock(idle, image)
        on_pool(full, "refresh")
        on_pool(idle, "destroy")
        nobody = f"qemu+unix:///system?socket={tmp_path}/nobody"
        hosts = {  # their URI, the pool in the settings, and what is said of them
            "full": (full.uri, '""', "storage pool 'default' is full"),
            "idle": (idle.uri, '""', "storage pool 'default' is not active: virsh pool-start"),
            "other": (other.uri, QUOTED, f"there is no storage pool {NASTY!r}"),
            "nobody": (nobody, '""', "No such file or directory"),
        }
        async with site(hypervisor, tmp_path, Profile(name="good", most=2)) as here:
            change(here.settings, "max_count = 2\n", "max_count = 2\ntarget_count = 1\n")
            await here.start()
            await here.until(lambda: len(here.running()) == 1)
            assert await machines(here) == {"good": "here"}
            await here.scalers[-1].kill()

            # only now, since with a new ledger nothing is made before all hosts were looked at
            more = [
                f'{{ name = "{name}", uri = "{uri}", acceleration = "none", pool = {pool} }}, '
                for name, (uri, pool, _) in hosts.items()
            ]
            table = "[plugins.libvirt]\nhosts = ["
            change(here.settings, table, table + "".join(more))
            done = await command(here, "check")
            told = findings(done.stdout, "WRONG")
            for name, (_, _, text) in hosts.items():
                about = [each for each in told if f"host {name} " in each]
                assert len(about) == 1, done.stdout
                assert text.partition(": virsh")[0] in about[0]
            assert len(told) == len(hosts)

            change(here.settings, "target_count = 1\n", "target_count = 2\n")
            await here.start()
            await here.until(lambda: len(here.running()) == 2)
            shown = rooms(await dashboard(here))
            assert shown["nobody"]["state"] == "down"
            del hosts["nobody"]
            for name, (_, _, text) in hosts.items():
                assert text in shown[name]["refuses"]["good"]
                are_plain(shown[name]["refuses"])
            assert shown["here"]["refuses"] == {}
            assert not [each for each in here.scalers[-1].entries() if each["level"] == "error"]


def on_pool(hypervisor: Hypervisor, what: str) -> None:
    """Do something with a hypervisor's pool."""
    with closing(hypervisor.open()) as connection:
        getattr(connection.storagePoolLookupByName("default"), what)()
