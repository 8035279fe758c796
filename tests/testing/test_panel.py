"""`check_panel`: one that keeps its promises passes, and each of the others is caught."""

from __future__ import annotations

import pytest
from tests.testing.broken.panels import BROKEN, Links, NoPanel, Reasons

from scaler.testing import PromiseBroken, check_panel
from scaler.testing.promises_panel import PANEL

ALL = [
    pytest.param(promise, cls, id=f"{promise}-{cls.__name__}")
    for promise, classes in BROKEN.items()
    for cls in classes
]


@pytest.mark.parametrize("cls", [Reasons, Links])
async def test_a_good_panel_passes(cls: type[Reasons]) -> None:
    await check_panel(cls)


def test_every_promise_has_a_panel_that_breaks_it() -> None:
    assert set(BROKEN) == {promise.name for promise in PANEL}


@pytest.mark.parametrize(("promise", "cls"), ALL)
async def test_it_is_caught(promise: str, cls: type[Reasons]) -> None:
    with pytest.raises(PromiseBroken) as caught:
        await check_panel(cls)
    assert caught.value.promise.name == promise, str(caught.value)


async def test_a_plugin_without_a_panel_has_nothing_to_check() -> None:
    with pytest.raises(PromiseBroken, match="it has no render_dashboard"):
        await check_panel(NoPanel)
