"""The lab itself: a guest by hand boots, asks, does what it is told, and is gone."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import Request, urlopen

import trio
from tests.vm.byhand import BOOT, DISK, Door, directly, domain, run, until
from tests.vm.lab import POOL, Hypervisor, stock

from scaler_github.testing import Simulator

if TYPE_CHECKING:
    from tests.vm.guestimage import GuestImage

ROOT = Path(__file__).parent.parent.parent


def test_a_guest_boots_asks_for_its_script_and_powers_off(
    hypervisor: Hypervisor, image: GuestImage
) -> None:
    door = Door(hypervisor.listen(hypervisor.address, 8000), 'echo "told: $SCALER_URL"')
    url = f"http://{hypervisor.address}:8000"
    with door.open():
        said = run(hypervisor, domain(direct=directly(image, url)))
    (who, what) = door.asked[0]
    assert who.startswith(f"{hypervisor.net}.")
    assert what == "/boot"
    assert f"told: {url}" in said
    assert "boot script ended: 0" in said


def test_a_builder_changes_its_overlay_and_not_the_base(
    hypervisor: Hypervisor, image: GuestImage
) -> None:
    script = "echo 'echo left by the builder' >/vda/init.d/left"
    door = Door(hypervisor.listen(hypervisor.address, 8000), script)
    base = hypervisor.pool / "guest.raw"
    before = base.read_bytes()
    qcow2 = ["qemu-img", "create", "-q", "-f", "qcow2"]
    hypervisor.run(*qcow2, "-b", POOL / "guest.raw", "-F", "raw", POOL / "built")
    hypervisor.run(*qcow2, "-b", POOL / "built", "-F", "qcow2", POOL / "runner")
    direct = directly(image, f"http://{hypervisor.address}:8000")
    with door.open():
        run(
            hypervisor, domain(direct=direct, disk=DISK.format(format="qcow2", path=POOL / "built"))
        )
    # boots from the disk, by BIOS; it has no URL and so no script
    said = run(hypervisor, domain(disk=DISK.format(format="qcow2", path=POOL / "runner")))
    assert "left by the builder" in said.rpartition("boot script ended")[2]
    assert base.read_bytes() == before


def test_guests_live_on_while_libvirtd_is_killed_and_started(
    hypervisor: Hypervisor, image: GuestImage
) -> None:
    door = Door(hypervisor.listen(hypervisor.address, 8000), "sleep 3; echo awake")
    with door.open():
        with closing(hypervisor.open()) as connection:
            url = f"http://{hypervisor.address}:8000"
            connection.createXML(domain(direct=directly(image, url)))
            until(lambda: door.asked, BOOT)
        hypervisor.kill()
        hypervisor.start()
        with closing(hypervisor.open()) as connection:
            assert [each.name() for each in connection.listAllDomains()] == ["guest"]
            until(lambda: not connection.listAllDomains(), BOOT)
    assert "awake" in (hypervisor.pool / "guest.log").read_text()


def test_guests_of_two_hypervisors_with_the_same_addresses_reach_one_door(
    hypervisor: Hypervisor, image: GuestImage
) -> None:
    door = Door(hypervisor.listen("0.0.0.0", 8000), "true")
    with Hypervisor(hypervisor.net, nat=True) as other, door.open():
        stock(other, image)
        hypervisor.join(other, "10.77.0.1", "10.77.0.2")
        run(hypervisor, domain(direct=directly(image, f"http://{hypervisor.address}:8000")))
        run(other, domain(direct=directly(image, "http://10.77.0.1:8000")))
    (mine, _), (others, _) = door.asked
    assert mine.startswith(f"{hypervisor.net}.")
    assert others == "10.77.0.2"


async def test_a_guest_runs_a_job_of_the_simulator(
    hypervisor: Hypervisor, image: GuestImage
) -> None:
    simulator = Simulator()
    async with trio.open_nursery() as nursery:
        await nursery.start(simulator.serve)
        config = await trio.to_thread.run_sync(registered, simulator)
        (job,) = simulator.queue_jobs(labels=["minimal"])
        door = Door(
            hypervisor.listen(hypervisor.address, 8000),
            f"export ACTIONS_RUNNER_INPUT_JITCONFIG={config}; exec setuidgid runner /runner",
        )
        direct = directly(image, f"http://{hypervisor.address}:8000")
        port = int(simulator.origin.rpartition(":")[2])
        with hypervisor.forward(port), door.open():
            said = await trio.to_thread.run_sync(run, hypervisor, domain(direct=direct))
        nursery.cancel_scope.cancel()
    assert "boot script ended: 0" in said
    assert (job.state, job.result, job.runner_name) == ("completed", "succeeded", "one")


def registered(simulator: Simulator) -> str:
    """The config of a runner."""
    asked = {"name": "one", "runner_group_id": 1, "labels": ["minimal"]}
    request = Request(
        f"{simulator.rest_url}/orgs/acme/actions/runners/generate-jitconfig",
        json.dumps(asked).encode(),
        {"Authorization": f"Bearer {simulator.token}", "Content-Type": "application/json"},
    )
    with urlopen(request, timeout=30) as answer:
        return str(json.load(answer)["encoded_jit_config"])


def test_nothing_is_left_of_a_hypervisor(hypervisor: Hypervisor, image: GuestImage) -> None:
    with Hypervisor() as other:
        stock(other, image)
        with closing(other.open()) as connection:
            connection.createXML(domain(direct=directly(image, "")))
        there = here(other)
        assert {"libvirtd", "virtlogd", "dnsmasq", "qemu-system-x86"} <= there
    assert not here(other)
    assert not other.folder.exists()


def here(hypervisor: Hypervisor) -> set[str]:
    """Programs that run in a hypervisor, as the machine sees them."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "ns/net").readlink().name == hypervisor.network:
                found.add((process / "comm").read_text().strip())
    return found


def test_kill_9_of_who_made_it_ends_it(tmp_path: Path) -> None:
    script = "from tests.vm.namespaces import Namespace\nwith Namespace() as one:\n"
    script += " print(one.network, one.popen(['sleep', '1000']).pid, flush=True)\n input()\n"
    command = [sys.executable, "-c", script]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        network, pid = process.stdout.readline().split()
        assert Path(f"/proc/{pid}/ns/net").readlink().name == network
        process.kill()
    until(lambda: not alive(int(pid)), 20)


def alive(pid: int) -> bool:
    """Whether there is such a process, and it is more than a name that nobody asked for."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
