"""When something is tried again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from scaler_github.client import Backoff, GitHubError, Kind, Verdict, repeat


def failing(*errors: GitHubError | None) -> tuple[Callable[[], Any], list[float]]:
    left, times = list(errors), list[float]()

    async def call() -> str:
        times.append(trio.current_time())
        error = left.pop(0)
        if error is not None:
            raise error
        return "done"

    return call, times


def fault(kind: Kind, wait: float = 0.0) -> GitHubError:
    return GitHubError(Verdict(kind, "x", wait))


async def test_repeat(autojump_clock: MockClock) -> None:
    call, times = failing(fault(Kind.RETRY), fault(Kind.WAIT, 5), None)
    assert await repeat(call) == "done"
    assert times[2] - times[1] >= 5
    for hopeless in (fault(Kind.BUG), fault(Kind.BUSY), fault(Kind.WAIT, 60)):
        call, times = failing(hopeless, None)
        with pytest.raises(GitHubError):
            await repeat(call)
    call, times = failing(*[fault(Kind.RETRY)] * 5)
    with pytest.raises(GitHubError):
        await repeat(call)
    assert len(times) == 3


def test_backoff() -> None:
    backoff = Backoff(choose=lambda low, high: high)
    kinds = [Kind.RETRY] * 7
    assert [backoff.after(fault(kind)) for kind in kinds] == [2, 4, 8, 16, 30, 30, 30]
    backoff.reset()
    conflicts = [backoff.after(fault(Kind.CONFLICT)) for _ in range(6)]
    assert conflicts == [5, 10, 20, 40, 60, 60]
    assert backoff.after(fault(Kind.WAIT, 100)) >= 100
    assert Backoff(choose=lambda low, high: low).after(fault(Kind.RETRY, 9)) == 9


@pytest.mark.parametrize("kind", [Kind.REFRESH, Kind.CREDENTIAL])
def test_a_person_is_waited_for_from_the_third_refusal_in_a_row(kind: Kind) -> None:
    backoff = Backoff(choose=lambda low, high: high)
    kinds = [Kind.RETRY, kind, kind, Kind.RETRY, kind, kind, kind, kind]
    pauses = [backoff.after(fault(one)) for one in kinds]
    assert pauses[:3] == [2, 4, 8]
    assert max(pauses[:6]) < 60
    assert pauses[6:] == [60, 60]
    backoff.reset()
    assert backoff.after(fault(kind)) == 2


async def test_all_of_it_ends_before_whoever_waits_gives_up(autojump_clock: object) -> None:
    async def hang() -> None:
        await trio.sleep(30)
        raise fault(Kind.RETRY)

    began = trio.current_time()
    with pytest.raises(GitHubError) as caught:
        await repeat(hang)
    assert caught.value.kind is Kind.RETRY
    assert trio.current_time() - began == pytest.approx(45)
    with pytest.raises(GitHubError, match="within 10 s"):
        await repeat(hang, within=10)
