"""How long it takes from the order of a machine to its guest's first question; printed, not judged.

`pytest -s tests/vm/test_speed.py` shows it. What scaler adds is what is left when the guest's own
boot is taken away: the same domain made by hand, with the same disks, on the same hypervisor.
"""

from __future__ import annotations

import re
import shutil
import time
import uuid as uuids
from contextlib import closing
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

import libvirt
import trio
from tests.vm.relay import Relay
from tests.vm.site import DIRECT, DOOR, HELD, HOLD, MINIMAL, NAME, Profile, site

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    import pytest
    from tests.vm.lab import Hypervisor

    from scaler_github.testing import Job

MACHINES = 2
OTHER = 8080  # where guests think the door is
TEXT = """
of {count} machines, one after another, in seconds:
  from provision_runner to GET /boot   {by_scaler}
  until the domain is there            {made}
  from createXML by hand to GET /boot  {by_hand}
  until the domain is there            {created}
scaler adds, by the quickest of each: {part:.2f} until the domain is there, {whole:.2f} until /boot
"""


async def test_from_provision_runner_to_the_boot_script(
    hypervisor: Hypervisor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[float] = []

    def connect() -> socket.socket:
        asked.append(time.time())
        return hypervisor.connect(hypervisor.address, DOOR)

    relay = Relay(hypervisor.listen(hypervisor.address, OTHER), connect)
    url = f', guest_url = "http://{hypervisor.address}:{OTHER}/"'
    by_scaler: list[float] = []
    by_hand: list[float] = []
    made: list[float] = []
    created: list[float] = []
    profile = Profile(name="linux", script=HELD + MINIMAL, libvirt=DIRECT)
    with relay:
        async with site(hypervisor, tmp_path, profile, host=url) as here:
            scaler = await here.start()
            for number in range(1, MACHINES + 1):
                here.mark(HOLD)
                asked.clear()
                (job,) = here.queue("linux")
                await here.until(partial(runs, job))
                times = {each["message"]: each["time"] for each in scaler.entries()}
                began = stamp(times[f"linux.{number}@{NAME} is registered"])
                by_scaler.append(asked[0] - began)
                made.append(stamp(times[f"linux.{number}@{NAME} is booting: its machine exists"]))
                made[-1] -= began
                xml = await trio.to_thread.run_sync(copied, hypervisor, here.machine_of(job))
                here.unmark(HOLD)
                await here.completed([job])
                await here.until(lambda: not here.rows())
                asked.clear()
                began = time.time()
                name = await trio.to_thread.run_sync(partial(create, hypervisor, xml))
                created.append(time.time() - began)
                await here.until(lambda: asked)
                by_hand.append(asked[0] - began)
                await trio.to_thread.run_sync(partial(destroy, hypervisor, name))
            await here.clean()
            assert await scaler.stop() == 0
    text = TEXT.format(
        count=MACHINES,
        by_scaler=shown(by_scaler),
        by_hand=shown(by_hand),
        made=shown(made),
        created=shown(created),
        part=min(made) - min(created),
        whole=min(by_scaler) - min(by_hand),
    )
    with capsys.disabled():
        print(text)


def runs(job: Job) -> bool:
    """Whether a job is being done."""
    return job.state == "running"


def stamp(time: str) -> float:
    """A time of the log, in seconds since 1970."""
    return datetime.fromisoformat(time).timestamp()


def shown(times: list[float]) -> str:
    """Times, for people."""
    return "  ".join(f"{each:6.2f}" for each in times)


def copied(hypervisor: Hypervisor, uuid: str) -> str:
    """The XML of another domain like that of a machine, with disks of its own."""
    other = str(uuids.uuid4())
    for kind in ("seed", "disk"):
        (path,) = hypervisor.pool.glob(f"*{uuid}.{kind}")
        shutil.copyfile(path, path.with_name(f"copy-{path.name.replace(uuid, other)}"))
    with closing(hypervisor.open()) as connection:
        xml = str(connection.lookupByUUIDString(uuid).XMLDesc())
    nobodys = re.sub(rf"\bscaler=(['\"]){NAME}\1", r"scaler=\1nobody\1", xml)
    assert nobodys != xml
    return nobodys.replace(uuid, other).replace("/scaler-", "/copy-scaler-")


def create(hypervisor: Hypervisor, xml: str) -> str:
    """Start it, as the scaler does; its UUID."""
    with closing(hypervisor.open()) as connection:
        return str(connection.createXML(xml, libvirt.VIR_DOMAIN_NONE).UUIDString())


def destroy(hypervisor: Hypervisor, uuid: str) -> None:
    """End it, and remove what was copied for it."""
    with closing(hypervisor.open()) as connection:
        connection.lookupByUUIDString(uuid).destroy()
    for path in hypervisor.pool.glob("copy-*"):
        path.unlink()
