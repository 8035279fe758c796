"""check_selector finds what is broken, by name, and nothing in what is not."""

from __future__ import annotations

from typing import Any

import pytest
from tests.testing.broken.selectors import ALLOWED, BROKEN, GOOD, REFUSED, Selector
from tests.testing.broken.sources import Forge, Source
from trio.testing import MockClock

from scaler.testing import PromiseBroken, check_selector
from scaler.testing.promises import Promise
from scaler.testing.promises_selector import SELECTOR


@pytest.mark.parametrize("cls", GOOD)
async def test_one_that_is_good_passes(cls: type[Any]) -> None:
    await check_selector(cls, allowed=ALLOWED, refused=REFUSED)  # (a jumping clock hurries threads)


async def test_without_a_request_that_is_granted_the_rest_is_looked_at(
    autojump_clock: MockClock,
) -> None:
    await check_selector(Selector, refused=REFUSED)


@pytest.mark.parametrize(
    ("cls", "promise"), BROKEN, ids=[f"{cls.__name__}-{promise.name}" for cls, promise in BROKEN]
)
async def test_one_that_is_broken_is_told_by_its_promise(
    cls: type[Any], promise: Promise, autojump_clock: MockClock
) -> None:
    with pytest.raises(PromiseBroken) as caught:
        await check_selector(cls, allowed=ALLOWED, refused=REFUSED)
    assert caught.value.promise is promise, str(caught.value)


def test_each_promise_is_broken_by_somebody() -> None:
    assert {promise.name for promise in SELECTOR} <= {promise.name for _, promise in BROKEN}


async def test_what_selects_nothing_is_told_so(autojump_clock: MockClock) -> None:
    with pytest.raises(ValueError, match="has no select_runner"):
        await check_selector(type("Source", (Source,), {"forge": Forge()}))
