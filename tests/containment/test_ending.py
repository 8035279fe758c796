"""The end: who is waited for is told, and the thread that watches over it goes with it."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any, cast

import pytest
import trio

from scaler.dispatch import Dispatcher
from scaler.leaving import leave
from scaler.watchdog import Guard


class Hooks:
    """A dispatcher with one call that goes on until `until`."""

    def __init__(self, until: float) -> None:
        self.until = trio.current_time() + until

    def given_up(self) -> list[str]:
        return ["bad.check at bad.py:7"] if trio.current_time() < self.until else []

    def __getattr__(self, name: str) -> Any:
        return lambda *_args: []


async def test_c42_who_is_waited_for_is_told_again_and_again(
    autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    with trio.move_on_after(5) as scope:  # it is not cut short
        await leave(cast("Dispatcher", Hooks(60)), None)
    assert scope.cancel_called
    told = [each.getMessage() for each in caplog.records if "waiting since" in each.getMessage()]
    assert len(told) in (5, 6)
    assert all("bad.check at bad.py:7" in each for each in told)
    assert all(each.levelno == logging.ERROR for each in caplog.records)


def test_c42_nothing_is_left_of_a_guard() -> None:
    guard = Guard()
    with guard.over_threads():
        assert "guard" in {each.name for each in threading.enumerate()}
    until = time.monotonic() + 10
    while "guard" in {each.name for each in threading.enumerate()}:
        assert time.monotonic() < until
        time.sleep(0.05)
