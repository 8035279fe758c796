"""Guests that fail, and jobs that fail: what is kept, and for how long; a config in the seed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
import trio
from tests.vm.site import DIRECT, HELD, HOLD, MINIMAL, Profile, Site, site

if TYPE_CHECKING:
    from pathlib import Path

    from tests.vm.lab import Hypervisor

    from scaler_github.testing import Job

PNG = b"\x89PNG\r\n"
HELD_FOR = 30.0  # seconds
FEW = 15.0  # seconds that a busy machine may be late

PANICS = "! marked panic || echo c >/proc/sysrq-trigger\n"
MUTE = "! marked silence || sleep 1000\n"
SEEDED = """
timeout 20 wget -q -O - "$SCALER_URL/github-jitconfig?key=$SCALER_KEY"
ACTIONS_RUNNER_INPUT_JITCONFIG=$(cat /seed/jitconfig)
export ACTIONS_RUNNER_INPUT_JITCONFIG
exec setuidgid runner /tmp/runner
"""


async def test_what_fails_is_kept_and_replaced(hypervisor: Hypervisor, tmp_path: Path) -> None:
    panics = Profile(name="panics", script=PANICS + MINIMAL)
    mute = Profile(name="mute", script=MUTE + MINIMAL, start_timeout="60s")
    async with site(hypervisor, tmp_path, panics, mute) as here:
        here.mark("panic")
        here.mark("silence")
        scaler = await here.start()
        jobs = [*here.queue("panics"), *here.queue("mute")]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fails, here, "panics", "panic", "its system crashed", "Kernel panic")
            nursery.start_soon(fails, here, "mute", "silence", "", "boot script")
        await here.completed(jobs)
        await here.clean()
        assert [job.result for job in jobs] == ["succeeded"] * 2
        assert set(here.starts.of_job.values()) == {1}
        # one of each at least that failed, and one that did the job
        assert len(here.machines) >= 4
        screens = [what for what in here.kept().values() if "screenshot.png" in what]
        assert screens
        assert all(what["screenshot.png"].startswith(PNG) for what in screens)
        assert await scaler.stop() == 0


async def fails(here: Site, profile: str, mark: str, why: str, said: str) -> None:
    """See what is kept of the first runner of a profile that fails, and let the next one do it."""

    def first() -> dict[str, bytes] | None:
        for what in here.kept().values():
            reason = what.get("reason.txt", b"").decode()
            if f"{profile}." in reason and "serial.log" in what:
                return what
        return None

    await here.until(first)
    here.unmark(mark)
    found = first()
    assert found is not None
    assert why in found["reason.txt"].decode()
    assert said in found["serial.log"].decode(errors="replace")
    assert here.simulator.token.encode() not in b"".join(found.values())


async def test_the_machine_of_a_failed_job_is_held_and_a_seed_brings_the_config(
    hypervisor: Hypervisor, tmp_path: Path
) -> None:
    held_for = f"{HELD_FOR:.0f}s"
    held = Profile(name="held", script=HELD + MINIMAL, hold_failed=held_for)
    seeded = Profile(
        name="seeded", script=HELD + SEEDED, libvirt=f'{DIRECT}jit_delivery = "seed"\n'
    )
    async with site(hypervisor, tmp_path, held, seeded) as here:
        here.mark(HOLD)
        scaler = await here.start()
        (fails,), (delivered,) = here.queue("held"), here.queue("seeded")
        await here.until(lambda: fails.state == delivered.state == "running")
        await closed(here, delivered)
        await judged_failed(here, fails)
        await here.completed([delivered])
        await here.clean()
        assert delivered.result == "succeeded"
        assert len(here.machines) == 2
        assert await scaler.stop() == 0


async def closed(here: Site, job: Job) -> None:
    """The config of a runner that has it by its seed is to be had nowhere else."""
    uuid = here.machine_of(job)
    await here.until(lambda: f"{job.runner_name} is online" in here.log_of(uuid))
    status, body = await here.ask(f"/github-jitconfig?key={here.key_of(uuid)}")
    assert (status, b"already" in body) == (410, True)
    assert "HTTP/1.1 410" in here.log_of(uuid)


async def judged_failed(here: Site, job: Job) -> None:
    """A job fails: its guest powers off, and its disk waits for a person as long as is said."""
    uuid = here.machine_of(job)
    await here.until(lambda: "has job" in here.log_of(uuid))
    here.simulator.finish_job(job, "failed")
    here.unmark(HOLD)
    await here.until(lambda: here.states() == {"held"})
    began = time.monotonic()
    await here.until(lambda: uuid not in {life.uuid for life in here.running()}, FEW)
    kinds = {"disk", "seed", "log"}
    assert {name.rpartition(".")[2] for name in here.volumes() if uuid in name} == kinds
    (row,) = here.rows()
    assert row["until"] - row["since"] == pytest.approx(HELD_FOR, abs=0.1)
    await here.until(lambda: not here.rows())
    assert HELD_FOR - FEW < time.monotonic() - began < HELD_FOR + FEW
    kept = here.kept()[f"runner-{row['id']}"]
    assert "failed" in kept["reason.txt"].decode()
    assert f"{job.runner_name} is online" in kept["serial.log"].decode(errors="replace")
