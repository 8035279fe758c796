"""A complete list from pages that move while they are read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from scaler_forgejo.answers import Listed

#: A page, counted from 1, and how many runners there are in all.
Page: TypeAlias = Callable[[int], Awaitable[tuple[list[Listed], int]]]
#: A runner by its id; None where there is none.
One: TypeAlias = Callable[[int], Awaitable[Listed | None]]

TRIES = 5


async def complete(page: Page, one: One) -> list[Listed] | None:
    """Every runner; None where the list did not stand still for long enough to say.

    One page is one answer, and as it was at one moment. More than one is not: Forgejo lists the
    runner first that it heard of last (`FindRunnerOptions.ToOrders` of its
    `models/actions/runner.go`), so that a runner can go from a page that is still to be read to one
    that was read already. Whoever believed such a list would take that runner for gone. So the
    pages are read until a reading shows nothing new, what it did not show is asked for by its id,
    and all of it is as much as Forgejo counts.
    """
    found: dict[int, Listed] = {}
    for _ in range(TRIES):
        known = set(found)
        seen: dict[int, Listed] = {}
        number = 0
        while True:
            number += 1
            listed, total = await page(number)
            seen |= {each.id: each for each in listed}
            if number == 1 and len(seen) == total:
                return listed
            if not listed or len(seen) >= total:
                break
        found |= seen
        for each in found.keys() - seen.keys():
            still = await one(each)
            if still is None:
                del found[each]
            else:
                found[each] = still
        if seen.keys() <= known and len(found) == total:
            return list(found.values())
    return None
