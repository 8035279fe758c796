"""What anybody may ask for has no view of all runners made each time."""

from __future__ import annotations

from pathlib import Path

import pytest
from trio.testing import MockClock

from scaler import View
from scaler_monitor.site import RECENT

from .fakes import BEARER, FakeCore, asking


class Counting(FakeCore):
    """Counts how often it is asked for a view."""

    views = 0

    def view(self) -> View:
        self.views += 1
        return super().view()


@pytest.mark.parametrize("path", ["/readyz", "/policy/override", "/runner/9/screenshot/now"])
async def test_views_are_asked_for_so_often_at_most(
    tmp_path: Path, mock_clock: MockClock, path: str
) -> None:
    core = Counting()
    ask = asking(core, tmp_path)
    for _ in range(10):
        for _ in range(5):
            await ask("GET", path)
        core.change()
        mock_clock.jump(RECENT)
    assert core.views == 10


async def test_who_changed_something_sees_it_at_once(tmp_path: Path, mock_clock: MockClock) -> None:
    core, path = Counting(), "/policy/override"
    ask = asking(core, tmp_path)
    for method, query, told in (("POST", "?linux=3", {"linux": 3}), ("DELETE", "", None)):
        await ask("GET", path)
        await ask(method, path + query, headers=BEARER)
        assert (await ask("GET", path)).json == told
    del mock_clock
