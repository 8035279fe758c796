"""Rate limits: learnt, kept by all callers, with a reserve for runners; on a clock that jumps."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from scaler_github.client import GitHubError, Kind, Limits, Purpose, Verdict
from scaler_github.client.limits import REGISTRATION
from scaler_github.client.transport import Response

NOW = 1_795_291_200.0


def told(
    remaining: int, *, limit: int = 5000, left: float = 1800, resource: str = "core"
) -> dict[str, str]:
    return {
        "x-ratelimit-limit": str(limit),
        "x-ratelimit-remaining": str(remaining),
        "x-ratelimit-reset": str(int(NOW + left)),
        "x-ratelimit-resource": resource,
    }


async def admit(limits: Limits, method: str, *options: Any, **more: Any) -> None:
    """A call that is answered at once, with nothing about limits."""
    async with limits.call(method, *options, **more):
        pass


def told_to_wait(headers: dict[str, str] | None = None, sent: float | None = None) -> Response:
    return Response(403, headers or {}, b"", trio.current_time() if sent is None else sent)


async def refusal(limits: Limits, method: str = "GET", **options: Any) -> Verdict:
    with pytest.raises(GitHubError) as caught:
        await admit(limits, method, **options)
    assert caught.value.kind is Kind.WAIT
    return caught.value.verdict


async def test_without_limits_nothing_is_held_back(autojump_clock: MockClock) -> None:
    limits = Limits()
    for _ in range(2000):
        await admit(limits, "POST", Purpose.ROUTINE)
    assert trio.current_time() == 0
    assert limits.facts() == {}


async def test_what_is_used_up_is_waited_for_until_its_reset(autojump_clock: MockClock) -> None:
    limits = Limits()
    limits.heard(told(1, left=600), NOW)
    async with limits.call("POST"):  # the last one, and counted while its answer is not here yet
        assert (await refusal(limits, "POST")).wait == pytest.approx(600)
    limits.heard(told(0, left=600), NOW)
    assert (await refusal(limits, "POST")).wait == pytest.approx(600)
    assert limits.waits() == {"core": pytest.approx(600)}
    await admit(limits, "POST", resource=REGISTRATION)  # which is another resource
    await trio.sleep(601)
    await admit(limits, "POST")


async def test_the_last_fifth_is_kept_for_runners(autojump_clock: MockClock) -> None:
    limits = Limits()
    limits.heard(told(1000), NOW)
    verdict = await refusal(limits, purpose=Purpose.ROUTINE)
    assert "the last 1000 of 5000 are kept for runners" in verdict.text
    await admit(limits, "POST", Purpose.PROVISIONING)
    limits.heard(told(1001, left=5400), NOW)  # the next hour's count
    await admit(limits, "GET", Purpose.ROUTINE)


async def test_answers_that_overtake_each_other_never_raise_what_is_left(
    autojump_clock: MockClock,
) -> None:
    limits = Limits()
    for remaining in (100, 90, 95):
        limits.heard(told(remaining), NOW)
    assert limits.facts()["rate_limits"]["core"]["remaining"] == 90


async def test_a_secondary_limit_holds_for_every_resource(autojump_clock: MockClock) -> None:
    limits = Limits()
    verdict = Verdict(Kind.WAIT, "too quick", 90, told=True)
    limits.refused(verdict, told_to_wait({"retry-after": "90", **told(4000)}))
    for resource in ("core", REGISTRATION):
        assert (await refusal(limits, resource=resource)).wait == pytest.approx(90)
    assert limits.waits() == {"": pytest.approx(90)}
    await trio.sleep(91)
    await admit(limits, "GET")


async def test_a_primary_limit_holds_for_its_own_resource(autojump_clock: MockClock) -> None:
    limits = Limits()
    verdict = Verdict(Kind.WAIT, "used up", 700, told=True)
    limits.refused(verdict, told_to_wait(told(0, resource=REGISTRATION)))
    assert (await refusal(limits, resource=REGISTRATION)).wait == pytest.approx(700)
    await admit(limits, "GET")


async def test_waits_that_are_not_told_double_and_start_anew_after_a_success(
    autojump_clock: MockClock,
) -> None:
    limits = Limits()
    verdict = Verdict(Kind.WAIT, "secondary", 60)
    waits = []
    for _ in range(8):
        waits.append(limits.refused(verdict, told_to_wait()).wait)
        await trio.sleep(waits[-1] + 1)
    assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    limits.succeeded()
    assert limits.refused(verdict, told_to_wait()).wait == 60


async def test_calls_that_were_under_way_are_refused_as_one(autojump_clock: MockClock) -> None:
    limits = Limits()
    await trio.sleep(5)
    sent = trio.current_time()
    await trio.sleep(1)
    verdict = Verdict(Kind.WAIT, "secondary", 60)
    assert {limits.refused(verdict, told_to_wait(sent=sent)).wait for _ in range(50)} == {60}


async def test_points_of_a_minute_are_spread_and_not_passed(autojump_clock: MockClock) -> None:
    limits = Limits()
    limits.heard(told(4900), NOW)
    times = []
    for number in range(181):  # five points each
        if number == 90:
            await trio.sleep(30)
        await admit(limits, "POST")
        times.append(trio.current_time())
    assert (times[0], times[89], times[179]) == (0, 0, 30)
    assert times[180] == pytest.approx(60, abs=1)


async def test_routine_leaves_points_to_runners_and_is_refused_when_it_takes_long(
    autojump_clock: MockClock,
) -> None:
    limits = Limits()
    limits.heard(told(4900), NOW)
    for _ in range(720):
        await admit(limits, "GET", Purpose.ROUTINE)
    assert "spent" in (await refusal(limits, purpose=Purpose.ROUTINE)).text
    await admit(limits, "POST")


async def test_another_token_has_its_own_limits(autojump_clock: MockClock) -> None:
    limits = Limits()
    limits.heard(told(0), NOW)
    limits.refused(Verdict(Kind.WAIT, "x", 3000, told=True), told_to_wait({"retry-after": "3"}))
    await refusal(limits)
    limits.forget()
    await admit(limits, "GET")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-ratelimit-limit": "x", "x-ratelimit-remaining": "1", "x-ratelimit-reset": "5"},
        {"x-ratelimit-limit": "9", "x-ratelimit-remaining": "", "x-ratelimit-reset": "5"},
        {"x-ratelimit-limit": "9", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "soon"},
        {"x-ratelimit-limit": "\u0663", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "9"},
    ],
)
async def test_headers_that_tell_nothing(
    autojump_clock: MockClock, headers: dict[str, str]
) -> None:
    limits = Limits()
    limits.heard(headers, NOW)
    await admit(limits, "GET", Purpose.ROUTINE)
    assert limits.facts() == {}


async def test_calls_that_never_got_there_use_nothing_up(autojump_clock: MockClock) -> None:
    limits = Limits()
    limits.heard(told(300), NOW)
    for _ in range(100):
        await admit(limits, "GET")
    limits.heard(told(300), NOW)
    await admit(limits, "POST")
    assert limits.facts()["rate_limits"]["core"]["remaining"] == 300


async def test_runners_do_not_wait_behind_those_who_wait_for_points(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    limits = Limits()
    limits.heard(told(4900), NOW)
    for _ in range(720):
        await admit(limits, "GET", Purpose.ROUTINE)
    await trio.sleep(20)
    for _ in range(100):
        nursery.start_soon(admit, limits, "GET", Purpose.ROUTINE)
    await trio.testing.wait_all_tasks_blocked()
    began = trio.current_time()
    await admit(limits, "POST")
    assert trio.current_time() == began


async def test_so_many_calls_are_under_way_at_once(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    limits, under_way, most = Limits(), 0, 0

    async def call(seconds: float) -> None:
        nonlocal under_way, most
        async with limits.call("GET"):
            under_way += 1
            most = max(most, under_way)
            await trio.sleep(seconds)
            under_way -= 1

    async with trio.open_nursery() as calls:
        for _ in range(200):
            calls.start_soon(call, 1)
    assert most == 60
    for _ in range(60):
        nursery.start_soon(call, 1000)
    await trio.testing.wait_all_tasks_blocked()
    with pytest.raises(GitHubError, match="none comes to its end") as caught:
        await call(1)
    assert caught.value.kind is Kind.RETRY
    nursery.cancel_scope.cancel()


async def test_what_is_not_counted_is_not_remembered(autojump_clock: MockClock) -> None:
    limits = Limits()
    for _ in range(1000):
        await admit(limits, "GET")
    assert not limits._spent
