"""What guests can do to one another, and whom the guest door gives what."""

from __future__ import annotations

import re
from contextlib import closing
from typing import TYPE_CHECKING

import trio
from tests.vm.site import DIRECT, DOOR, HELD, HOLD, MINIMAL, Profile, Site, site

if TYPE_CHECKING:
    from pathlib import Path

    from tests.vm.lab import Hypervisor

    from scaler_libvirt.testing_watcher import Life

BY_ADDRESS = 'identify = "address"\n'
# what keeps guests from one another is taken away, so that it is seen to be what does it
UNKEPT = 'network_filter = ""\nisolated = false\n'

# Two guests of a profile; by a mark, one of them is told to attack the other, and which address
# that one has. It tries to, as root, before its own job; the other one does nothing but answer
# meanwhile. Whose config it gets is told by the config's digest.
ATTACK = """
mine=$(ip -4 -o addr show eth0 | sed 's/.*inet \\([0-9.]*\\).*/\\1/')
hardware=$(cat /sys/class/net/eth0/address)
mkdir -p /tmp/www && echo here >/tmp/www/index.html && httpd -p 8080 -h /tmp/www

get() { timeout "$1" wget -q -O /tmp/answer "$2"; }
be() { # ADDRESS HARDWARE
    ip link set eth0 down
    ip link set eth0 address "$2"
    ip addr flush dev eth0
    ip addr add "$1/24" dev eth0
    ip link set eth0 up
}
probe() { # NAME SECONDS URL
    if get "$2" "$3"; then echo "probe $1: reached"; else echo "probe $1: no" && return 1; fi
}

until marked go-PROFILE; do sleep 1; done
peer=$(marks | sed -n "s/^attack-$mine-//p")
if [ -n "$peer" ]; then
    probe peer 5 "http://$peer:8080/"
    be "$mine" 52:54:00:66:66:66
    probe other-hardware 5 "$CONTROL/world"
    be "$mine" "$hardware"
    probe itself 20 "$CONTROL/world"
    be "$peer" "$hardware"
    probe other-address 10 "$SCALER_URL/github-jitconfig" &&
        echo "config $(tr -d '"\\n' </tmp/answer | sha256sum)"
    be "$mine" "$hardware"
    echo "probes: over"
fi
until marked over-PROFILE; do sleep 1; done
"""

# A job that tries to have the config of its own runner, again.
ASKS_AGAIN = HELD.replace(
    "goes_on='",
    rf"goes_on='wget -q -O - http:\/\/$SIMULATOR_HOST:{DOOR}\/github-jitconfig; echo asked; ",
)

# A network that has one address for guests.
NARROW = """
<network>
  <name>narrow</name>
  <bridge name="narrow" stp="off" delay="0"/>
  <ip address="192.168.79.1" netmask="255.255.255.0">
    <dhcp><range start="192.168.79.10" end="192.168.79.10"/></dhcp>
  </ip>
</network>
"""


async def test_d17_d18_d19_guests_get_what_is_theirs(
    hypervisor: Hypervisor, tmp_path: Path
) -> None:
    with closing(hypervisor.open()) as connection:
        connection.networkCreateXML(NARROW)
    profiles = [
        attackers("kept", DIRECT + BY_ADDRESS),
        attackers("unkept", DIRECT + BY_ADDRESS + UNKEPT),
        Profile(name="keyed", script=HELD + MINIMAL),
        Profile(
            name="again",
            script=ASKS_AGAIN + MINIMAL,
            libvirt=DIRECT + BY_ADDRESS + 'network = "narrow"\n',
            most=1,
        ),
    ]
    async with site(hypervisor, tmp_path, *profiles) as here:
        here.mark(HOLD)
        scaler = await here.start()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(d19_d18, here)
            nursery.start_soon(d17, here, "kept", {"itself"})
            everything = {"itself", "peer", "other-hardware", "other-address"}
            nursery.start_soon(d17, here, "unkept", everything)
        await here.completed(here.simulator.jobs)
        await here.clean()
        assert {job.result for job in here.simulator.jobs} == {"succeeded"}
        assert set(here.starts.of_job.values()) == {1}
        assert await scaler.stop() == 0


def attackers(name: str, libvirt: str) -> Profile:
    """A profile of guests that attack one another."""
    return Profile(name=name, script=ATTACK.replace("PROFILE", name) + MINIMAL, libvirt=libvirt)


async def d17(here: Site, profile: str, reached: set[str]) -> None:
    """A guest that takes another's address or hardware address reaches this much."""
    here.queue(profile, 2)
    await here.until(lambda: len(of(here, profile)) == 2)
    attacker, victim = of(here, profile)
    await here.until(lambda: "boot script:" in here.log_of(attacker.uuid))
    await here.until(lambda: "boot script:" in here.log_of(victim.uuid))
    here.mark(f"attack-{address_of(attacker)}-{address_of(victim)}")
    here.mark(f"go-{profile}")
    await here.until(lambda: "probes: over" in here.log_of(attacker.uuid))
    said = here.log_of(attacker.uuid)
    here.mark(f"over-{profile}")
    probes = dict(re.findall(r"^probe ([\w-]+): (\w+)", said, re.MULTILINE))
    assert probes.keys() == {"itself", "peer", "other-hardware", "other-address"}
    assert {name for name, what in probes.items() if what == "reached"} == reached, profile
    assert victim.identity is not None
    stolen = [victim.identity.config_sha256] if "other-address" in reached else []
    assert re.findall(r"^config (\w+)", said, re.MULTILINE) == stolen


async def d19_d18(here: Site) -> None:
    """A config is spent when its runner is online; who has its address next gets another one."""
    (keyed,), (first,) = here.queue("keyed"), here.queue("again")
    await here.until(lambda: keyed.state == first.state == "running")
    key = here.key_of(here.machine_of(keyed))
    assert await here.status(f"/github-jitconfig?key={key}") == 410
    wrong = key[:-1] + ("a" if key[-1] != "a" else "b")
    await here.until(lambda: all(row["machine"] for row in here.rows()))  # else: ask again later
    assert await here.status(f"/github-jitconfig?key={wrong}") == 404
    assert await here.status(f"/boot?key={wrong}") == 404
    assert await here.status("/github-jitconfig") == 404
    uuid = here.machine_of(first)
    await here.until(lambda: "asked" in here.log_of(uuid))
    assert "HTTP/1.1 410" in here.log_of(uuid)

    here.unmark(HOLD)
    (second,) = here.queue("again")
    await here.completed([keyed, first, second])
    assert await here.status(f"/github-jitconfig?key={key}") in {404, 503}
    before, after = of(here, "again")
    assert address_of(before) == address_of(after) == "192.168.79.10"
    assert before.identity is not None
    assert after.identity is not None
    assert after.identity.config_sha256 != before.identity.config_sha256
    assert (first.runner_name, second.runner_name) == (
        before.identity.runner_name,
        after.identity.runner_name,
    )


def of(here: Site, profile: str) -> list[Life]:
    """The machines of a profile, in order."""
    return [life for life in here.machines if life.identity and life.identity.profile == profile]


def address_of(life: Life) -> str:
    """What a machine's address is to be."""
    assert life.identity is not None
    return life.identity.address
