from __future__ import annotations

from dataclasses import replace

import pytest

from scaler import RunnerState
from scaler_monitor.page.history import KEPT, History, Sample
from scaler_monitor.page.shapes import GROUPS, HEIGHT, WIDTH, bar, kind, line

from .views import WELL, profile


def test_every_state_has_its_kind() -> None:
    assert {kind(state) for state in RunnerState} == set(GROUPS)


@pytest.mark.parametrize(
    ("counts", "target"), [({}, 0), ({"idle": 3}, 1), ({"busy": 1, "held": 2, "planned": 4}, 20)]
)
def test_a_bar_fits_and_adds_up(counts: dict[str, int], target: int) -> None:
    made = bar(counts, target)
    assert sum(part.number for part in made.parts) == sum(counts.values())
    assert 0 <= made.target <= WIDTH
    right = 0.0
    for part in made.parts:
        assert part.x == pytest.approx(right, abs=0.02)
        right = part.x + part.width
    assert right <= WIDTH + 0.05


def test_nothing_is_drawn_of_one_sample() -> None:
    assert line([Sample(alive=1, busy=0, target=1)], 10) is None


def test_a_history_says_what_it_shows() -> None:
    samples = [Sample(alive=2 + number // 20, busy=number % 3, target=3) for number in range(KEPT)]
    drawn = line(samples, 10)
    assert drawn is not None
    assert drawn.text == "Over the last 10 minutes: 2 to 4 runners, 0 to 2 of them busy; target 3"
    for points in (drawn.alive, drawn.target, drawn.busy):
        pairs = [tuple(map(float, pair.split(","))) for pair in points.split()]
        assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in pairs)
    assert drawn.alive.startswith("0,")
    assert len(drawn.target.split()) == 2, "what stays the same is one line"


def test_a_short_history_stands_at_the_right() -> None:
    drawn = line([Sample(alive=0, busy=0, target=0)] * 2, 10)
    assert drawn is not None
    assert float(drawn.alive.partition(",")[0]) > WIDTH * 0.9
    assert drawn.text.startswith("Over the last minute: 0 runners")


def test_samples_are_kept_for_ten_minutes_and_for_profiles_that_there_are() -> None:
    history = History()
    view = replace(WELL, profiles={"linux": profile(idle=1, busy=2, retiring=1)})
    for _ in range(KEPT + 5):
        history.sample(view)
    assert len(history.samples()["linux"]) == KEPT
    assert history.samples()["linux"][0] == Sample(alive=3, busy=2, target=3)
    history.sample(replace(view, profiles={"other": profile("other")}))
    assert set(history.samples()) == {"other"}
