"""One list out of several accounts': what some of them cannot tell is said to be missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from scaler import Incomplete, Registration
from scaler_github.client import GitHubError, Kind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence


async def gathered(
    asked: Sequence[Callable[[], Awaitable[Sequence[Registration]]]],
) -> list[Registration]:
    """The registrations of all, by name; asked at once, since each has the hook's deadline.

    Raises:
        Incomplete: Some could not be asked; it holds what the others told.
        GitHubError: GitHub did not understand what was asked.
    """
    found: dict[str, Registration] = {}
    failures: list[GitHubError] = []

    async def one(ask: Callable[[], Awaitable[Sequence[Registration]]]) -> None:
        try:
            found.update((each.name, each) for each in await ask())
        except GitHubError as error:
            failures.append(error)

    if len(asked) == 1:
        await one(asked[0])
    else:
        async with trio.open_nursery() as nursery:
            for ask in asked:
                nursery.start_soon(one, ask)
    for failure in failures:
        if failure.kind is Kind.BUG:
            raise failure
    if failures:
        wait = max(failure.wait for failure in failures)
        raise Incomplete(list(found.values()), "; ".join(map(str, failures)), wait or None)
    return list(found.values())
