"""C35: a scaler whose ledger was damaged finds its runners again, and ends no job."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scaler import Running
from scaler.records import ProfileView


def overwritten(state: Path) -> None:
    path = state / "ledger.sqlite3"
    path.write_bytes(b"\xff" * path.stat().st_size)


def torn(state: Path) -> None:
    path = state / "ledger.sqlite3"
    path.write_bytes(path.read_bytes()[:5000])


def missing(state: Path) -> None:
    (state / "ledger.sqlite3").unlink()


@pytest.mark.parametrize("harm", [overwritten, torn, missing])
async def test_c35_busy_runners_are_adopted_and_ids_go_on(
    place: Any, harm: Callable[[Path], None]
) -> None:
    async with place() as here:
        state = here.folder / "state"
        async with here.scaler(guests=True) as running:
            here.simulator.queue_jobs("linux", 2)
            await here.until(lambda: len(here.simulator.jobs_in("running")) == 2)
            await here.until(
                lambda: [each.state for each in running.view().runners] == ["busy"] * 2
            )
            before = {each.name: each.id for each in running.view().runners}
        domains = here.domains()
        assert len(domains) == 2
        harm(state)
        async with here.scaler(guests=True) as running:
            await here.until(
                lambda: [each.state for each in running.view().runners] == ["busy"] * 2
            )
            assert {each.name: each.id for each in running.view().runners} == before
            assert here.domains() == domains
            told = [each.text for each in running.view().reports if each.plugin == "ledger"]
            assert len(told) == (0 if harm is missing else 1)
            here.simulator.queue_jobs("linux", 1)
            await here.until(lambda: len(here.simulator.jobs_in("running")) == 3)
            after = {each.name: each.id for each in running.view().runners}
            assert after.keys() > before.keys()
            assert min(set(after.values()) - set(before.values())) > max(before.values())
            assert set(domains) < set(here.domains())
        assert len(list(state.glob("ledger-damaged-*"))) == (0 if harm is missing else 1)


def profile_of(running: Running) -> ProfileView:
    return running.view().profiles["linux"]


async def test_c35_nothing_is_made_until_lists_were_complete(place: Any) -> None:
    async with place() as here:
        async with here.scaler(guests=True) as running:
            here.simulator.queue_jobs("linux", 1)
            await here.until(lambda: len(here.simulator.jobs_in("running")) == 1)
        overwritten(here.folder / "state")
        here.simulator.faults.add("list-agents", kind="status", status=500, times=None)
        async with here.scaler(guests=True) as running:
            here.simulator.queue_jobs("linux", 1)
            await here.until(
                lambda: "every list was complete" in running.view().profiles["linux"].why
            )
            assert len(here.domains()) == 1
            here.simulator.faults.clear()
            await here.until(lambda: len(here.simulator.jobs_in("running")) == 2)
