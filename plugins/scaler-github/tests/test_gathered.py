"""Lists of several accounts, of which some may not answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from scaler import Incomplete, Registration
from scaler_github.client import GitHubError, Kind, Verdict
from scaler_github.gathered import gathered


def tells(*names: str) -> Callable[[], Awaitable[list[Registration]]]:
    async def ask() -> list[Registration]:
        return [Registration(name=name) for name in names]

    return ask


def fails(kind: Kind, wait: float = 0.0) -> Callable[[], Awaitable[list[Registration]]]:
    async def ask() -> list[Registration]:
        raise GitHubError(Verdict(kind, f"{kind.value} happened", wait))

    return ask


async def test_what_all_tell_is_one_list() -> None:
    assert await gathered([]) == []
    assert [each.name for each in await gathered([tells("a", "b")])] == ["a", "b"]
    assert {each.name for each in await gathered([tells("a"), tells("b"), tells("a")])} == {
        "a",
        "b",
    }


@pytest.mark.parametrize("kind", [Kind.RETRY, Kind.CREDENTIAL, Kind.WAIT])
async def test_one_that_does_not_answer_hides_nothing_of_the_others(kind: Kind) -> None:
    with pytest.raises(Incomplete, match=f"{kind.value} happened") as caught:
        await gathered([tells("a"), fails(kind, 30), fails(kind, 90), tells("b")])
    assert {each.name for each in caught.value.listed} == {"a", "b"}
    assert caught.value.retry_after == 90


async def test_what_github_does_not_understand_is_a_fault() -> None:
    with pytest.raises(GitHubError, match="bug happened"):
        await gathered([tells("a"), fails(Kind.BUG)])
