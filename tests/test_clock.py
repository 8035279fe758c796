"""Time that goes on over restarts, and never jumps."""

from __future__ import annotations

import time

import pytest
import trio
from trio.testing import MockClock

from scaler import clock as clock_module
from scaler.clock import Clock


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What the kernel says: which boot this is, and for how long it has run."""
    says: dict[str, object] = {"boot": "boot-1", "up": 100.0}
    monkeypatch.setattr(clock_module, "_boot_id", lambda: says["boot"])
    monkeypatch.setattr(clock_module, "_boot_time", lambda: says["up"])
    return says


async def test_it_begins_at_zero_and_goes_on(mock_clock: MockClock) -> None:
    clock = Clock()
    assert clock.now() == 0.0
    mock_clock.jump(7)
    assert clock.now() == pytest.approx(7)


async def test_time_between_two_runs_counts_within_one_boot(
    mock_clock: MockClock, machine: dict[str, object]
) -> None:
    clock = Clock()
    mock_clock.jump(50)
    saved = clock.save()
    machine["up"] = 160.0
    assert Clock(saved).now() == pytest.approx(50 + 60)


async def test_it_stands_still_over_a_reboot(
    mock_clock: MockClock, machine: dict[str, object]
) -> None:
    clock = Clock()
    mock_clock.jump(50)
    saved = clock.save()
    machine.update(boot="boot-2", up=9999.0)
    assert Clock(saved).now() == pytest.approx(50)
    machine.update(boot="", up=9999.0)  # nobody knows which boot this is
    assert Clock({**saved, "boot": ""}).now() == pytest.approx(50)


async def test_it_never_goes_back(mock_clock: MockClock, machine: dict[str, object]) -> None:
    saved = Clock().save()
    machine["up"] = 1.0
    assert Clock({**saved, "now": 50.0}).now() == pytest.approx(50)


async def test_a_step_of_the_wall_clock_moves_nothing(
    mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock({"now": 10.0, "boot": "another", "at": 0.0})
    real = time.time()
    for step in (3600.0, -3600.0, 365 * 86400.0):
        monkeypatch.setattr(time, "time", lambda step=step: real + step)
        assert clock.now() == pytest.approx(10)
        assert clock.wall() == pytest.approx(real + step)


async def test_its_times_are_deadlines(autojump_clock: MockClock) -> None:
    clock = Clock({"now": 1000.0, "boot": "another", "at": 0.0})
    with trio.move_on_at(clock.deadline(1030.0)):
        await trio.sleep_forever()
    assert clock.now() == pytest.approx(1030)


async def test_this_machine_can_be_asked() -> None:
    begun = time.clock_gettime(time.CLOCK_BOOTTIME)
    saved = Clock().save()
    again = Clock(saved)
    assert 0.0 <= again.now() <= time.clock_gettime(time.CLOCK_BOOTTIME) - begun
    assert set(saved) == {"now", "boot", "at", "wall"}


async def test_what_is_saved_says_when_for_people_and_decides_nothing_by_it(
    mock_clock: MockClock, machine: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_750_000_000.0)
    saved = Clock().save()
    assert saved["wall"] == 1_750_000_000.0
    machine["up"] = 160.0
    for wall in (0.0, 4e9):
        assert Clock({**saved, "wall": wall}).now() == pytest.approx(60)
